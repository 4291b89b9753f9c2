"""The table of messages that are on their way: each change of one is a transaction."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

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


class DeliveryTable(DeliveryStore):
    """`DeliveryStore` on SQLite. `audit` is the chain that channels begin at the end of."""

    def __init__(self, database: Database, clock: Callable[[], float], audit: AuditTable) -> None:
        self._database = database
        self._clock = clock
        self._audit = audit

    # --- channels -------------------------------------------------------------------------------

    def subscriptions(self) -> list[Subscription]:
        rows = self._database.rows(
            "SELECT name, seq, since, problem, origin FROM channels ORDER BY name"
        )
        return [Subscription(*row) for row in rows]

    def keep_only(self, names: Collection[str]) -> None:
        known = {one.name for one in self.subscriptions()}
        if known == set(names):
            return
        with self._database.write(local=True):
            for name in known - set(names):
                self._database.rows("DELETE FROM channels WHERE name = ?", [name])
            head = self._audit.head()
            for name in sorted(set(names) - known):
                self._database.rows(
                    "INSERT OR IGNORE INTO channels (name, seq, origin, since) VALUES (?, ?, ?, ?)",
                    [name, head.seq, head.origin, self._clock()],
                )

    def trouble(self, channel: str, problem: str) -> None:
        self._database.rows(
            "UPDATE channels SET problem = ?1 WHERE name = ?2 AND problem != ?1",
            [self._database.gate.written(problem), channel],
        )

    # --- what comes in --------------------------------------------------------------------------

    def follow(self, channel: str, origin: str) -> None:
        sql = "UPDATE channels SET seq = 0, origin = ?1 WHERE name = ?2 AND origin != ?1"
        self._database.rows(sql, [origin, channel])

    def feed(self, channel: str, seq: int, found: Sequence[NewDelivery]) -> None:
        with self._database.write(local=True):
            for one in found:
                self._add(channel, one)
            sql = "UPDATE channels SET seq = max(seq, ?) WHERE name = ?"
            self._database.rows(sql, [seq, channel])

    def signal(self, name: str, state: str, found: Mapping[str, NewDelivery]) -> bool:
        with self._database.write(local=True):
            before = self._database.value("SELECT state FROM signals WHERE name = ?", [name])
            if before == state:
                return False
            self._database.rows(
                "INSERT INTO signals (name, state, at) VALUES (?1, ?2, ?3) "
                "ON CONFLICT (name) DO UPDATE SET state = ?2, at = ?3",
                [name, state, self._clock()],
            )
            for channel, one in found.items():
                self._add(channel, one)
            return True

    def _add(self, channel: str, one: NewDelivery) -> None:
        now = self._clock()
        written = self._database.gate.written
        self._database.rows(
            "INSERT OR IGNORE INTO deliveries (channel_id, key, kind, subject, message, state, "
            "made_at, due_at, set_at) SELECT id, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9 "
            "FROM channels WHERE name = ?1",
            [
                channel, one.key, one.kind, written(one.subject), written(one.message),
                GATHERING if one.gather else WAITING, one.made_at, now + one.wait, now,
            ],
        )  # fmt: skip

    # --- what goes out --------------------------------------------------------------------------

    def following(self, channel: str) -> Delivery | None:
        return next(self._found(_FOLLOWING, [channel, self._clock()]), None)

    def gathered(self, channel: str) -> list[Delivery]:
        now = self._clock()
        of_channel = f"{_ROWS} WHERE c.name = ?1 AND d.state = 'gathering'"
        due = next(self._found(f"{of_channel} AND {_DUE} LIMIT 1", [channel, now]), None)
        return list(self._found(f"{of_channel} ORDER BY d.id", [channel])) if due else []

    def join(self, channel: str, ids: Sequence[int], into: NewDelivery) -> None:
        with self._database.write(local=True):
            for one in ids:
                self._database.update("deliveries", one, state=JOINED, ended_at=self._clock())
            self._add(channel, into)

    def postpone(self, ids: Sequence[int], wait: float) -> None:
        now = self._clock()
        with self._database.write(local=True):
            for one in ids:
                self._database.update("deliveries", one, due_at=now + wait, set_at=now)

    def end(self, delivery_id: int, state: str, error: str = "") -> None:
        self._database.rows(
            "UPDATE deliveries SET state = ?, error = ?, ended_at = ?, attempts = attempts + 1 "
            "WHERE id = ?",
            [state, self._database.gate.written(error), self._clock(), delivery_id],
        )

    def again(self, delivery_id: int, wait: float, error: str) -> None:
        now = self._clock()
        self._database.rows(
            "UPDATE deliveries SET due_at = ?, set_at = ?, error = ?, attempts = attempts + 1 "
            "WHERE id = ?",
            [now + wait, now, self._database.gate.written(error), delivery_id],
        )

    def due_in(self, channel: str) -> float | None:
        found = self._database.value(
            "SELECT min(d.due_at) FROM deliveries d JOIN channels c ON c.id = d.channel_id "
            "WHERE c.name = ? AND d.state IN ('waiting', 'gathering')",
            [channel],
        )
        return None if found is None else max(0.0, found - self._clock())

    # --- looking --------------------------------------------------------------------------------

    def page(
        self, channel: str | None = None, state: str | None = None, limit: int = 50
    ) -> list[Delivery]:
        where = "WHERE c.name = ifnull(?1, c.name) AND d.state = ifnull(?2, d.state)"
        return list(self._found(f"{_ROWS} {where} ORDER BY d.id DESC LIMIT ?3",
                                [channel, state, limit]))  # fmt: skip

    def find(self, delivery_id: int) -> Delivery | None:
        return next(self._found(f"{_ROWS} WHERE d.id = ?", [delivery_id]), None)

    def counts(self) -> Mapping[tuple[str, str], int]:
        rows = self._database.rows(
            "SELECT c.name, d.state, count(*) FROM deliveries d "
            "JOIN channels c ON c.id = d.channel_id GROUP BY c.name, d.state"
        )
        return {(name, state): count for name, state, count in rows}

    def retry(self, channel: str) -> int:
        now = self._clock()
        with self._database.write(local=True):
            self.trouble(channel, "")
            return self._database.changed(
                "UPDATE deliveries SET state = ?1, attempts = 0, made_at = ?2, due_at = ?2, "
                "set_at = ?2, ended_at = NULL WHERE state IN (?1, ?3) "
                "AND channel_id = (SELECT id FROM channels WHERE name = ?4)",
                [WAITING, now, DEAD, channel],
            )

    def forget(self, before: float, limit: int) -> int:
        ended = (SENT, DEAD, JOINED, before, limit)
        return self._database.changed(
            "DELETE FROM deliveries WHERE id IN (SELECT id FROM deliveries "
            "WHERE state IN (?, ?, ?) AND ended_at < ? LIMIT ?)",
            ended,
        ) + self._database.changed(
            "DELETE FROM signals WHERE name IN "
            "(SELECT name FROM signals WHERE at < ? AND name LIKE 'session/%' LIMIT ?)",
            [before, limit],
        )

    def _found(self, sql: str, bindings: Sequence[Value]) -> Iterator[Delivery]:
        return (Delivery(*row) for row in self._database.rows(sql, bindings))
