"""What the words' file of an index generation needs of the store, to be built and kept true."""

# ruff: noqa: S608 - statements are put together from this package's constants
from __future__ import annotations

from khive_supervisor.sqlite.schema.statements import LIVE

#: `fates`: which entries died or came back, each with the number of the last time. Who keeps
#: something made of live entries reads on from the number that it has seen.
WORDS: tuple[str, ...] = (
    "CREATE VIRTUAL TABLE entries_occurrences USING fts5vocab (entries_fts, 'instance')",
    """
    CREATE TABLE fates (
        seq      INTEGER PRIMARY KEY AUTOINCREMENT,
        entry_id INTEGER NOT NULL UNIQUE REFERENCES entries (id),
        live     INTEGER NOT NULL CHECK (live IN (0, 1))
    ) STRICT
    """,
    "INSERT INTO changes (kind) VALUES ('fates')",
    f"""
    CREATE TRIGGER entries_fate AFTER UPDATE OF deleted_at, superseded_by ON entries BEGIN
        INSERT OR REPLACE INTO fates (entry_id, live)
            SELECT id, {LIVE} FROM entries WHERE id = new.id;
        UPDATE changes SET count = count + 1 WHERE kind = 'fates';
    END
    """,
)
