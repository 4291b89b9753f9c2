"""One connection, used by one process and one thread at a time, with no statement left open."""

# ruff: noqa: S608 - names of tables and columns are this package's constants; values are bound
from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import apsw

from khive_supervisor.control import measured
from khive_supervisor.errors import InvalidInput, StoreUnavailable, TeamAway
from khive_supervisor.redaction.gate import TextGate
from khive_supervisor.sqlite.engine.errors import translated
from khive_supervisor.sqlite.engine.followed import FollowedConnection
from khive_supervisor.sqlite.engine.sharing import Sharing, WriteTurn
from khive_supervisor.sqlite.engine.text_guard import TextGuard, Value
from khive_supervisor.sqlite.engine.write_queue import WriteQueue
from khive_supervisor.team.order import LogPosition

__all__ = ["Database", "Value"]

#: KiB of pages that a connection caches while it writes thousands of rows.
_ROOMY_KIB = 32 * 1024

_DATA_VERSION = "PRAGMA data_version"
#: What a statement about full text has in it.
_WORDS = "entries_fts"


def _to_disk(descriptor: int) -> None:
    """What SQLite itself does at a commit; not every system has fdatasync."""
    getattr(os, "fdatasync", os.fsync)(descriptor)


class Database(FollowedConnection):
    """The tables' way to SQLite: whole results, whole transactions, our errors."""

    def __init__(
        self,
        connection: apsw.Connection,
        path: str,
        queue: WriteQueue | None = None,
        reopen: Callable[[], apsw.Connection] | None = None,
        gate: TextGate | None = None,
        sharing: Sharing | None = None,
    ) -> None:
        super().__init__(connection, path, reopen)
        #: Whom changes are told before they are committed; None: they are this machine's own.
        self._sharing = sharing
        #: The transaction that is open may change what is shared.
        self._shares = False
        #: What is left to do in the transaction that is open, as `later` says.
        self._left: list[Callable[[], None]] = []
        #: Why nothing that is shared may be changed now; empty: it may.
        self.held_back = ""
        #: What every text passes that is to be kept.
        self.gate = gate or TextGate()
        self._guard = TextGuard(self.gate)
        self._queue = queue
        self._lock = threading.RLock()

    def rows(self, sql: str, bindings: Sequence[Value] = ()) -> list[tuple[Any, ...]]:
        """Return all rows of a statement; it is finished when this returns."""
        with self._lock:
            if self._left and _WORDS in sql:
                self._do_left()
            try:
                return self._current().execute(sql, self._guard(sql, bindings)).fetchall()
            except apsw.Error as error:
                raise translated(error, self.path) from error
            except (UnicodeEncodeError, OverflowError) as error:
                raise InvalidInput(
                    f"A value cannot be stored: {error}.",
                    hint="Use valid Unicode and numbers of at most 64 bits.",
                ) from error

    def value(self, sql: str, bindings: Sequence[Value] = ()) -> Any:
        """Return the first column of the first row, or None without a row."""
        found = self.rows(sql, bindings)
        return found[0][0] if found else None

    def changed(self, sql: str, bindings: Sequence[Value] = ()) -> int:
        """Run a statement that writes; how many rows it changed."""
        with self._lock:
            self.rows(sql, bindings)
            return self._open().changes()

    def inserted(self, sql: str, bindings: Sequence[Value] = ()) -> int:
        """Run an INSERT; the rowid that it gave."""
        with self._lock:
            self.rows(sql, bindings)
            return self._open().last_insert_rowid()

    def insert(self, table: str, **row: Value) -> int:
        """Insert one row, its values by their columns; the rowid that it got."""
        places = ", ".join("?" * len(row))
        sql = f"INSERT INTO {table} ({', '.join(row)}) VALUES ({places})"
        return self.inserted(sql, [*row.values()])

    def update(self, table: str, row_id: int, **values: Value) -> None:
        """Give columns of the row of an id other values."""
        columns = ", ".join(f"{name} = ?" for name in values)
        self.rows(f"UPDATE {table} SET {columns} WHERE id = ?", [*values.values(), row_id])

    def derived(
        self,
        read: str,
        write: str,
        values: Callable[[list[tuple[Any, ...]]], Sequence[Value]],
        asked: Sequence[Value] = (),
    ) -> None:
        """Run a statement that writes what follows from another one's rows, in the transaction.

        `asked` are the values of the one that reads. Both without a detour: the audit chain does
        this in each write.
        """
        with self._lock:
            connection = self._open()
            assert connection.in_transaction, "what follows would be another process's"
            try:
                connection.execute(write, values(connection.execute(read, asked).fetchall()))
            except apsw.Error as error:
                raise translated(error, self.path) from error

    def later(self, work: Callable[[], None]) -> None:
        """Do in the transaction what only this machine needs of a change, as its full text.

        That is at once; in a transaction that a team has to accept while its server does so, and
        in any case before a statement about full text.
        """
        if self._shares and self._current().in_transaction:
            self._left.append(work)
        else:
            work()

    def _do_left(self) -> None:
        left, self._left = self._left, []
        for work in left:
            work()

    def _finish(self) -> None:
        """Do what is left, and have full text write it down: it would when this is committed."""
        if self._left:
            self._do_left()
            self.rows("SAVEPOINT finished")
            self.rows("RELEASE finished")

    @property
    def shared(self) -> bool:
        """Whether what is written here is shared with other machines."""
        return self._sharing is not None

    @contextmanager
    def write(self, *, local: bool = False) -> Iterator[None]:
        """A transaction that takes the write lock at once: all of it is committed, or nothing.

        Inside another one of the same thread it is a part of it, which fails or succeeds alone
        (a savepoint) and becomes durable with the whole. `local`: it changes only tables of this
        machine (`schema.shared`), so that a team's server need not be asked.
        """
        with self._lock:
            connection = self._current(writes=True)
            nested = connection.in_transaction
            left = list(self._left)
            turn = None
            if self._sharing is not None:
                turn = self._turn(self._sharing, connection, nested=nested, local=local)
            try:
                began = time.perf_counter()
                self.rows("SAVEPOINT part" if nested else "BEGIN IMMEDIATE")
                if not nested:
                    measured.took(measured.LOCK_WAIT, "", began)
                try:
                    if turn is not None:
                        turn.begin(connection)
                    yield
                    if turn is not None:
                        turn.accept(connection, self._finish)
                    self.rows("RELEASE part" if nested else "COMMIT")
                    if not nested:
                        measured.took(measured.WRITE, "", began)
                        self._still_there()
                except BaseException:
                    self._left = left
                    self._undo(connection, nested=nested)
                    raise
                finally:
                    self._own_commits += not nested
                    if self._queue is not None and not nested:
                        self._queue.pass_on()
            finally:
                if turn is not None:
                    turn.end()

    def catch_up(self) -> None:
        """Wait until what is read next has all that was written anywhere before this was asked.

        Nothing is to be waited for in a store of one machine, nor inside a transaction.

        Raises:
            StoreUnavailable: a team's server cannot be asked now.
        """
        with self._lock:
            if self._sharing is not None and not self._current().in_transaction:
                self._sharing.catch_up()

    def has(self, change: LogPosition) -> bool:
        """Return whether a team's log has a change of which nobody knew that.

        Raises:
            TeamAway: that cannot be asked now.
            StoreError: nobody knows any more.
        """
        with self._lock:
            return self._sharing is not None and self._sharing.has(change)

    def _turn(
        self, sharing: Sharing, connection: apsw.Connection, *, nested: bool, local: bool
    ) -> WriteTurn | None:
        """Return the turn of a transaction that is about to begin; None where it needs none."""
        if nested:
            assert local or self._shares, "a transaction of local tables changes a shared one"
            return None
        self._shares = not local
        if local:
            sharing.local(connection)
            return None
        if self.held_back:
            raise TeamAway(f"Nothing was written: {self.held_back}.", hint="Try again later.")
        return sharing.take(connection)

    @contextmanager
    def roomy(self) -> Iterator[None]:
        """Keep more pages in memory within: for writing thousands of rows in one transaction.

        With the few pages of a session, each row would have others read and written meanwhile.
        """
        usual = self.value("PRAGMA cache_size")
        self.rows(f"PRAGMA cache_size = {-_ROOMY_KIB}")
        try:
            yield
        finally:
            self.rows(f"PRAGMA cache_size = {usual}")
            self.rows("PRAGMA shrink_memory")

    @contextmanager
    def write_small(self) -> Iterator[None]:
        """Like `write`, for what many sessions do at once: they wait for the disk together.

        The log is forced to disk when the lock is free again, before this returns: whoever commits
        meanwhile shares that, instead of waiting for the disk once more. Who reads may see a commit
        that a power cut would still take back; nobody is told that it is done before it cannot.
        """
        with self._lock:
            # What is shared is durable elsewhere before it is committed here.
            if self._current(writes=True).in_transaction or self._sharing is not None:
                with self.write():
                    yield
                return
            self.rows("PRAGMA synchronous = NORMAL")
            try:
                with self.write():
                    yield
            finally:
                self.rows("PRAGMA synchronous = FULL")
            self._force_log()
            self._still_there()

    def _force_log(self) -> None:
        """What is in the log by now survives a power cut when this returns.

        By a descriptor of its own: SQLite holds its locks on other files. A log that another
        process has emptied meanwhile was in the database, and forced to disk, before that.
        """
        try:
            descriptor = os.open(self.path + "-wal", os.O_RDONLY | os.O_CLOEXEC)
            try:
                _to_disk(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise StoreUnavailable(
                f"The store {self.path} could not be forced to disk: {error.strerror}.",
                hint="It was written, but may not survive a power cut; `doctor` checks the disk.",
            ) from error

    @contextmanager
    def read(self) -> Iterator[None]:
        """All statements inside see one state of the store; inside `write`, a part of that."""
        with self._lock:
            connection = self._current()
            nested = connection.in_transaction
            if not nested:
                self.rows("BEGIN")
            try:
                yield
            finally:
                if not nested and connection.in_transaction:
                    self.rows("ROLLBACK")

    def _undo(self, connection: apsw.Connection, *, nested: bool) -> None:
        """Roll back, unless SQLite has done so by itself (full disk, I/O error)."""
        if connection.in_transaction:
            if nested:
                self.rows("ROLLBACK TO part")
                self.rows("RELEASE part")
            else:
                self.rows("ROLLBACK")

    def data_version(self) -> int:
        """Return SQLite's number of other connections' commits, outside of any transaction.

        Not apsw's `Connection.data_version()`, which is stale until a read has run.
        """
        with self._lock:
            assert not self._open().in_transaction, "data_version is frozen inside a transaction"
            return int(self.value(_DATA_VERSION))

    def change_token(self) -> tuple[int, int] | None:
        """Return `data_version` and a count of own commits; None inside a transaction.

        Asked before every answer, so without a detour.
        """
        with self._lock:
            connection = self._current()
            if connection.in_transaction:
                return None
            try:
                (row,) = connection.execute(_DATA_VERSION)
            except apsw.Error as error:
                raise translated(error, self.path) from error
            return row[0], self._own_commits

    @contextmanager
    def raw(self) -> Iterator[apsw.Connection]:
        """The connection itself, for what only apsw's interface offers (checkpoint, backup)."""
        with self._lock:
            try:
                yield self._open()
            except apsw.Error as error:
                raise translated(error, self.path) from error

    def committed(self) -> None:
        """Count a commit that was made on the raw connection."""
        self._own_commits += 1

    def close(self) -> None:
        """Close the connection; again is harmless.

        After a fork the child only forgets it: closing would end the locks of the parent.
        """
        with self._lock:
            if self._queue is not None:
                self._queue.close()
            if self._sharing is not None:
                self._sharing.close()
            self._close()
