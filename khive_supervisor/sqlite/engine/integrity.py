"""Looking for damage: reads everything, changes nothing."""

# ruff: noqa: S608 - statements are put together from this package's constants; values are bound
from __future__ import annotations

from khive_supervisor.errors import StoreError
from khive_supervisor.sqlite.engine.counts import counted, counted_anew
from khive_supervisor.sqlite.engine.database import Database
from khive_supervisor.sqlite.schema.released.statements import LIVE

#: Problems that one check lists at most: more say nothing more.
LIMIT = 20


def problems(database: Database) -> list[str]:
    """Return what is wrong with the file; empty: nothing.

    Pages and records (PRAGMA quick_check), references, the full-text index's own structure, and
    that it holds the live entries and no other; and what triggers have counted.
    """
    found = []
    for check in (_pages, _references, _full_text, _full_text_rows, _counts):
        try:
            found += check(database)
        except StoreError as error:
            found.append(error.message)
    return found


def _pages(database: Database) -> list[str]:
    rows = database.rows(f"PRAGMA quick_check({LIMIT})")
    return [row[0] for row in rows if row[0] != "ok"]


def _references(database: Database) -> list[str]:
    rows = database.rows("PRAGMA foreign_key_check")[:LIMIT]
    return [f"Row {row[1]} of {row[0]} refers to a missing row of {row[2]}." for row in rows]


def _full_text(database: Database) -> list[str]:
    with database.write(local=True):
        database.rows("INSERT INTO entries_fts (entries_fts) VALUES ('integrity-check')")
    return []


def _full_text_rows(database: Database) -> list[str]:
    """A contentless index keeps the size of each of its rows: one for every live entry."""
    rows = database.rows(
        f"SELECT id FROM entries WHERE {LIVE} EXCEPT SELECT id FROM entries_fts_docsize LIMIT ?",
        [LIMIT],
    )
    found = [f"Entry {row[0]} is missing from the full-text index." for row in rows]
    rows = database.rows(
        f"SELECT id FROM entries_fts_docsize EXCEPT SELECT id FROM entries WHERE {LIVE} LIMIT ?",
        [LIMIT],
    )
    return found + [f"The full-text index holds {row[0]}, which is not live." for row in rows]


def _counts(database: Database) -> list[str]:
    with database.read():
        kept, true = counted(database), counted_anew(database)
    return [
        f"The counters of {name or 'entries'} say {kept.get(name)}, and there are {true.get(name)}."
        for name in kept.keys() | true.keys()
        if kept.get(name) != true.get(name)
    ]
