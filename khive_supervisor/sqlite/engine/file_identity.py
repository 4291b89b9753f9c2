"""Which files are at a store's path, and whether they are still those that are open.

A database that is deleted or replaced goes on being written by whoever has it open, into nowhere.
And what SQLite keeps beside it, the log and its index, is found by name: those of the old file
would be taken for the new one's, and spoil it. So each use compares devices and inodes (1 µs each),
and beside the database stands a record of which log belongs to which file, for whoever comes later.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import apsw

from khive_supervisor.errors import StoreReplaced, StoreUnavailable

#: What the record's name ends in, and what those of SQLite's own files do.
RECORD, LOG, INDEX = "-place", "-wal", "-shm"
#: More than the record is long.
_RECORD_BYTES = 256

#: Device and inode; None: there is no such file.
Identity = tuple[int, int] | None


@dataclass(frozen=True, slots=True)
class Files:
    """The database, its log, and the log's index in shared memory."""

    database: Identity
    log: Identity
    index: Identity


def identity(path: str) -> Identity:
    """Return what is at a path now; raises OSError if that cannot be told."""
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def files_at(path: str) -> Files:
    """Return the identities of all three files as they are now."""
    return Files(identity(path), identity(path + LOG), identity(path + INDEX))


class OpenFiles:
    """The files that one connection has open, compared with those in their places."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.open = files_at(path)

    def take(self) -> None:
        """A connection was just opened: remember what it has opened."""
        self.open = files_at(self.path)

    @property
    def gone(self) -> bool:
        """Return whether there is no database at the path."""
        return identity(self.path) is None

    def replaced(self) -> bool:
        """Return whether another database is there, or none.

        Raises:
            StoreUnavailable: the disk does not say.
        """
        return self._looked(self.path) != self.open.database

    def log_lost(self) -> bool:
        """Return whether the log that is open is not in its place; raises as `replaced`."""
        return self._looked(self.path + LOG) != self.open.log

    def _looked(self, path: str) -> Identity:
        try:
            return identity(path)
        except OSError as error:
            raise StoreUnavailable(
                f"The store {self.path} cannot be reached: {error.strerror}.",
                hint="Its disk or a directory above it is away; nothing was changed.",
            ) from error


def gone(path: str) -> StoreReplaced:
    """Return the error of a database that was deleted, or whose disk is away."""
    return StoreReplaced(
        f"The database {path} is gone: it was deleted or moved, or its disk is away. "
        "Nothing was stored.",
        hint="What was in it can still be saved while a supervisor runs: `khive-supervisor rescue "
        "FILE`. Put that, or a backup, in its place; or `khive-supervisor stop --sessions`, "
        "after which an empty one is begun.",
    )


def replaced(path: str, why: str = "") -> StoreReplaced:
    """Return the error of a write that came upon another file."""
    if why:
        return StoreReplaced(
            f"Another file is at {path}, and it cannot be used: {why}",
            hint="If it is still being copied, try again; nothing was stored.",
        )
    return StoreReplaced(
        f"The database {path} was replaced by another file, so what is remembered may be older, "
        "and numbers of entries may mean others. Nothing was stored.",
        hint="Look before you repeat it: the next call works with the new file.",
    )


# --- opening -------------------------------------------------------------------------------------


def was_here(path: str) -> bool:
    """Return whether there was a store at a path where none is now."""
    return identity(path) is None and os.path.exists(path + RECORD)


def opened(path: str, connect: Callable[[], apsw.Connection]) -> apsw.Connection:
    """Open what is at a path; another file's log that lies there is put aside first.

    `connect` makes the connection; whatever it raises is raised.
    """
    record = _Record.at(path)
    if record is None:
        return connect()
    try:
        if record.read() == files_at(path):
            return connect()
        with record.lock():
            found, known = files_at(path), record.read()
            other = known is not None and found.database != known.database
            if known is not None and (other or found.log is None):
                _put_aside(path, found, known)
            connection = connect()
            if other:
                _begin_another_past(connection)
            record.write(files_at(path))
        return connection
    finally:
        record.close()


def _put_aside(path: str, found: Files, known: Files) -> None:
    """Rename a log and an index that belong to another database than the one that is here."""
    stamp = time.strftime("%Y%m%d-%H%M%S")
    for suffix, here, theirs in ((LOG, found.log, known.log), (INDEX, found.index, known.index)):
        if here is not None and here == theirs:
            os.rename(path + suffix, f"{path}.replaced-{stamp}{suffix}")


def _begin_another_past(connection: apsw.Connection) -> None:
    """Let everybody who keeps something of the store know that it is another one."""
    if connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'past'").fetchall():
        connection.execute("UPDATE past SET name = randomblob(16)").fetchall()


class _Record:
    """The file that says which log belongs to which database; locked while that changes."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @classmethod
    def at(cls, path: str) -> _Record | None:
        """Return the record of a store, made if need be; None where none can be."""
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        try:
            return cls(os.open(path + RECORD, flags, 0o600))
        except OSError:
            return None

    def read(self) -> Files | None:
        """Return what the record says; None if that is nothing."""
        words = os.pread(self._descriptor, _RECORD_BYTES, 0).split()
        try:
            return Files(*(_parsed(word) for word in words)) if len(words) == 3 else None
        except ValueError:
            return None

    def write(self, files: Files) -> None:
        """Say this from now on."""
        words = (files.database, files.log, files.index)
        text = " ".join("-" if one is None else f"{one[0]}:{one[1]}" for one in words)
        data = text.encode() + b"\n"
        os.pwrite(self._descriptor, data, 0)
        os.ftruncate(self._descriptor, len(data))

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the lock; another process holds it for some milliseconds at most."""
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._descriptor)


def _parsed(word: bytes) -> Identity:
    if word == b"-":
        return None
    device, _, inode = word.partition(b":")
    return int(device), int(inode)
