"""The tables, as the statements of the migrations.

Live entries are those with `deleted_at IS NULL AND superseded_by IS NULL`; only these have a row
in the full-text index. Dead ones keep their vectors, so that a restored entry is found at once.
"""

from __future__ import annotations

from khive_supervisor.store.guards import APPLICATION_ID

#: What a live entry is, in SQL; part of the partial indexes, so it must be written the same way
#: in every query that is to use them.
LIVE = "deleted_at IS NULL AND superseded_by IS NULL"

FIRST: tuple[str, ...] = (
    f"PRAGMA application_id = {APPLICATION_ID}",
    """
    CREATE TABLE entries (
        id            INTEGER PRIMARY KEY AUTOINCREMENT,
        collection    TEXT NOT NULL CHECK (collection IN ('memory', 'knowledge')),
        namespace     TEXT NOT NULL,
        kind          TEXT NOT NULL,
        title         TEXT NOT NULL,
        content       TEXT NOT NULL,
        tags          TEXT NOT NULL DEFAULT '[]' CHECK (json_valid(tags)),
        salience      REAL NOT NULL CHECK (salience BETWEEN 0 AND 1),
        decay         REAL NOT NULL CHECK (decay >= 0),
        source        TEXT,
        content_hash  BLOB NOT NULL CHECK (length(content_hash) = 16),
        created_at    REAL NOT NULL,
        updated_at    REAL NOT NULL,
        deleted_at    REAL,
        superseded_by INTEGER REFERENCES entries (id)
    ) STRICT
    """,
    f"CREATE UNIQUE INDEX entries_live_hash ON entries (content_hash) WHERE {LIVE}",
    """
    CREATE INDEX entries_deleted_hash ON entries (content_hash)
        WHERE deleted_at IS NOT NULL AND superseded_by IS NULL
    """,
    f"""
    CREATE INDEX entries_place ON entries (collection, namespace, created_at, kind)
        WHERE {LIVE}
    """,
    f"CREATE INDEX entries_collection ON entries (collection, created_at) WHERE {LIVE}",
    f"CREATE INDEX entries_created ON entries (created_at) WHERE {LIVE}",
    "CREATE INDEX entries_superseded ON entries (superseded_by) WHERE superseded_by IS NOT NULL",
    """
    CREATE VIRTUAL TABLE entries_fts USING fts5 (
        scope, title, content, tags,
        content = '', contentless_delete = 1, tokenize = 'porter unicode61'
    )
    """,
    "CREATE VIRTUAL TABLE entries_terms USING fts5vocab (entries_fts, 'row')",
    """
    CREATE TABLE models (
        model_id     TEXT PRIMARY KEY,
        vector_bytes INTEGER NOT NULL CHECK (vector_bytes > 0 AND vector_bytes % 2 = 0)
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE vectors (
        seq      INTEGER PRIMARY KEY AUTOINCREMENT,
        entry_id INTEGER NOT NULL REFERENCES entries (id) ON DELETE CASCADE,
        model_id TEXT NOT NULL REFERENCES models (model_id),
        data     BLOB NOT NULL,
        UNIQUE (entry_id, model_id)
    ) STRICT
    """,
    "CREATE INDEX vectors_by_model ON vectors (model_id, seq, entry_id)",
    """
    CREATE TABLE generations (
        generation   INTEGER PRIMARY KEY,
        model_id     TEXT NOT NULL,
        file         TEXT NOT NULL UNIQUE,
        sha256       TEXT NOT NULL CHECK (length(sha256) = 64),
        fingerprint  TEXT NOT NULL,
        bytes        INTEGER NOT NULL CHECK (bytes > 0),
        dim          INTEGER NOT NULL CHECK (dim > 0),
        metric       TEXT NOT NULL,
        items        INTEGER NOT NULL CHECK (items > 0),
        trees        INTEGER NOT NULL CHECK (trees > 0),
        covered_seq  INTEGER NOT NULL,
        max_entry_id INTEGER NOT NULL,
        direct       INTEGER NOT NULL CHECK (direct IN (0, 1)),
        created_at   REAL NOT NULL,
        state        TEXT NOT NULL CHECK (state IN ('current', 'retired'))
    ) STRICT
    """,
    "CREATE UNIQUE INDEX generations_current ON generations (model_id) WHERE state = 'current'",
)

#: A name for the store's past: another one when a backup takes its place, since numbers (ids,
#: sequence numbers, generations) that were read before then mean other things.
SECOND: tuple[str, ...] = (
    """
    CREATE TABLE past (
        only INTEGER PRIMARY KEY CHECK (only = 1),
        name BLOB NOT NULL
    ) STRICT
    """,
    "INSERT INTO past VALUES (1, randomblob(16))",
)
