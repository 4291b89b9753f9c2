"""Waiting calls in a small SQLite file beside the replica, which nothing else writes to.

A file of its own: a replica that is taken anew is put together of what the server has, and a step
of the shared schema waits for the last node of a team.
"""

# ruff: noqa: S608 - statements name this module's own columns; values are bound
from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import Any, cast

import apsw

from khive_supervisor.errors import InvalidInput, NotFound, StoreError, StoreUnavailable
from khive_supervisor.sqlite.engine.database import Database
from khive_supervisor.sqlite.engine.errors import translated
from khive_supervisor.store.team.waiting import WaitingStore
from khive_supervisor.tasks import lease
from khive_supervisor.team.order import LogPosition
from khive_supervisor.team.waiting import (
    MOST,
    MOST_BYTES,
    CallerData,
    CallTime,
    NewWaitingCall,
    Standing,
    WaitingCall,
    together,
)

#: The file's name in the replica's directory.
FILE = "waiting.db"
#: Milliseconds that one process waits for another's transaction, which is a few rows.
_BUSY = 5000
_SCHEMA = """
CREATE TABLE IF NOT EXISTS calls (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  wall REAL NOT NULL,
  boot TEXT NOT NULL,
  since_boot REAL NOT NULL,
  verb TEXT NOT NULL,
  namespace TEXT NOT NULL,
  arguments TEXT NOT NULL,
  caller TEXT NOT NULL,
  size INTEGER NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 0,
  error TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX IF NOT EXISTS calls_counted ON calls (error, wall, size);
CREATE TABLE IF NOT EXISTS file (only INTEGER PRIMARY KEY CHECK (only = 1), name BLOB) STRICT;
INSERT OR IGNORE INTO file VALUES (1, randomblob(16));
"""
#: Steps that a file of an earlier release lacks, by what it says in `user_version`.
_STEPS = (
    """
ALTER TABLE calls ADD COLUMN change INTEGER NOT NULL DEFAULT 0;
ALTER TABLE calls ADD COLUMN nonce BLOB NOT NULL DEFAULT x'';
PRAGMA user_version = 1;
""",
)
#: What is said of a call, and how many characters that has.
_SAID = "wall, boot, since_boot, verb, namespace, arguments, caller, size"
_COLUMNS = f"number, {_SAID}, change, nonce, attempts, error"
#: In the order of their numbers, and not by the index, which would have all of them sorted.
_FIRST = f"SELECT {_COLUMNS} FROM calls WHERE +error = '' ORDER BY number LIMIT ?"
_ASIDE = f"SELECT {_COLUMNS} FROM calls WHERE error <> '' ORDER BY number LIMIT ?"
_SIZE = "SELECT count(*), coalesce(sum(size), 0) FROM calls"
_STANDING = (
    "SELECT count(*) FILTER (WHERE error = ''), min(wall) FILTER (WHERE error = ''), "
    "count(*) FILTER (WHERE error <> '') FROM calls"
)


def waiting_file(store_path: str) -> str:
    """Return the file with the calls that wait beside a replica."""
    return os.path.join(os.path.dirname(store_path), FILE)


class WaitingTable(WaitingStore):
    """`WaitingStore` on SQLite; a connection for each use, so that none outlives a fork.

    Args:
        database: the replica.
        node: this node's name; empty: the store is this machine's own.
        clock: unix seconds, by the team's server where its clock is known.
        pin: has what is written count as written at a moment; None: when it is.
        hold: has writes raise TeamAway for a reason; empty: has them go on.
    """

    def __init__(
        self,
        database: Database,
        node: str,
        clock: Callable[[], float],
        pin: Callable[[float | None], None],
        hold: Callable[[str], None],
    ) -> None:
        self._database = database
        self._node = node
        self._clock = clock
        self._pin = pin
        self._hold = hold
        self._path = waiting_file(database.path)

    # --- the file -------------------------------------------------------------------------------

    @contextmanager
    def _opened(self) -> Iterator[apsw.Connection]:
        """Give a connection in a transaction that takes the file's lock."""
        try:
            if not os.path.exists(self._path):
                os.close(os.open(self._path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
            flags = apsw.SQLITE_OPEN_READWRITE
            with closing(apsw.Connection(self._path, flags=flags)) as connection:
                connection.set_busy_timeout(_BUSY)
                # What was dropped or applied is not to be found in the file, and what was
                # acknowledged survives a power cut: also that the journal was emptied, which
                # costs less than its removal.
                connection.execute("PRAGMA secure_delete = ON")
                connection.execute("PRAGMA journal_mode = TRUNCATE")
                connection.execute("PRAGMA synchronous = FULL")
                connection.execute("BEGIN IMMEDIATE")
                try:
                    connection.execute(_SCHEMA)
                    for step in _STEPS[connection.pragma("user_version") :]:
                        connection.execute(step)
                    yield connection
                    connection.execute("COMMIT")
                except BaseException:
                    if connection.in_transaction:
                        connection.execute("ROLLBACK")
                    raise
        except apsw.Error as error:
            raise self._error(error) from error
        except OSError as error:
            raise StoreUnavailable(
                f"{self._path} cannot be used: {error.strerror}.",
                hint="Nothing was kept. Make its directory writable, and try again.",
            ) from error

    def _rows(self, sql: str, bindings: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return rows of the file; none where it is not there."""
        if not self._node or not os.path.exists(self._path):
            return []
        try:
            flags = apsw.SQLITE_OPEN_READWRITE  # a journal that a killed process left is put back
            with closing(apsw.Connection(self._path, flags=flags)) as connection:
                connection.set_busy_timeout(_BUSY)
                if connection.pragma("user_version") >= len(_STEPS):
                    return connection.execute(sql, bindings).fetchall()
            with self._opened() as connection:  # made by an earlier release, or not to its end
                return connection.execute(sql, bindings).fetchall()
        except apsw.Error as error:
            raise self._error(error) from error

    def _error(self, error: apsw.Error) -> StoreError:
        if isinstance(error, apsw.CorruptError | apsw.NotADBError | apsw.CantOpenError):
            return StoreError(
                f"The file with the writes that wait for the team's server cannot be used: "
                f"{self._path}: {error}.",
                hint="Move it away to go on without what it holds; nothing was stored.",
            )
        return translated(error, self._path)

    # --- calls ----------------------------------------------------------------------------------

    def keep(self, call: NewWaitingCall) -> int:
        arguments = json.dumps(call.arguments, ensure_ascii=False)
        caller = json.dumps(call.caller, ensure_ascii=False)
        more = len(arguments.encode()) + len(caller.encode())
        with self._opened() as connection:
            sizes: list[tuple[Any, ...]] = connection.execute(_SIZE).fetchall()
            count, size = sizes[0]
            if count >= MOST or size + more > MOST_BYTES:
                raise StoreUnavailable(
                    f"{count} writes ({size >> 20} MiB) wait on this machine already, and no more "
                    "are kept. Nothing was stored.",
                    hint="Try again once the server is back. `khive-supervisor team waiting` "
                    "shows what waits.",
                )
            connection.execute(
                f"INSERT INTO calls ({_SAID}, change, nonce) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    call.time.wall, call.time.boot, call.time.since_boot, call.verb,
                    call.namespace, arguments, caller, more,
                    call.unclear.number if call.unclear else 0,
                    call.unclear.nonce if call.unclear else b"",
                ),
            )  # fmt: skip
            return connection.last_insert_rowid()

    def standing(self) -> Standing:
        rows = self._rows(_STANDING)
        return Standing(*rows[0]) if rows else Standing()

    def all(self) -> list[WaitingCall]:
        return [_call(row) for row in self._rows(f"SELECT {_COLUMNS} FROM calls ORDER BY number")]

    def some(self, limit: int) -> list[WaitingCall]:
        found = [_call(row) for sql in (_ASIDE, _FIRST) for row in self._rows(sql, [limit])]
        return sorted(found, key=lambda one: one.number)

    def last(self, limit: int) -> list[WaitingCall]:
        sql = f"SELECT {_COLUMNS} FROM calls ORDER BY number DESC LIMIT ?"
        return [_call(row) for row in self._rows(sql, [limit])][::-1]

    def begin(self, limit: int, done: Collection[int] = ()) -> list[WaitingCall]:
        if not self._rows(_FIRST, [1]):
            return []
        with self._opened() as connection:
            connection.executemany("DELETE FROM calls WHERE number = ?", [(n,) for n in done])
            found = [_call(row) for row in connection.execute(_FIRST, (limit,)).fetchall()]
            begun = together(found, limit) if found else []
            _count_attempts(connection, [one.number for one in begun], 1)
            return [replace(one, attempts=one.attempts + 1) for one in begun]

    def put_back(self, numbers: Collection[int]) -> None:
        with self._opened() as connection:
            _count_attempts(connection, numbers, -1)

    def put_aside(self, number: int, error: str) -> None:
        with self._opened() as connection:
            sql = "UPDATE calls SET error = ? WHERE number = ?"
            connection.execute(sql, (error or "It failed.", number))

    def retry(self, number: int) -> int:
        if not self.named(number).error:
            raise InvalidInput(
                f"Write {number} was not put aside: it waits, and is tried by itself.",
                hint="`khive-supervisor status` says how the team's server is.",
            )
        with self._opened() as connection:  # whether it was stored is not asked again
            connection.execute(
                f"INSERT INTO calls ({_SAID}) SELECT {_SAID} FROM calls WHERE number = ?", (number,)
            )
            again = connection.last_insert_rowid()
            connection.execute("DELETE FROM calls WHERE number = ?", (number,))
            return again

    def drop(self, number: int) -> WaitingCall:
        found = self.named(number)
        with self._opened() as connection:
            connection.execute("DELETE FROM calls WHERE number = ?", (number,))
        return found

    def named(self, number: int) -> WaitingCall:
        rows = self._rows(f"SELECT {_COLUMNS} FROM calls WHERE number = ?", [number])
        if not rows:
            raise NotFound(
                f"No write {number} waits here: it was stored, or dropped.",
                hint="`khive-supervisor team waiting` lists those that do.",
            )
        return _call(rows[0])

    # --- the replica ----------------------------------------------------------------------------

    def stored(self, call: WaitingCall) -> bool:
        return call.said.unclear is not None and self._database.has(call.said.unclear)

    @contextmanager
    def behind(self) -> Iterator[None]:
        count = self.standing().waiting if self._node else 0
        before = "an earlier write" if count == 1 else f"{count} earlier writes"
        self._hold(f"{before} of this machine come first" if count else "")
        try:
            yield
        finally:
            self._hold("")

    @contextmanager
    def applying(self, calls: Sequence[WaitingCall]) -> Iterator[Collection[int]]:
        last = calls[-1].number
        ((file,),) = self._rows("SELECT name FROM file")
        with self._database.write():
            before = self._applied_to(bytes(file))
            if before < last:
                self._note(bytes(file), last)
            yield {one.number for one in calls if one.number <= before}

    @contextmanager
    def making(self, call: WaitingCall) -> Iterator[float]:
        now, boot = self._clock(), lease.now()
        made_at = call.said.time.seen_at(now, boot.boot, boot.at)
        self._pin(made_at)
        try:
            with self._database.write():
                yield made_at
        finally:
            self._pin(None)

    # Up to which number calls of this file are over stands in a row of this node's, of a batch
    # that is of no namespace: all members have it, and so has each release with teams.

    @property
    def _mark(self) -> str:
        return f"waiting:{self._node}"

    def _applied_to(self, file: bytes) -> int:
        sql = "SELECT digest FROM batches WHERE namespace = '' AND key = ?"
        found = bytes(self._database.value(sql, [self._mark]) or b"")
        return int.from_bytes(found[len(file) :]) if found.startswith(file) else 0

    def _note(self, file: bytes, number: int) -> None:
        digest, now = file + number.to_bytes(8), self._clock()
        sql = "UPDATE batches SET digest = ?, at = ? WHERE namespace = '' AND key = ?"
        if not self._database.changed(sql, [digest, now, self._mark]):
            self._database.insert(
                "batches", namespace="", key=self._mark, digest=digest, at=now, ids="[]"
            )


def _count_attempts(connection: apsw.Connection, numbers: Collection[int], more: int) -> None:
    sql = "UPDATE calls SET attempts = max(0, attempts + ?) WHERE number = ?"
    connection.executemany(sql, [(more, number) for number in numbers])


def _call(row: Sequence[Any]) -> WaitingCall:
    number, wall, boot, since_boot, verb, namespace, arguments, caller, _, *rest = row
    change, nonce, attempts, error = rest
    try:
        said = NewWaitingCall(
            CallTime(wall, boot, since_boot), verb, namespace,
            json.loads(arguments), cast("CallerData", json.loads(caller)),
            LogPosition(change, nonce) if nonce else None,
        )  # fmt: skip
    except ValueError as problem:
        raise StoreError(
            f"Waiting write {number} cannot be read: {problem}.",
            hint=f"Move {FILE} beside the replica away to go on without what it holds.",
        ) from problem
    return WaitingCall(number, said, attempts, error)
