"""What the index needs of the store: what its files are made of, and when they are due."""

# ruff: noqa: S608 - statements are put together from this package's constants
from __future__ import annotations

from khive_supervisor.sqlite.schema.released.statements import LIVE

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

#: Of the entry of a trigger, whether it lives; and of the entry of a vector.
_NEW = "(new.deleted_at IS NULL AND new.superseded_by IS NULL)"
_OLD = "(old.deleted_at IS NULL AND old.superseded_by IS NULL)"
_OF_VECTOR = f"EXISTS (SELECT 1 FROM entries WHERE id = {{}}.entry_id AND {LIVE})"
#: The rows that count an entry: all entries', and those of the models that it has vectors of.
_OF_ENTRY = "model_id = '' OR model_id IN (SELECT model_id FROM vectors WHERE entry_id = {}.id)"

#: `vector_counts`: how many vectors of a model are stored, and how many of live entries; under no
#: name, how many entries. Asked after each commit, when counting would read all of them.
COUNTS: tuple[str, ...] = (
    """
    CREATE TABLE vector_counts (
        model_id TEXT PRIMARY KEY,
        stored   INTEGER NOT NULL,
        live     INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID
    """,
    f"INSERT INTO vector_counts SELECT '', count(*), ifnull(sum({LIVE}), 0) FROM entries",
    f"""
    INSERT INTO vector_counts
        SELECT model_id, count(*), ifnull(sum({_OF_VECTOR.format("vectors")}), 0)
        FROM vectors GROUP BY model_id
    """,
    f"""
    CREATE TRIGGER entries_counted_new AFTER INSERT ON entries BEGIN
        UPDATE vector_counts SET stored = stored + 1, live = live + {_NEW} WHERE model_id = '';
    END
    """,
    f"""
    CREATE TRIGGER entries_counted_fate AFTER UPDATE OF deleted_at, superseded_by ON entries
    WHEN {_NEW} <> {_OLD} BEGIN
        UPDATE vector_counts SET live = live + {_NEW} - {_OLD} WHERE {_OF_ENTRY.format("new")};
    END
    """,
    # Before: the vectors that go with it are still there, and find no entry when they go.
    f"""
    CREATE TRIGGER entries_counted_gone BEFORE DELETE ON entries BEGIN
        UPDATE vector_counts SET live = live - {_OLD} WHERE {_OF_ENTRY.format("old")};
        UPDATE vector_counts SET stored = stored - 1 WHERE model_id = '';
    END
    """,
    f"""
    CREATE TRIGGER vectors_counted_new AFTER INSERT ON vectors BEGIN
        INSERT INTO vector_counts VALUES (new.model_id, 1, {_OF_VECTOR.format("new")})
            ON CONFLICT (model_id) DO UPDATE SET stored = stored + 1, live = live + excluded.live;
    END
    """,
    f"""
    CREATE TRIGGER vectors_counted_gone AFTER DELETE ON vectors BEGIN
        UPDATE vector_counts
            SET stored = stored - 1, live = live - {_OF_VECTOR.format("old")}
            WHERE model_id = old.model_id;
    END
    """,
)
