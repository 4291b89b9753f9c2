"""The tables of messages that are on their way: each change of one is a transaction.

A team's nodes share tables of their own for that, made alike; the statements here name those of a
store of one machine.
"""

# ruff: noqa: S608 - statements are put together from this module's constants; values are bound
from __future__ import annotations

import functools
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

from khive_supervisor.sqlite.audit.table import AuditTable
from khive_supervisor.sqlite.engine.database import Database, Value
from khive_supervisor.store.channels.deliveries import (
    DEAD,
    GATHERING,
    JOINED,
    SENT,
    WAITING,
    Delivery,
    DeliveryStore,
    NewDelivery,
    Subscription,
)

_ROWS = (
    "SELECT d.id, c.name, d.key, d.kind, d.subject, d.message, d.state, d.made_at, d.due_at, "
    "d.attempts, d.ended_at, d.error FROM deliveries d JOIN channels c ON c.id = d.channel_id "
)
#: A clock that was set back would make a message wait for ever: then it is due.
_DUE = "(d.due_at <= ?2 OR d.set_at > ?2)"
#: What has to be over before a message: of its subject, or of several things.
_EARLIER = (
    "SELECT 1 FROM deliveries e WHERE e.channel_id = d.channel_id AND e.state = 'waiting' "
    "AND e.id < d.id AND (d.subject = '' OR e.subject IN ('', d.subject))"
)
_OPEN = f"{_ROWS} WHERE c.name = ?1 AND d.state = 'waiting' AND {_DUE}"
_FOLLOWING = f"{_OPEN} AND NOT EXISTS ({_EARLIER}) ORDER BY d.id LIMIT 1"


#: The tables of a team, in the place of those of a store of one machine.
_OF_TEAM = {
    "channels": "outbox_channels",
    "channel_places": "outbox_places",
    "deliveries": "outbox",
    "signals": "outbox_signals",
}
_TABLE = re.compile(r"\b(?:" + "|".join(_OF_TEAM) + r")\b")


@functools.cache
def _in_team(sql: str) -> str:
    return _TABLE.sub(lambda found: _OF_TEAM[found[0]], sql)


class DeliveryTable(DeliveryStore):
    """`DeliveryStore` on SQLite.

    Args:
        database: whose transactions these are.
        clock: unix seconds.
        audit: the chains that channels begin at the ends of.
        member: says as whom a node of a team connects, whose nodes share messages; None: they do
            not. Channels of one name that are two members' are two.
    """

    def __init__(
        self,
        database: Database,
        clock: Callable[[], float],
        audit: AuditTable,
        member: Callable[[], str | None] = lambda: None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._audit = audit
        self._member = member

    @property
    def _prefix(self) -> str:
        """What stands before a channel's name in the table."""
        member = self._member()
        return "" if member is None else f"{member}/"

    def _write(self) -> AbstractContextManager[None]:
        return self._database.write(local=self._member() is None)

    def _rows(self, sql: str, bindings: Sequence[Value] = ()) -> list[tuple[Any, ...]]:
        return self._database.rows(sql if self._member() is None else _in_team(sql), bindings)

    def _changed(self, sql: str, bindings: Sequence[Value] = ()) -> int:
        with self._write():
            sql = sql if self._member() is None else _in_team(sql)
            return self._database.changed(sql, bindings)

    def _set(self, delivery_id: int, **values: Value) -> None:
        with self._write():
            table = "deliveries" if self._member() is None else _OF_TEAM["deliveries"]
            self._database.update(table, delivery_id, **values)

    # --- channels -------------------------------------------------------------------------------

    def subscriptions(self) -> list[Subscription]:
        places: dict[int, dict[str, int]] = {}
        for channel, origin, seq in self._rows(
            "SELECT channel_id, origin, seq FROM channel_places"
        ):
            places.setdefault(channel, {})[origin] = seq
        rows = self._rows("SELECT id, name, since, problem FROM channels ORDER BY name")
        start = len(self._prefix)
        return [
            Subscription(name[start:], since, problem, places.get(number, {}))
            for number, name, since, problem in rows
            if name.startswith(self._prefix)
        ]

    def keep_only(self, names: Collection[str]) -> None:
        known = {one.name for one in self.subscriptions()}
        # Of channels of a team other nodes may be those that have them configured.
        gone = known - set(names) if self._member() is None else set()
        if not gone and known >= set(names):
            return
        with self._write():
            for name in gone:
                self._rows("DELETE FROM channels WHERE name = ?", [name])
            heads = [self._audit.chain(origin).head() for origin in self._audit.origins()]
            for name in sorted(set(names) - known):
                self._rows(
                    "INSERT OR IGNORE INTO channels (name, seq, since) VALUES (?, 0, ?)",
                    [self._prefix + name, self._clock()],
                )
                for head in heads:
                    self._place(name, head.origin, head.seq)

    def _place(self, channel: str, origin: str, seq: int) -> None:
        self._rows(
            "INSERT INTO channel_places (channel_id, origin, seq) "
            "SELECT id, ?2, ?3 FROM channels WHERE name = ?1 "
            "ON CONFLICT (channel_id, origin) DO UPDATE SET seq = max(seq, excluded.seq)",
            [self._prefix + channel, origin, seq],
        )

    def trouble(self, channel: str, problem: str) -> None:
        problem = self._database.gate.written(problem)
        if any(one.name == channel and one.problem != problem for one in self.subscriptions()):
            self._changed(
                "UPDATE channels SET problem = ? WHERE name = ?", [problem, self._prefix + channel]
            )

    # --- what comes in --------------------------------------------------------------------------

    def feed(
        self, channel: str, seq: int, found: Sequence[NewDelivery], *, origin: str = ""
    ) -> None:
        with self._write():
            for one in found:
                self._add(channel, one)
            self._place(channel, origin, seq)

    def signal(self, name: str, state: str, found: Mapping[str, NewDelivery]) -> bool:
        if self._state(name) == state:
            return False
        with self._write():
            if self._state(name) == state:  # another one was quicker
                return False
            self._rows(
                "INSERT INTO signals (name, state, at) VALUES (?1, ?2, ?3) "
                "ON CONFLICT (name) DO UPDATE SET state = ?2, at = ?3",
                [name, state, self._clock()],
            )
            for channel, one in found.items():
                self._add(channel, one)
            return True

    def _state(self, name: str) -> object:
        rows = self._rows("SELECT state FROM signals WHERE name = ?", [name])
        return rows[0][0] if rows else None

    def _add(self, channel: str, one: NewDelivery) -> None:
        now = self._clock()
        written = self._database.gate.written
        self._rows(
            "INSERT OR IGNORE INTO deliveries (channel_id, key, kind, subject, message, state, "
            "made_at, due_at, set_at) SELECT id, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9 "
            "FROM channels WHERE name = ?1",
            [
                self._prefix + channel, one.key, one.kind, written(one.subject),
                written(one.message),
                GATHERING if one.gather else WAITING, one.made_at, now + one.wait, now,
            ],
        )  # fmt: skip

    # --- what goes out --------------------------------------------------------------------------

    def following(self, channel: str) -> Delivery | None:
        return next(self._found(_FOLLOWING, [self._prefix + channel, self._clock()]), None)

    def gathered(self, channel: str) -> list[Delivery]:
        now = self._clock()
        of_channel = f"{_ROWS} WHERE c.name = ?1 AND d.state = 'gathering'"
        name = self._prefix + channel
        due = next(self._found(f"{of_channel} AND {_DUE} LIMIT 1", [name, now]), None)
        return list(self._found(f"{of_channel} ORDER BY d.id", [name])) if due else []

    def join(self, channel: str, ids: Sequence[int], into: NewDelivery) -> None:
        with self._write():
            for one in ids:
                self._set(one, state=JOINED, ended_at=self._clock())
            self._add(channel, into)

    def postpone(self, ids: Sequence[int], wait: float) -> None:
        now = self._clock()
        with self._write():
            for one in ids:
                self._set(one, due_at=now + wait, set_at=now)

    def end(self, delivery_id: int, state: str, error: str = "") -> None:
        self._changed(
            "UPDATE deliveries SET state = ?, error = ?, ended_at = ?, attempts = attempts + 1 "
            "WHERE id = ?",
            [state, self._database.gate.written(error), self._clock(), delivery_id],
        )

    def again(self, delivery_id: int, wait: float, error: str) -> None:
        now = self._clock()
        self._changed(
            "UPDATE deliveries SET due_at = ?, set_at = ?, error = ?, attempts = attempts + 1 "
            "WHERE id = ?",
            [now + wait, now, self._database.gate.written(error), delivery_id],
        )

    def due_in(self, channel: str) -> float | None:
        ((found,),) = self._rows(
            "SELECT min(d.due_at) FROM deliveries d JOIN channels c ON c.id = d.channel_id "
            "WHERE c.name = ? AND d.state IN ('waiting', 'gathering')",
            [self._prefix + channel],
        )
        return None if found is None else max(0.0, found - self._clock())

    # --- looking --------------------------------------------------------------------------------

    def page(
        self, channel: str | None = None, state: str | None = None, limit: int = 50
    ) -> list[Delivery]:
        where = "WHERE c.name = ifnull(?1, c.name) AND d.state = ifnull(?2, d.state)"
        name = None if channel is None else self._prefix + channel
        return list(self._found(f"{_ROWS} {where} ORDER BY d.id DESC LIMIT ?3",
                                [name, state, limit]))  # fmt: skip

    def find(self, delivery_id: int) -> Delivery | None:
        return next(self._found(f"{_ROWS} WHERE d.id = ?", [delivery_id]), None)

    def counts(self) -> Mapping[tuple[str, str], int]:
        rows = self._rows(
            "SELECT c.name, d.state, count(*) FROM deliveries d "
            "JOIN channels c ON c.id = d.channel_id GROUP BY c.name, d.state"
        )
        start = len(self._prefix)
        return {
            (name[start:], state): count
            for name, state, count in rows
            if name.startswith(self._prefix)
        }

    def retry(self, channel: str) -> int:
        now = self._clock()
        with self._write():
            self.trouble(channel, "")
            return self._changed(
                "UPDATE deliveries SET state = ?1, attempts = 0, made_at = ?2, due_at = ?2, "
                "set_at = ?2, ended_at = NULL WHERE state IN (?1, ?3) "
                "AND channel_id = (SELECT id FROM channels WHERE name = ?4)",
                [WAITING, now, DEAD, self._prefix + channel],
            )

    def forget(self, before: float, limit: int) -> int:
        ended = (SENT, DEAD, JOINED, before, limit)
        old = "FROM deliveries WHERE state IN (?, ?, ?) AND ended_at < ? LIMIT ?"
        seen = "FROM signals WHERE at < ? AND name LIKE 'session/%' LIMIT ?"
        gone = 0
        for table, column, where, values in (
            ("deliveries", "id", old, ended),
            ("signals", "name", seen, (before, limit)),
        ):
            if self._rows(f"SELECT {column} {where}", values):
                delete = f"DELETE FROM {table} WHERE {column} IN (SELECT {column} {where})"
                gone += self._changed(delete, values)
        return gone

    def _found(self, sql: str, bindings: Sequence[Value]) -> Iterator[Delivery]:
        start = len(self._prefix)
        for number, channel, *rest in self._rows(sql, bindings):
            yield Delivery(number, channel[start:], *rest)
