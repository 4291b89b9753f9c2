"""A store in slices by namespace, for nodes that may see some of it, and a replica made of slices.

A slice is a file of SQLite with the rows of one part; one has what is of no namespace, and the
numbers that were given to rows of all of them. Audit chains are in none.
"""

# ruff: noqa: S608 - statements are put together from the schema's own names; values are bound
from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager

import apsw

from khive_supervisor.sqlite.engine.database import Database
from khive_supervisor.sqlite.entries.table import EntryTable
from khive_supervisor.sqlite.schema.migrations import migrate
from khive_supervisor.sqlite.schema.released.index import COUNTS
from khive_supervisor.sqlite.schema.shared import BELONGS, Belongs
from khive_supervisor.team.parts import TEAM

#: Which member wrote an entry goes with the entry, though each node is told it anew.
_SLICED = {
    **BELONGS,
    "entry_members": Belongs((("entry_id", "entries"),)),
    "task_members": Belongs((("task_id", "tasks"),)),
    "schedule_members": Belongs((("schedule_id", "schedules"),)),
}
#: The statements that count entries and vectors from their rows.
_COUNT = COUNTS[1:3]
#: Entries whose words are written at once.
_WORDS_AT_ONCE = 1000
_KEYS = "(SELECT id FROM main.entries)"


def namespaces(connection: apsw.Connection) -> list[str]:
    """Return the names of all parts that a store has rows of, `TEAM` first."""
    own = [name for name, one in BELONGS.items() if one.namespace and not one.names]
    every = " UNION ".join(f"SELECT {_own(BELONGS[name])} FROM {name}" for name in own)
    return [
        str(name) for (name,) in connection.execute(f"SELECT '{TEAM}' UNION {every} ORDER BY 1")
    ]


def write_slice(store: str, name: str, path: str) -> None:
    """Write a part of a store, which nobody changes, to a new file at `path`."""
    with _empty(path) as connection, attached(connection, store), connection:
        for table, belongs in _SLICED.items():
            if not belongs.audit:
                connection.execute(
                    f"INSERT INTO main.{table} SELECT * FROM other.{table} AS row "
                    f"WHERE {_part(belongs)} = ?",
                    (name,),
                )
        if name == TEAM:
            _take_numbers(connection)


def merge(slices: Collection[str], path: str) -> None:
    """Make a store at `path`, which is new, of slices; those files are brought up to date.

    What names a row that is in none of them is left out; counts are made anew. It has no words yet.
    """
    with _empty(path) as connection:
        for slice_path in slices:
            with closing(_opened(slice_path)) as found:
                migrate(found)
            with attached(connection, slice_path), connection:
                for table in _SLICED:
                    connection.execute(f"INSERT INTO main.{table} SELECT * FROM other.{table}")
                _take_numbers(connection)
        with connection:
            connection.execute(
                f"DELETE FROM links WHERE from_id NOT IN {_KEYS} OR to_id NOT IN {_KEYS}"
            )
            for statement in _COUNT:
                connection.execute(statement)


def write_words(database: Database, entries: EntryTable) -> None:
    """Write the words of all entries of a store that was made of slices."""
    ids = [int(id_) for (id_,) in database.rows("SELECT id FROM entries ORDER BY id")]
    for begin in range(0, len(ids), _WORDS_AT_ONCE):
        with database.write(local=True):
            entries.follow(ids[begin : begin + _WORDS_AT_ONCE])


def _own(belongs: Belongs) -> str:
    column = belongs.namespace
    return f"CASE WHEN {column} IN ('', '*') THEN '' ELSE {column} END"


def _part(belongs: Belongs) -> str:
    """Return the expression for the part of a row, null if what it names is not there."""
    last = _own(belongs) if belongs.namespace else "''"
    for column, table in reversed(belongs.names[:1]):
        named = f"row.{column} > 0"
        if belongs.only is not None:
            named += f" AND row.{belongs.only[0]} = '{belongs.only[1]}'"
        parent = f"(SELECT {_own(BELONGS[table])} FROM other.{table} WHERE id = row.{column})"
        last = f"CASE WHEN {named} THEN {parent} ELSE {last} END"
    return last


def _take_numbers(connection: apsw.Connection) -> None:
    """Have numbers go on where they have come to in the attached store."""
    connection.execute(
        "DELETE FROM main.sqlite_sequence WHERE name IN (SELECT name FROM other.sqlite_sequence "
        "WHERE other.sqlite_sequence.seq >= main.sqlite_sequence.seq)"
    )
    connection.execute(
        "INSERT INTO main.sqlite_sequence SELECT name, seq FROM other.sqlite_sequence "
        "WHERE name NOT IN (SELECT name FROM main.sqlite_sequence)"
    )


def _opened(path: str) -> apsw.Connection:
    connection = apsw.Connection(path)
    connection.config(apsw.SQLITE_DBCONFIG_ENABLE_TRIGGER, 0)
    connection.execute("PRAGMA foreign_keys = OFF")
    return connection


@contextmanager
def _empty(path: str) -> Iterator[apsw.Connection]:
    """Give a new store without any row, not even those that every store begins with."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
    with closing(_opened(path)) as connection:
        migrate(connection)
        with connection:
            for table in (*_SLICED, "vector_counts", "sqlite_sequence"):
                connection.execute(f"DELETE FROM {table}")
        yield connection


@contextmanager
def attached(connection: apsw.Connection, path: str) -> Iterator[None]:
    """Have another store be `other` within."""
    connection.execute("ATTACH ? AS other", (path,))
    try:
        yield
    finally:
        connection.execute("DETACH other")
