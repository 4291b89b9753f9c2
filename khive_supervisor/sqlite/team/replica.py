"""What a replica's own row says: the node, the server, how far it has come, the server's clock."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import apsw

from khive_supervisor.errors import StoreUnavailable
from khive_supervisor.tasks import lease
from khive_supervisor.tasks.lease import Moment
from khive_supervisor.team.order import LogPosition
from khive_supervisor.team.parts import Rights

#: The schema that has an audit chain for each node.
CHAINS_SINCE = 14
#: Seconds after which a process reads the offset of the server's clock again.
_CLOCK_AGE = 1.0


@dataclass(frozen=True, slots=True)
class Replica:
    """The row.

    Attributes:
        node: the node's name.
        server: which team's store this is a copy of.
        number, nonce: the last change that is in here.
        boot, ahead: what the server's clock is ahead of the clock of that boot, in seconds.
        epoch: how often it was taken anew: what is kept of it in memory is of one epoch.
        schema: the schema that all nodes of the team know.
        rights: what this node might see when the replica was made: it has nothing else.
        undivided: every member of the team sees everything, as far as this node has come.
    """

    node: str
    server: str
    number: int
    nonce: bytes = b""
    boot: str = ""
    ahead: float = 0.0
    epoch: int = 0
    schema: int = 0
    rights: Rights = field(default_factory=Rights)
    undivided: bool = False

    @property
    def position(self) -> LogPosition:
        """How far it has come."""
        return LogPosition(self.number, self.nonce)


def read(connection: apsw.Connection) -> Replica | None:
    """Return a replica's row; None in a store of one machine."""
    rows: list[tuple[Any, ...]] = connection.execute(
        "SELECT node, server, number, nonce, boot, ahead, epoch, schema, member, namespaces, "
        "undivided FROM replica"
    ).fetchall()
    if not rows:
        return None
    node, server, number, nonce, boot, ahead, epoch, schema, *of_team = rows[0]
    member, namespaces, undivided = of_team
    rights = _rights(member, namespaces)
    return Replica(node, server, number, nonce, boot, ahead, epoch, schema, rights, bool(undivided))


@lru_cache(maxsize=8)
def _rights(member: str, namespaces: str) -> Rights:
    return Rights(member, tuple(json.loads(namespaces)))


def put(connection: apsw.Connection, row: Replica) -> None:
    """Write the row, inside or outside of a transaction."""
    connection.execute(
        "INSERT OR REPLACE INTO replica (only, node, server, number, nonce, boot, ahead, epoch, "
        "schema, member, namespaces, undivided) VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            row.node, row.server, row.number, row.nonce, row.boot, row.ahead, row.epoch, row.schema,
            row.rights.member, json.dumps(row.rights.namespaces), row.undivided,
        ),
    )  # fmt: skip


def position(connection: apsw.Connection) -> LogPosition:
    """Return the last change that is in here."""
    rows: list[tuple[Any, ...]] = connection.execute("SELECT number, nonce FROM replica").fetchall()
    return LogPosition(*rows[0]) if rows else LogPosition(0)


def advance(connection: apsw.Connection, to: LogPosition) -> None:
    """Write down that a change is in here, in the transaction that brings it."""
    connection.execute("UPDATE replica SET number = ?, nonce = ?", (to.number, to.nonce))


def note_member(connection: apsw.Connection, entries: Sequence[int], member: str) -> None:
    """Write down which member has written entries."""
    if entries and member:
        connection.execute(
            "INSERT OR REPLACE INTO entry_members (entry_id, member) "
            "SELECT value, ? FROM json_each(?)",
            (member, json.dumps(entries)),
        )


#: Tables whose rows somebody has given, beside entries, and where it is written down who.
_GIVEN = {
    "tasks": ("task_members", "task_id"),
    "schedules": ("schedule_members", "schedule_id"),
}


def note_givers(connection: apsw.Connection, changes: bytes, member: str) -> None:
    """Write down which member has given the tasks and made the schedules that changes bring."""
    if not member or not any(table.encode() + b"\0" in changes for table in _GIVEN):
        return
    for row in apsw.Changeset.iter(changes):
        if row.op == "INSERT" and row.name in _GIVEN and row.new is not None:
            table, key = _GIVEN[row.name]
            connection.execute(
                f"INSERT OR REPLACE INTO {table} ({key}, member) VALUES (?, ?)",  # noqa: S608 - ours
                (int(str(row.new[0])), member),
            )


def heard_file(store_path: str) -> str:
    """Return the file that is touched each time the server was heard of.

    Beside the pipe of writers: the store's own directory is watched, and each touch would wake the
    watch.
    """
    return store_path + "-turn/heard"


def unheard(store_path: str) -> float:
    """Return the seconds since the server was heard of; infinite if it never was."""
    try:
        return max(0.0, time.time() - os.stat(heard_file(store_path)).st_mtime)
    except (FileNotFoundError, NotADirectoryError):
        return float("inf")


class TeamClock:
    """What a writer knows of its team: the server's clock against this boot's, and its schema."""

    def __init__(
        self,
        look: Callable[[], Replica | None],
        own: Callable[[], Moment] = lease.now,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._look = look
        self._own = own
        self._wall = wall
        self._row: Replica | None = None
        self._read_at = -_CLOCK_AGE
        #: When what is written now counts as written; None: when it is.
        self.pinned: float | None = None

    def now(self) -> Moment:
        """Return the moment by the server's clock; its boot is the team's.

        Raises:
            StoreUnavailable: the server could not be asked since this machine has started.
        """
        row, own = self._current()
        if row is None or row.boot != own.boot:
            raise StoreUnavailable(
                "The team's server could not be asked for its time since this machine started.",
                hint="Try again when `khive-supervisor status` shows the server as connected.",
            )
        return Moment(f"team:{row.server}", own.at + row.ahead)

    def wall_clock(self) -> float:
        """Return unix seconds: the server's, else this machine's, unless they are pinned."""
        if self.pinned is not None:
            return self.pinned
        row, own = self._current()
        return own.at + row.ahead if row is not None and row.boot == own.boot else self._wall()

    def member(self) -> str | None:
        """Return as whom this node connects, where the team has offices and this node may hold any.

        None: its team has nodes that know of none, or it does not see everything.
        """
        row, _ = self._current()
        known = row is not None and row.schema >= CHAINS_SINCE and row.rights.full
        return row.rights.member if row is not None and known else None

    def origin(self) -> str:
        """Return whose audit chain this node goes on with: its own, once the whole team knows it.

        A node of an earlier release can only follow the one that all had together.
        """
        row, _ = self._current()
        return row.node if row is not None and row.schema >= CHAINS_SINCE else ""

    def _current(self) -> tuple[Replica | None, Moment]:
        own = self._own()
        if own.at - self._read_at >= _CLOCK_AGE:
            self._row, self._read_at = self._look(), own.at
        return self._row, own
