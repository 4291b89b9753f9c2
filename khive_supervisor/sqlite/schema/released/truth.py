"""Statements of the step that lets entries disagree, end, and speak of code."""

from __future__ import annotations

#: `links`: what one entry says of another one, since when, until when and by whom; kinds are in
#: `store.links`. A supersession is kept by the triggers, however an entry gets its successor:
#: `superseded_by` is what searches look at, its link is what tells when.
#: `code_references`: what an entry is about in somebody's files; `blob` is git's id of the whole
#: file as it was then, `value` what the entry says that `name` has there.
#: `valid_from` and `valid_until` are null for what holds as long as it lives.
TRUTH: tuple[str, ...] = (
    """
    CREATE TABLE links (
        id         INTEGER PRIMARY KEY AUTOINCREMENT,
        from_id    INTEGER NOT NULL REFERENCES entries (id) ON DELETE CASCADE,
        to_id      INTEGER NOT NULL REFERENCES entries (id) ON DELETE CASCADE,
        kind       TEXT NOT NULL,
        created_at REAL NOT NULL,
        ended_at   REAL,
        by         TEXT NOT NULL DEFAULT ''
    ) STRICT
    """,
    "CREATE UNIQUE INDEX links_live ON links (from_id, to_id, kind) WHERE ended_at IS NULL",
    "CREATE INDEX links_from ON links (from_id)",
    "CREATE INDEX links_to ON links (to_id)",
    """
    INSERT INTO links (from_id, to_id, kind, created_at)
        SELECT superseded_by, id, 'supersedes', updated_at FROM entries
        WHERE superseded_by IS NOT NULL AND superseded_by <> id
    """,
    """
    CREATE TRIGGER links_superseded AFTER UPDATE OF superseded_by ON entries
    WHEN new.superseded_by IS NOT old.superseded_by BEGIN
        UPDATE links SET ended_at = new.updated_at
            WHERE to_id = new.id AND kind = 'supersedes' AND ended_at IS NULL;
        INSERT INTO links (from_id, to_id, kind, created_at)
            SELECT new.superseded_by, new.id, 'supersedes', new.updated_at
            WHERE new.superseded_by IS NOT NULL AND new.superseded_by <> new.id;
    END
    """,
    "ALTER TABLE entries ADD COLUMN valid_from REAL",
    "ALTER TABLE entries ADD COLUMN valid_until REAL",
    """
    CREATE INDEX entries_validity ON entries (id)
        WHERE valid_from IS NOT NULL OR valid_until IS NOT NULL
    """,
    """
    CREATE TABLE code_references (
        id         INTEGER PRIMARY KEY AUTOINCREMENT,
        entry_id   INTEGER NOT NULL REFERENCES entries (id) ON DELETE CASCADE,
        root       TEXT NOT NULL,
        path       TEXT NOT NULL,
        name       TEXT,
        value      TEXT,
        blob       TEXT,
        commit_id  TEXT,
        created_at REAL NOT NULL
    ) STRICT
    """,
    "CREATE INDEX code_references_entry ON code_references (entry_id)",
)
