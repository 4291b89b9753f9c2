"""A consistent copy of the store, and the way back, while everybody goes on."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import apsw

from khive_supervisor.errors import InvalidInput, StoreUnavailable
from khive_supervisor.host.durable import sync
from khive_supervisor.sqlite.engine.database import Database
from khive_supervisor.sqlite.schema import guards, migrations

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
        sync(part)
        os.rename(part, target)
        sync(os.path.dirname(os.path.abspath(target)))
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


def restore_from(
    database: Database, source: str, prepared: Callable[[Database, str], None]
) -> None:
    """Put a backup's content in the place of everything in the store, in one transaction.

    Other processes see it as a commit like any other: nobody has to be stopped. The pages are
    written through the log, so that a crash leaves either the old content or the new. `prepared`
    gets what is to be the store, before it is, and the source's name.

    Raises:
        StoreRefused: the source is no backup of ours, or of a newer release.
        InvalidInput: there is no such file, or it is damaged.
    """
    if not os.path.isfile(source):
        raise InvalidInput(f"There is no file {source}.", hint="Name a file that `backup` made.")
    guards.check_file(source, migrations.NEWEST)
    part = database.path + ".restore-part"
    try:
        _prepare_past(source, part)
        with _opened(part) as copy:
            prepared(Database(copy, part), source)
        with (
            database.raw() as connection,
            _opened(part) as origin,
            connection.backup("main", origin, "main") as backup,
        ):
            backup.step(-1)
    finally:
        if os.path.exists(part):
            os.unlink(part)
    database.committed()


def _prepare_past(source: str, part: str) -> None:
    """A copy of a backup as this release reads it, under a name of its own for its past.

    Made aside, so that the store changes from one whole state to the other in one commit.
    """
    os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600))
    with _opened(source, apsw.SQLITE_OPEN_READONLY) as origin, _opened(part) as copy:
        problems = [row[0] for row in origin.execute("PRAGMA quick_check(1)")]
        if problems != ["ok"]:
            raise InvalidInput(f"{source} is damaged: {problems[0]}.", hint="Use another backup.")
        with copy.backup("main", origin, "main") as backup:
            backup.step(-1)
        migrations.migrate(copy)
        copy.execute("UPDATE past SET name = randomblob(16)").fetchall()


@contextmanager
def _opened(path: str, flags: int = apsw.SQLITE_OPEN_READWRITE) -> Iterator[apsw.Connection]:
    connection = apsw.Connection(path, flags=flags)
    try:
        yield connection
    finally:
        connection.close()
