"""Another program's SQLite file, opened for reading alone: it is never migrated or written."""

from __future__ import annotations

import os
import urllib.parse
from collections.abc import Iterator, Mapping

import apsw

from khive_supervisor.errors import InvalidInput

#: Seconds to wait for a program that has the file locked.
_BUSY = 5.0


def _distrust(connection: apsw.Connection) -> None:
    """Let a database that others have made run nothing, and be written by nothing."""
    connection.set_busy_timeout(int(_BUSY * 1000))
    connection.execute("PRAGMA query_only = ON")
    connection.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 1)
    connection.config(apsw.SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0)


def rows(path: str, sql: str) -> Iterator[Mapping[str, object]]:
    """Yield the rows of a statement by the names of their columns.

    Raises:
        InvalidInput: it is no database, is damaged, or cannot be read.
    """
    try:
        connection = apsw.Connection(_address(path), flags=_FLAGS)
    except apsw.Error as error:
        raise _unreadable(path, error) from None
    try:
        _distrust(connection)
        cursor = connection.execute(sql)
        for row in cursor:
            yield dict(zip((name for name, *_ in cursor.description), row, strict=True))
    except apsw.Error as error:
        raise _unreadable(path, error) from None
    finally:
        connection.close()


_FLAGS = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI


def _address(path: str) -> str:
    """Return the address of a file: a copy without a log cannot change while it is read."""
    log = f"{path}-wal"
    alone = not os.path.exists(log) or not os.path.getsize(log)
    quoted = urllib.parse.quote(os.path.abspath(path))
    return f"file:{quoted}?mode=ro" + ("&immutable=1" if alone else "")


def _unreadable(path: str, error: apsw.Error) -> InvalidInput:
    return InvalidInput(
        f"{path} cannot be read as a SQLite database: {error}.",
        hint="Copy it while its program is stopped, with its -wal file, and import the copy.",
    )
