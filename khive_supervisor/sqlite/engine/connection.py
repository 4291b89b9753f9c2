"""Opening a connection: guards first, then one named function for each setting, with its reason."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from dataclasses import dataclass

import apsw

from khive_supervisor.errors import StoreRefused, StoreUnavailable
from khive_supervisor.host.paths import make_private_directory
from khive_supervisor.sqlite.engine import file_identity, upgrading
from khive_supervisor.sqlite.engine.errors import translated
from khive_supervisor.sqlite.schema import guards, migrations

#: KiB of pages that a connection caches. A session has its own connection and should cost little;
#: what is read often is in the kernel's cache, which all share.
CACHE_KIB = 128

#: Pages in the write-ahead log at which a commit also checkpoints (16 MB). Four times SQLite's
#: own value: the supervisor checkpoints in quiet moments; this is for a store without one.
CHECKPOINT_PAGES = 4000

#: Bytes to which the log's file is cut back when it has been emptied.
LOG_LIMIT_BYTES = 64 * 1024 * 1024

#: Seconds between two looks at a lock that another process holds, where nobody tells that it is
#: free: at first about as long as one commit takes, soon many times that. Up to 2 ms only, 16
#: writers on two cores make half as many commits a second as one does, since looking takes time,
#: too; SQLite's own sleeps left some of them waiting for seconds.
FIRST_SLEEP, LONGEST_SLEEP = 0.001, 0.016

#: Seconds between two looks where `WriteQueue` tells: for locks that their holder was killed
#: with, and those that nobody tells of.
LISTEN = 0.02

#: Schemas that a worker does not refuse: its supervisor has looked.
LATER = 1 << 31

#: Seconds between two attempts to turn the write-ahead log on while another process does so:
#: SQLite does not wait by itself there.
_RETRY_SECONDS = 0.01


def _deaf(_seconds: float) -> bool:
    return False


def wait_for_locks(
    connection: apsw.Connection, seconds: float, listen: Callable[[float], bool] = _deaf
) -> None:
    """Wait for another process's write rather than fail at once.

    `listen` waits until somebody tells that the lock is free, at most so many seconds; or says
    False, and there is a sleep instead.

    SQLite's own wait sleeps longer each time, up to 100 ms, while a write takes less than one: of
    many writers, those that have waited longest would be the last to look again.
    """
    deadline = 0.0

    def wait(calls: int) -> bool:
        nonlocal deadline
        if calls == 0:
            deadline = time.monotonic() + seconds
        left = deadline - time.monotonic()
        if left <= 0:
            return False
        if listen(min(LISTEN, left)):
            return True
        # Not in step with the others, so that they do not all look at the same moment.
        longest = min(LONGEST_SLEEP, FIRST_SLEEP * (calls + 2))
        time.sleep(random.uniform(longest / 8, longest))  # noqa: S311 - no secret
        return True

    connection.set_busy_handler(wait)


def write_ahead(connection: apsw.Connection, seconds: float) -> None:
    """Readers and a writer do not block each other (https://www.sqlite.org/wal.html)."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL").fetchall()
        except apsw.BusyError:
            if time.monotonic() >= deadline:
                raise
            time.sleep(_RETRY_SECONDS)
        else:
            return


def sync_every_commit(connection: apsw.Connection) -> None:
    """An acknowledged write survives a power cut, not only a killed process."""
    connection.execute("PRAGMA synchronous = FULL").fetchall()


def enforce_references(connection: apsw.Connection) -> None:
    """No vector without its entry."""
    connection.execute("PRAGMA foreign_keys = ON").fetchall()


def distrust_schema(connection: apsw.Connection) -> None:
    """A tampered file cannot make SQLite call functions or write to shadow tables by itself."""
    connection.execute("PRAGMA trusted_schema = OFF").fetchall()
    connection.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 1)


def keep_temporaries_in_memory(connection: apsw.Connection) -> None:
    """Sorting never needs a second disk, nor leaves content in /tmp."""
    connection.execute("PRAGMA temp_store = MEMORY").fetchall()


def map_nothing(connection: apsw.Connection) -> None:
    """An I/O error in a mapped page is a signal that kills the process; in a read, an error."""
    connection.execute("PRAGMA mmap_size = 0").fetchall()


def stay_small(connection: apsw.Connection) -> None:
    """Cache CACHE_KIB of pages: a session has its own connection and should cost little."""
    connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}").fetchall()


def bound_log(connection: apsw.Connection) -> None:
    """Checkpoint at CHECKPOINT_PAGES, and cut an emptied log back to LOG_LIMIT_BYTES."""
    connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}").fetchall()
    connection.execute(f"PRAGMA journal_size_limit = {LOG_LIMIT_BYTES}").fetchall()


def overwrite_deleted(connection: apsw.Connection) -> None:
    """What is deleted from a page leaves no bytes in it; a free page is not written for that."""
    connection.execute("PRAGMA secure_delete = FAST").fetchall()


#: Applied in this order to every connection; each may be called again without harm.
SETTINGS: tuple[Callable[[apsw.Connection], None], ...] = (
    distrust_schema,
    keep_temporaries_in_memory,
    map_nothing,
    stay_small,
    sync_every_commit,
    enforce_references,
    bound_log,
    overwrite_deleted,
)


@dataclass(frozen=True, slots=True)
class Opening:
    """Which store is opened, and how.

    Attributes:
        path: absolute.
        busy_timeout: seconds that a write waits for another one.
        guarded: look at the place of the file first, and make and migrate it if need be. A worker
            opens what its supervisor has checked, and holds the lock of.
        owner: this process holds the store's lock itself; `upgrading` says who migrates.
    """

    path: str
    busy_timeout: float
    allow_network: bool = False
    guarded: bool = True
    owner: bool = False
    filesystem_of: Callable[[str], str | None] = guards.filesystem_type
    library_version: Callable[[], str] = apsw.sqlite_lib_version


def connect(opening: Opening) -> apsw.Connection:
    """Open a store, made and migrated if need be.

    Missing directories are made with mode 0700, the file with 0600; the permissions of what exists
    are never changed.

    Raises:
        StoreRefused: a guard says no; nothing was written.
        StoreUnavailable: busy, full or read-only now.
        StoreError: damaged.
    """
    path = opening.path
    if opening.guarded:
        guards.check_library(opening.library_version())
        guards.check_place(
            path, allow_network=opening.allow_network, filesystem_of=opening.filesystem_of
        )
        guards.check_file(path, migrations.NEWEST)
    try:
        if opening.guarded:
            _make_file(path)
        elif file_identity.identity(path) is None:
            raise file_identity.gone(path)
    except OSError as error:
        raise StoreUnavailable(
            f"The store {path} cannot be created: {error.strerror}.",
            hint="Make room or choose another store.path.",
        ) from error
    return file_identity.opened(path, lambda: _opened(opening))


def _opened(opening: Opening) -> apsw.Connection:
    path = opening.path
    try:
        connection = apsw.Connection(path, flags=apsw.SQLITE_OPEN_READWRITE)
    except apsw.Error as error:
        raise translated(error, path) from error
    try:
        _prepare(connection, opening)
        upgrading.upgrade(connection, path, owner=opening.owner)
    except BaseException as error:
        connection.close()
        if isinstance(error, apsw.Error):
            raise translated(error, path) from error
        raise
    return connection


def _prepare(connection: apsw.Connection, opening: Opening) -> None:
    """Check the identity once more, now with what is only in the log; then settings."""
    wait_for_locks(connection, opening.busy_timeout)
    try:
        # A worker may be of the release before its supervisor's: that has migrated the store, and
        # what it has changed lets the statements of the release before work.
        newest = migrations.NEWEST if opening.guarded else LATER
        guards.check_identity(connection, opening.path, newest)
    except StoreRefused:
        # A refused file is not checkpointed by the closing of this connection either.
        connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        raise
    write_ahead(connection, opening.busy_timeout)
    for setting in SETTINGS:
        setting(connection)


def _make_file(path: str) -> None:
    """Make the directory and an empty file, private to the user, unless they exist.

    SQLite gives its log and shared memory the mode of the file.
    """
    make_private_directory(os.path.dirname(path))
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        return
