"""A consistent copy of the store, and the way back, while everybody goes on."""

from __future__ import annotations

import os

import apsw

from khive_supervisor.errors import InvalidInput, StoreUnavailable
from khive_supervisor.store import guards, migrations
from khive_supervisor.store.database import Database

#: Pages that are copied between two looks at the lock (4 MB): writers wait no longer than that.
_PAGES = 1000


def copy_to(database: Database, target: str) -> None:
    """Copy the database to a new file, which appears under its name only when it is durable.

    Raises:
        InvalidInput: the target exists already.
        StoreUnavailable: no room, or the target's directory cannot be written.
    """
    if os.path.lexists(target):
        raise InvalidInput(f"{target} exists already.", hint="Name a new file for the backup.")
    part = target + ".part"
    try:
        os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600))
        _copy_pages(database, part)
        _sync(part)
        os.rename(part, target)
        _sync(os.path.dirname(os.path.abspath(target)))
    except (OSError, apsw.FullError) as error:
        raise StoreUnavailable(
            f"The backup {target} cannot be written: {error}.",
            hint="Make room or choose another place; the store is unchanged.",
        ) from error
    finally:
        if os.path.exists(part):
            os.unlink(part)


def _copy_pages(database: Database, part: str) -> None:
    copy = apsw.Connection(part, flags=apsw.SQLITE_OPEN_READWRITE)
    try:
        with database.raw() as connection, copy.backup("main", connection, "main") as backup:
            while not backup.done:
                backup.step(_PAGES)
        # One file is all there is to carry away: no log beside it.
        copy.execute("PRAGMA journal_mode = DELETE").fetchall()
    finally:
        copy.close()


def restore_from(database: Database, source: str) -> None:
    """Put a backup's content in the place of everything in the store, in one transaction.

    Other processes see it as a commit like any other: nobody has to be stopped. The pages are
    written through the log, so that a crash leaves either the old content or the new.

    Raises:
        StoreRefused: the source is no backup of ours, or of a newer release.
        InvalidInput: there is no such file, or it is damaged.
    """
    if not os.path.isfile(source):
        raise InvalidInput(f"There is no file {source}.", hint="Name a file that `backup` made.")
    guards.check_file(source, migrations.NEWEST)
    origin = apsw.Connection(source, flags=apsw.SQLITE_OPEN_READONLY)
    try:
        problems = [row[0] for row in origin.execute("PRAGMA quick_check(1)")]
        if problems != ["ok"]:
            raise InvalidInput(f"{source} is damaged: {problems[0]}.", hint="Use another backup.")
        with database.raw() as connection:
            with connection.backup("main", origin, "main") as backup:
                backup.step(-1)
            migrations.migrate(connection)
    finally:
        origin.close()
    database.committed()


def _sync(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
