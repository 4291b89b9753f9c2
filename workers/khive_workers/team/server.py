"""The team's log in PostgreSQL, over one connection: its statements, and what its errors mean.

Whoever writes waits in line for an advisory lock and locks the row `head`, so that the numbers of
the log have no hole and their order is that of the commits. The tables are made in `tables`.
"""

# ruff: noqa: S608 - statements are put together from this module's constants and numbers
from __future__ import annotations

import json
import os
import select
import struct
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Any

import psycopg
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import TransactionStatus

from khive_supervisor.errors import StoreUnavailable
from khive_supervisor.team.clock import Sample
from khive_supervisor.team.order import BATCH, LoggedChange, LogPosition, has_change
from khive_supervisor.team.parts import ALL, ChangePart, Rights
from khive_workers.team import trust
from khive_workers.team.pipeline import Pipeline, ResultRow, Step

#: The oldest major version of a server that is used.
OLDEST = 15
#: Seconds that connecting may take, that a head which somebody else holds is waited for, and after
#: which the server lets go of one whose holder says nothing.
CONNECT_TIMEOUT, LOCK_TIMEOUT, IDLE_TIMEOUT = 3, 8, 20
#: Milliseconds without an acknowledgement of what was sent after which a connection is lost.
_ACKNOWLEDGED = 5000
#: Told with the number of a change; one without a number may be any.
_ANY = 1 << 62
_DIGITS = 18
_CONNECTING = (
    "Look at the address in `store.url`, at the password (~/.pgpass, which nobody else may read) "
    "and at the server's pg_hba.conf. A node that has joined tries again by itself."
)
#: The key of the advisory lock of whoever writes: unlike that of a row, it is given in the order in
#: which it was asked for, and may be kept from one transaction to the next.
TURN_KEY = 7_310_552_003
_BEGIN: Step = ("BEGIN", ())
_COMMIT: Step = ("COMMIT", ())
_ROLLBACK: Step = ("ROLLBACK", ())
_QUEUE: Step = (f"SELECT pg_advisory_lock({TURN_KEY})", ())
_LEAVE: Step = (f"SELECT pg_advisory_unlock({TURN_KEY})", ())
#: By its text, so that a server without that column says nothing; in the row itself, so that it is
#: what it is once the row is locked.
DIVIDED_SINCE = "(to_jsonb(head) ->> 'divided_since')::bigint"
_HEAD = (
    "SELECT number, (SELECT nonce FROM khive.log WHERE number = $1::bigint LIMIT 1), "
    f"coalesce({DIVIDED_SINCE} > number, false) FROM khive.head AS head FOR UPDATE"
)
#: The next changes after a number; parts that this member may not see are not among the rows.
_NEWER = (
    "SELECT number, schema, nonce, part, changes, marks, node, member, {} FROM khive.log "
    "WHERE number > $1::bigint {}ORDER BY number, part"
)
_BATCHED = f"AND number < (SELECT min(number) FROM khive.log WHERE number > $1::bigint) + {BATCH} "
#: With rights, where the server knows members.
_LOOK = (
    "SELECT number, team::text, extract(epoch FROM clock_timestamp())::float8, "
    "(SELECT nonce FROM khive.log WHERE number = $1::bigint LIMIT 1){} FROM khive.head"
)
_RIGHTS = ", current_user::text, array_to_json(khive.rights_of(current_user))::text"
_LOOK_ALONE, _LOOK_WITH_RIGHTS = _LOOK.format(""), _LOOK.format(_RIGHTS)
_LOG = (
    "INSERT INTO khive.log (number, node, schema, nonce, part, changes, marks) "
    "VALUES ($1::bigint, $2::text, $3::integer, $4::uuid, $5::text, $6::bytea, $7::text)"
)
_PURGE = "INSERT INTO khive.purges (number, node) VALUES ($1::bigint, $2::text)"
_COUNT = (
    "WITH counted AS (UPDATE khive.head SET number = $1::bigint) "
    "SELECT pg_notify('khive', $1::bigint::text)"
)


class ServerAway(StoreUnavailable):
    """The server cannot be asked now; what was asked last may or may not have been done."""


class ServerRefuses(StoreUnavailable):
    """The server is there, and says no."""


@dataclass(frozen=True, slots=True)
class ServerLook:
    """What a look at the server showed.

    Attributes:
        number, team: of the head.
        sample: the server's time.
        there: the nonce of the change that was asked for.
        rights: what this connection's role may see; all, where the server knows no members yet.
        more: the rows of each other statement that was asked.
    """

    number: int
    team: str
    sample: Sample
    there: bytes | None
    rights: Rights
    more: tuple[list[ResultRow], ...] = ()


@dataclass(frozen=True, slots=True)
class LockedHead:
    """The head that is held: its number, the nonce of the change asked for, and what is newer.

    `undivided`: all members see everything now, so that the next change may be in one part.
    """

    number: int
    there: bytes | None
    newer: list[LoggedChange]
    undivided: bool = False


def boottime() -> float:
    """Return the clock that goes on while the machine sleeps and cannot be set."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class TeamServer:
    """One connection to the server; used by one thread.

    Attributes:
        has_members: whether its tables are known to be those of a release that knows members.
        has_guards: whether it is known to mark what was written by who sees some namespaces only.
        undivided: whether all members saw everything when the head was held last.
    """

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self.has_members = self.has_guards = self.undivided = False
        self._connection = connection
        self._pipeline = Pipeline(connection)
        self._told = 0
        #: Nobody else may write: from asking for the head to letting go of it.
        self._in_turn = False
        self._locked: LockedHead | None = None
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
            raise ServerAway(_words(error), hint=_CONNECTING) from None
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

    def _note(self, notify: psycopg.Notify | pq.PGnotify) -> None:
        """Note what the server tells while something else is asked of it."""
        said = notify.payload if isinstance(notify, psycopg.Notify) else notify.extra.decode()
        # Whoever may connect may tell: more digits than a number has are none.
        known = said.isdecimal() and len(said) <= _DIGITS
        self._told = max(self._told, int(said) if known else _ANY)

    def told(self) -> int:
        """Return the highest number that the server has told of since the last call; never waits.

        0 if it has told nothing; a number beyond all if it did not say which.

        Raises:
            ServerAway: the connection is lost.
        """
        with _translated():
            self._connection.pgconn.consume_input()
        told, self._told = self.has_told, 0
        return told

    @property
    def has_told(self) -> int:
        """What `told` would return of what has arrived already."""
        with _translated():
            while (notify := self._connection.pgconn.notifies()) is not None:
                self._note(notify)
        return self._told

    def look(self, position: int, *more: Step) -> ServerLook:
        """Return the newest number, whose it is, the nonce of a change, and the server's time.

        `more` is asked in the same breath.
        """
        sql = _LOOK_WITH_RIGHTS if self.has_members else _LOOK_ALONE
        before = boottime()
        rows, *others = self.exchange((sql, (_number(position),)), *more)
        after = boottime()
        if not rows:
            raise ServerRefuses("The server holds no team's store.", hint="Join it anew.")
        number, team, at, there, *rights = rows[0]
        (seconds,) = struct.unpack(">d", at or b"")
        return ServerLook(
            _int(number),
            _text(team),
            Sample(before, after, seconds),
            there,
            _rights_of(*rights) if rights else Rights(),
            tuple(others),
        )

    def divided_since(self) -> int:
        """Return the number after which every change is in parts; one beyond all: none has to be.

        Raises:
            ServerAway, ServerRefuses: it could not be asked.
        """
        found = self.ask(f"SELECT coalesce({DIVIDED_SINCE}, 0) FROM khive.head AS head")
        return int(found[0][0]) if found else 0

    def newer(self, position: int) -> list[LoggedChange]:
        """Return the next changes after a number, a batch at most."""
        with _translated(self):
            (rows,) = self.exchange((self._newer(_BATCHED), (_number(position),)))
            return _changes(rows)

    def _newer(self, only: str = "") -> str:
        return _NEWER.format("partial" if self.has_guards else "false", only)

    def lock(self, position: int) -> LockedHead:
        """Hold the head of the log; return its number, and the changes after a position.

        Raises:
            ServerAway, ServerRefuses: it is not held.
        """
        with _translated(self):
            if self._locked is None and not self._pipeline.waiting:
                self._send_lock(position)
            self.receive_lock()
            locked, self._locked = self._locked, None
            assert locked is not None, "the head was asked for"
            return locked

    def ask_for_lock(self, position: int) -> None:
        """Have the next `lock`, which is of the same position, wait less. Raises ServerAway.

        That is after a change was accepted and not together with it: the server would do this
        before its answer is read, where both get the same processor.
        """
        with _translated(self):
            self._send_lock(position)

    def receive_lock(self) -> None:
        """Have the next `lock` not wait, if the head was asked for.

        Raises:
            ServerAway, ServerRefuses: it is not held.
        """
        with _translated(self):
            if self._pipeline.waiting:
                *_, head, newer = self._pipeline.receive()
                number, there, undivided = head[0] if head else (_number(0), None, None)
                newest = _changes(newer)
                self._locked = LockedHead(_int(number), there, newest, undivided == b"\x01")
                self.undivided = self._locked.undivided

    @property
    def in_turn(self) -> bool:
        """Whether nobody else may write, since this connection has the turn or has asked for it."""
        return self._in_turn

    def _send_lock(self, position: int) -> None:
        first: list[Step] = [] if self._in_turn else [_QUEUE]
        self._in_turn = True
        where = (_number(position),)
        self._pipeline.send([*first, _BEGIN, (_HEAD, where), (self._newer(), where)])

    def append(self, node: str, change: LoggedChange, *, again: bool = False) -> None:
        """Write the next change, tell all nodes, and let go of the head.

        `again`: nobody else may write before the next turn: `ask_for_lock` or `lock` has to follow.

        Raises:
            ServerAway: it is not known whether that was done.
            ServerRefuses: it was not.
        """
        with _translated(self):
            logged: list[Step] = [(_LOG, row) for row in _rows(node, change)]
            if change.purges:
                logged.append((_PURGE, (_number(change.number), node.encode())))
            counted: Step = (_COUNT, (_number(change.number),))
            self._pipeline.send([*logged, counted, _COMMIT, *([] if again else [_LEAVE])])
            self._pipeline.receive()
            self._in_turn = again

    def roll_back(self) -> None:
        """Let go of the head, if it is held; never raises."""
        self._locked = None
        try:
            self._pipeline.settle()
            if self._connection.info.transaction_status is not TransactionStatus.IDLE:
                self._connection.execute("ROLLBACK")
            if self._in_turn:
                self._connection.execute(_LEAVE[0])
                self._in_turn = False
        except psycopg.Error:
            self._connection.close()

    def has(self, change: LogPosition) -> bool | None:
        """Return whether the log has a change of which nobody knows whether it was written.

        The head is waited for: whoever was writing it has come to an end then. None: the log does
        not go back so far.

        Raises:
            ServerAway, ServerRefuses: it could not be asked.
        """
        with _translated(self):
            asked: Step = (_HEAD, (_number(change.number),))
            _, ((number, there, _),), _ = self.exchange(_BEGIN, asked, _ROLLBACK)
        return has_change(change, _int(number), there)

    def check(self) -> None:
        """See whether the connection is there still; never waits. Raises ServerAway."""
        with _translated(self):
            raw, poll = self._connection.pgconn, select.poll()
            poll.register(raw.socket, select.POLLIN)
            while poll.poll(0):
                raw.consume_input()

    # --- anything else --------------------------------------------------------------------------

    def exchange(self, *steps: Step) -> list[list[ResultRow]]:
        """Return the rows of each statement: for what is asked all the time.

        Raises:
            ServerAway, ServerRefuses: as `ask`.
        """
        with _translated(self):
            self._pipeline.send(steps)
            return self._pipeline.receive()

    def ask(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return the rows of a statement of somebody else: bases, nodes; none if it has none.

        Raises:
            ServerAway, ServerRefuses: it was not done, or nobody knows.
        """
        with _translated(self):
            cursor = self._connection.execute(sql, values)
            return cursor.fetchall() if cursor.description else []


def _rows(node: str, change: LoggedChange) -> Iterator[tuple[bytes, ...]]:
    """Give the rows of a change, one for each part; its marks are with the one without a name."""
    schema, marks = struct.pack(">i", change.schema), json.dumps(change.marks).encode()
    for part in change.parts:
        yield (
            _number(change.number), node.encode(), schema, change.nonce, part.name.encode(),
            part.changes, b"" if part.name else marks,
        )  # fmt: skip


def _changes(rows: Sequence[ResultRow]) -> list[LoggedChange]:
    """Return the changes of rows, of which each is a part; the first of a change has no name."""
    return [_change(list(of_one)) for _, of_one in groupby(rows, key=itemgetter(0))]


def _change(rows: Sequence[ResultRow]) -> LoggedChange:
    number, schema, nonce, _, _, marks, node, member, partial = rows[0]
    return LoggedChange(
        _int(number),
        _int(schema),
        tuple(ChangePart(_text(row[3]), row[4] or b"") for row in rows),
        nonce or b"",
        _marks(marks),
        _text(node),
        _text(member),
        partial=partial == b"\x01",
    )


def _marks(said: bytes | None) -> dict[str, int]:
    """Return the marks of a change; what its writer has not written as such is none."""
    try:
        found = json.loads(said or b"{}")
    except ValueError:
        return {}
    numbers = found.items() if isinstance(found, dict) else ()
    return {name: at for name, at in numbers if isinstance(at, int) and 0 < at < _ANY}


def _text(data: bytes | None) -> str:
    return (data or b"").decode()


def _number(value: int) -> bytes:
    return struct.pack(">q", value)


def _int(data: bytes | None) -> int:
    return int.from_bytes(data or b"", "big")


def _rights_of(member: bytes | None, namespaces: bytes | None) -> Rights:
    known = tuple(json.loads(namespaces or b"[]"))
    return Rights(_text(member), (ALL,) if ALL in known else known)


@contextmanager
def _translated(server: TeamServer | None = None) -> Iterator[None]:
    """Have errors of the driver be ours; what was begun at a server is rolled back."""
    try:
        yield
    except psycopg.Error as error:
        lost = isinstance(error, psycopg.OperationalError) and error.sqlstate is None
        if server is not None:
            lost = lost or server._connection.closed
            # One that does not answer is not asked again to let go: its end does that.
            server.close() if lost else server.roll_back()
        if lost or (error.sqlstate or "").startswith(("57P", "08")):
            raise _away(error) from None
        # What triggers refuse has the same state, and says what it is about.
        if str(error).startswith("permission denied") and server is not None:
            user = server._connection.info.user
            hint = f"The team's owner gives rights: khive-supervisor team grant {user} NAMESPACE."
            raise ServerRefuses(_words(error), hint=hint) from None
        raise ServerRefuses(_words(error), hint="Try again; the log has more.") from None


def _away(error: psycopg.Error) -> ServerAway:
    return ServerAway(_words(error), hint="It is tried again all the time.")


def _words(error: psycopg.Error) -> str:
    """Return what the driver says, on one line; it never repeats a password."""
    return " ".join(str(error).split())[:300]
