"""Migrating a store that holds something: by one process, with a backup beside it before.

The supervisor that owns the store does it, or whoever opens one that nobody owns. A process of a
later release that meets a store at work under an earlier one leaves it alone: the supervisor there,
and its sessions, go on as they are until they are handed over.
"""

from __future__ import annotations

import fcntl
import glob
import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import apsw

from khive_supervisor import __version__
from khive_supervisor.errors import StoreRefused
from khive_supervisor.host import holder
from khive_supervisor.host.holder import Holder
from khive_supervisor.sqlite.engine import backup
from khive_supervisor.sqlite.engine.database import Database
from khive_supervisor.sqlite.schema import guards, migrations

#: Backups from before migrations that are kept: the newest.
KEPT = 3
#: What is in their names between the store's and the time (UTC).
MARK = ".before-upgrade-"


def upgrade(connection: apsw.Connection, path: str, *, owner: bool = False) -> None:
    """Bring a store to this release's schema; a new one is just made.

    `owner`: this process holds the store's lock already.

    Raises:
        StoreRefused: a supervisor of an earlier release is at work with it; nothing was changed.
        StoreUnavailable: there is no room for the backup; nothing was changed.
        apsw.Error: a step failed, and was rolled back.
    """
    if not 0 < migrations.schema_version(connection) < migrations.NEWEST:
        migrations.migrate(connection)
        return
    if not owner:
        check_environment(path, holder.named_by(path))
    with _owning(path, owner=owner):
        was = migrations.schema_version(connection)
        if was < migrations.NEWEST:  # another process may just have done it
            _back_up(connection, path)
            migrations.migrate(connection)


@contextmanager
def _owning(path: str, *, owner: bool) -> Iterator[None]:
    """Hold the supervisors' lock of a store for a moment, unless we do already."""
    if owner:
        yield
        return
    lock = os.open(path + ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StoreRefused(
                f"A supervisor of an earlier release is at work with {path}, which this release "
                "would have to migrate.",
                hint="`khive-supervisor upgrade` hands over to this release; `status` shows it.",
            ) from None
        yield
    finally:
        os.close(lock)


def _back_up(connection: apsw.Connection, path: str) -> None:
    """Copy the store as it is, and let go of the oldest of such copies."""
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
    target = f"{path}{MARK}{stamp}"
    number = 1
    while os.path.lexists(target):
        number += 1
        target = f"{path}{MARK}{stamp}-{number}"
    backup.copy_to(Database(connection, path), target)
    for old in backups(path)[:-KEPT]:
        os.unlink(old)


def pending(path: str) -> bool:
    """Return whether a store has to be migrated; as the file lies there, without a lock."""
    if not os.path.exists(path) or not os.path.getsize(path):
        return False
    with guards.as_it_lies(path) as connection:
        return 0 < migrations.schema_version(connection) < migrations.NEWEST


def check_environment(path: str, last: Holder | None) -> None:
    """Leave a store alone that another environment's supervisor has served, and may serve again.

    `last` is who held its lock. Somebody has to want that this release migrates it: the environment
    of a project must not take what the user's own release would then refuse.

    Raises:
        StoreRefused: it would have to be migrated, and is another environment's.
    """
    if last is None or last.prefix is None or not os.path.isdir(last.prefix):
        return
    if os.path.realpath(last.prefix) == os.path.realpath(sys.prefix) or not pending(path):
        return
    raise StoreRefused(
        f"{path} was served by {last.release} of {last.prefix}; {__version__} of {sys.prefix} "
        "would have to migrate it.",
        hint="`khive-supervisor upgrade` does so, with a backup; or use the other environment's.",
    )


def room(path: str) -> str:
    """Why the backup of a store that has to be migrated would not fit beside it; empty if it would.

    The file is looked at as it lies there, without a lock: a hint for who wants to know early.
    """
    if not pending(path):
        return ""
    needed, free = os.path.getsize(path), shutil.disk_usage(os.path.dirname(path)).free
    if free > needed:
        return ""
    return f"The backup before the migration needs {needed} bytes beside {path}; {free} are free."


def backups(path: str) -> list[str]:
    """Return the backups from before migrations of a store, the oldest first."""
    found = glob.glob(glob.escape(path + MARK) + "*")
    return sorted(file for file in found if not file.endswith(".part"))
