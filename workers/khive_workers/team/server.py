"""The team's log in PostgreSQL, over one connection: its statements, and what its errors mean.

Whoever writes locks the row `head`, so that the numbers of the log have no hole and their order is
that of the commits. The tables are made in `tables`.
"""

# ruff: noqa: S608 - statements are put together from this module's constants and numbers
from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import TransactionStatus

from khive_supervisor.errors import StoreUnavailable
from khive_supervisor.team.clock import Sample
from khive_supervisor.team.order import BATCH, LoggedChange
from khive_supervisor.team.parts import ChangePart
from khive_workers.team import trust

#: The oldest major version of a server that is used.
OLDEST = 15
#: Seconds that connecting may take, that a head which somebody else holds is waited for, and after
#: which the server lets go of one whose holder says nothing.
CONNECT_TIMEOUT, LOCK_TIMEOUT, IDLE_TIMEOUT = 3, 8, 20
#: Milliseconds without an acknowledgement of what was sent after which a connection is lost.
_ACKNOWLEDGED = 5000
#: The next changes after a number; parts that this member may not see are not among the rows.
_NEWER = (
    "SELECT number, schema, nonce, part, changes, marks, node, member FROM khive.log "
    "WHERE number > {0}{1} ORDER BY number, part"
)
_BATCH = " AND number < (SELECT min(number) FROM khive.log WHERE number > {0}) + " + str(BATCH)


class ServerAway(StoreUnavailable):
    """The server cannot be asked now; what was asked last may or may not have been done."""


class ServerRefuses(StoreUnavailable):
    """The server is there, and says no."""


@dataclass(frozen=True, slots=True)
class ServerLook:
    """What a look at the server showed; `there`: the nonce of the change that was asked for."""

    number: int
    team: str
    sample: Sample
    there: bytes | None


@dataclass(frozen=True, slots=True)
class LockedHead:
    """The head that is held: its number, the nonce of the change asked for, and what is newer."""

    number: int
    there: bytes | None
    newer: list[LoggedChange]


def boottime() -> float:
    """Return the clock that goes on while the machine sleeps and cannot be set."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class TeamServer:
    """One connection to the server; used by one thread."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection
        self._told = False
        connection.add_notify_handler(self._note)

    @classmethod
    def connect(cls, url: str, name: str) -> TeamServer:
        """Return a connection to the primary; a password is looked for as libpq does.

        Raises:
            ServerAway: there is none to be had now.
            ServerRefuses: it is too old.
        """
        own: dict[str, Any] = {
            "connect_timeout": CONNECT_TIMEOUT,
            "target_session_attrs": "read-write",
            "keepalives_idle": 2,
            "keepalives_interval": 1,
            "keepalives_count": 3,
            "tcp_user_timeout": _ACKNOWLEDGED,
        }
        try:
            said = {name: str(value) for name, value in conninfo_to_dict(url).items()}
            home = os.path.expanduser("~")
            own |= trust.options(said, os.environ, home, psycopg.pq.version())
            found = psycopg.connect(
                url,
                autocommit=True,
                cursor_factory=psycopg.ClientCursor,
                application_name=name,
                **{key: value for key, value in own.items() if key not in said},
            )
            found.execute(
                f"SET lock_timeout = '{LOCK_TIMEOUT}s'; "
                f"SET idle_in_transaction_session_timeout = '{IDLE_TIMEOUT}s'; LISTEN khive"
            )
        except psycopg.Error as error:
            if trust.is_about(str(error)):
                raise ServerRefuses(_words(error), hint=trust.HINT) from None
            raise _away(error) from None
        if found.info.server_version < OLDEST * 10000:
            found.close()
            raise ServerRefuses(
                f"The server is PostgreSQL {found.info.server_version // 10000}.",
                hint=f"A team's store needs {OLDEST} or newer.",
            )
        return cls(found)

    def fileno(self) -> int:
        """Return what becomes readable when the server tells something."""
        return self._connection.fileno()

    @property
    def version(self) -> str:
        """The server's release, for people."""
        number = self._connection.info.server_version
        return f"{number // 10000}.{number % 10000}"

    @property
    def host(self) -> str:
        """Where it is, for people."""
        info = self._connection.info
        return f"{info.host}:{info.port}/{info.dbname}"

    def close(self) -> None:
        """Close the connection; again is harmless."""
        self._connection.close()

    # --- the log --------------------------------------------------------------------------------

    def _note(self, _: psycopg.Notify) -> None:
        """Note what the server tells while something else is asked of it."""
        self._told = True

    def told(self) -> bool:
        """Return whether the server has told of changes since the last call; never waits.

        Raises:
            ServerAway: the connection is lost.
        """
        with _translated():
            raw = self._connection.pgconn
            raw.consume_input()
            while raw.notifies() is not None:
                self._told = True
        told, self._told = self._told, False
        return told

    @property
    def has_told(self) -> bool:
        """Whether `told` has something to return already, so that nothing more need arrive."""
        return self._told

    def look(self, position: int) -> ServerLook:
        """Return the newest number, whose it is, the nonce of a change, and the server's time."""
        with _translated():
            before = boottime()
            cursor = self._connection.execute(
                "SELECT number, team::text, extract(epoch FROM clock_timestamp())::float8, "
                f"{_nonce_of(position)} FROM khive.head"
            )
            row = cursor.fetchone()
            after = boottime()
        if row is None:
            raise ServerRefuses("The server holds no team's store.", hint="Join it anew.")
        return ServerLook(row[0], row[1], Sample(before, after, row[2]), _nonce(row[3]))

    def newer(self, position: int) -> list[LoggedChange]:
        """Return the next changes after a number, a batch at most."""
        with _translated():
            after = int(position)
            cursor = self._connection.execute(_NEWER.format(after, _BATCH.format(after)))
            return _changes(cursor.fetchall())

    def lock(self, position: int) -> LockedHead:
        """Hold the head of the log; return its number, and the changes after a position.

        Raises:
            ServerAway, ServerRefuses: it is not held.
        """
        with _translated(self):
            cursor = self._connection.execute(
                f"BEGIN; SELECT number, {_nonce_of(position)} FROM khive.head FOR UPDATE; "
                + _NEWER.format(int(position), "")
            )
            cursor.nextset()
            row = cursor.fetchone()
            cursor.nextset()
            number, there = row or (0, None)
            return LockedHead(number, _nonce(there), _changes(cursor.fetchall()))

    def append(self, node: str, change: LoggedChange) -> None:
        """Write the next change, tell all nodes, and let go of the head.

        Raises:
            ServerAway: it is not known whether that was done.
            ServerRefuses: it was not.
        """
        nonce, marks = uuid.UUID(bytes=change.nonce), json.dumps(change.marks)
        insert = (
            "INSERT INTO khive.log (number, node, schema, nonce, part, changes, marks) "
            "VALUES (%s, %s, %s, %s, %s, %s, %s); "
        )
        values: list[object] = []
        for part in change.parts:
            values += (
                change.number, node, change.schema, nonce, part.name, part.changes,
                "" if part.name else marks,
            )  # fmt: skip
        with _translated(self):
            self._connection.execute(
                insert * len(change.parts)
                + "UPDATE khive.head SET number = %s; NOTIFY khive; COMMIT",
                (*values, change.number),
            )

    def roll_back(self) -> None:
        """Let go of the head, if it is held; never raises."""
        try:
            if self._connection.info.transaction_status is not TransactionStatus.IDLE:
                self._connection.execute("ROLLBACK")
        except psycopg.Error:
            self._connection.close()

    def find(self, nonce: bytes) -> int | None:
        """Return the number of a change of which nobody knows whether it was written.

        The head is waited for: whoever was writing it has come to an end then.
        """
        with _translated(self):
            cursor = self._connection.execute(
                "BEGIN; SELECT FROM khive.head FOR UPDATE; "
                "SELECT number FROM khive.log WHERE nonce = %s LIMIT 1; ",
                (uuid.UUID(bytes=nonce),),
            )
            cursor.nextset()
            cursor.nextset()
            row = cursor.fetchone()
            self._connection.execute("ROLLBACK")
        return row[0] if row else None

    # --- anything else --------------------------------------------------------------------------

    def ask(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return the rows of a statement of somebody else: bases, nodes; none if it has none.

        Raises:
            ServerAway, ServerRefuses: it was not done, or nobody knows.
        """
        with _translated(self):
            cursor = self._connection.execute(sql, values)
            return cursor.fetchall() if cursor.description else []


def _changes(rows: Sequence[tuple[Any, ...]]) -> list[LoggedChange]:
    """Return the changes of rows, of which each is a part; the first of a change has no name."""
    found: list[LoggedChange] = []
    for number, schema, nonce, name, data, marks, node, member in rows:
        part = ChangePart(name, bytes(data))
        if found and found[-1].number == number:
            found[-1] = replace(found[-1], parts=(*found[-1].parts, part))
        else:
            told = json.loads(marks) if marks else {}
            found.append(LoggedChange(number, schema, (part,), nonce.bytes, told, node, member))
    return found


def _nonce_of(position: int) -> str:
    return f"(SELECT nonce FROM khive.log WHERE number = {int(position)} LIMIT 1)"


def _nonce(found: uuid.UUID | None) -> bytes | None:
    return None if found is None else found.bytes


@contextmanager
def _translated(server: TeamServer | None = None) -> Iterator[None]:
    """Have errors of the driver be ours; what was begun at a server is rolled back."""
    try:
        yield
    except psycopg.Error as error:
        lost = isinstance(error, psycopg.OperationalError) and error.sqlstate is None
        if server is not None:
            lost = lost or server._connection.closed
            server.roll_back()
        if lost or (error.sqlstate or "").startswith(("57P", "08")):
            raise _away(error) from None
        raise ServerRefuses(_words(error), hint="Try again; the log has more.") from None


def _away(error: psycopg.Error) -> ServerAway:
    return ServerAway(_words(error), hint="It is tried again all the time.")


def _words(error: psycopg.Error) -> str:
    """Return what the driver says, on one line; it never repeats a password."""
    return " ".join(str(error).split())[:300]
