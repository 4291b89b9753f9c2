"""Statements of what people do with what is stored: they purge it, pin it, take a change back."""

from __future__ import annotations

#: `pinned_at`: since when an entry stands first in lists; null: it does not.
#: `change_log`: what somebody did to entries, and when it was undone. `entry_states`: each entry of
#: a change as it was before (null: it was not there) and as the change left it, as JSON of the
#: columns that a change can touch.
#: `origins`: by which number something is here that was imported from another store.
CURATION: tuple[str, ...] = (
    "ALTER TABLE entries ADD COLUMN pinned_at REAL",
    """
    CREATE INDEX entries_superseded_hash ON entries (content_hash)
        WHERE superseded_by IS NOT NULL
    """,
    "CREATE INDEX entries_pinned ON entries (pinned_at) WHERE pinned_at IS NOT NULL",
    """
    CREATE TABLE change_log (
        id        INTEGER PRIMARY KEY AUTOINCREMENT,
        at        REAL NOT NULL,
        what      TEXT NOT NULL,
        actor     TEXT NOT NULL,
        undone_at REAL
    ) STRICT
    """,
    """
    CREATE TABLE entry_states (
        change_id INTEGER NOT NULL REFERENCES change_log (id) ON DELETE CASCADE,
        entry_id  INTEGER NOT NULL REFERENCES entries (id) ON DELETE CASCADE,
        before    TEXT CHECK (before IS NULL OR json_valid(before)),
        after     TEXT NOT NULL CHECK (json_valid(after)),
        PRIMARY KEY (change_id, entry_id)
    ) STRICT, WITHOUT ROWID
    """,
    "CREATE INDEX entry_states_entry ON entry_states (entry_id)",
    """
    CREATE TABLE origins (
        store TEXT NOT NULL,
        kind  TEXT NOT NULL,
        id    TEXT NOT NULL,
        here  INTEGER NOT NULL,
        PRIMARY KEY (store, kind, id)
    ) STRICT, WITHOUT ROWID
    """,
    "CREATE INDEX origins_here ON origins (kind, here)",
)

#: `purged_at`: the row is all that is left of an entry that was removed for good, so that its id is
#: never used again. `digest_key`: what the digest of the entry in the audit chain is keyed with;
#: without it, nobody can try what the entry may have said.
PURGED = (
    "ALTER TABLE entries ADD COLUMN purged_at REAL",
    "ALTER TABLE entries ADD COLUMN digest_key BLOB",
)
