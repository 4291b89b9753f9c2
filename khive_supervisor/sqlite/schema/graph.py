"""Statements of step 13: typed links between entries, what was pruned, and what stands beside."""

from __future__ import annotations

#: `valid_from` and `valid_until` of a link: when what it says holds; null: it has no such end.
#: `created_at` and `ended_at` are when the store learned of it, and was told that it is not so.
#: `batches`: calls that were done at once under a key; `digest` is of the calls, `ids` are what
#: each has stored or named, so that whoever asks once more learns that.
#: `place` of an entry in what its source says: it grows along the text; 0 for what was learned by
#: earlier releases, which stands as its ids do.
GRAPH: tuple[str, ...] = (
    "ALTER TABLE links ADD COLUMN valid_from REAL",
    "ALTER TABLE links ADD COLUMN valid_until REAL",
    "ALTER TABLE entry_sources ADD COLUMN place INTEGER NOT NULL DEFAULT 0",
    "DROP INDEX entry_sources_said",
    """
    CREATE INDEX entry_sources_placed ON entry_sources (source_id, place, entry_id)
        WHERE gone_at IS NULL
    """,
    """
    CREATE TABLE batches (
        id        INTEGER PRIMARY KEY AUTOINCREMENT,
        namespace TEXT NOT NULL,
        key       TEXT NOT NULL,
        digest    BLOB NOT NULL,
        at        REAL NOT NULL,
        ids       TEXT NOT NULL CHECK (json_valid(ids)),
        UNIQUE (namespace, key)
    ) STRICT
    """,
)
