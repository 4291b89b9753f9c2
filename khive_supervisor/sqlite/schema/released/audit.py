"""The schema of the audit chain; see `audit` and docs/audit.md."""

from __future__ import annotations

AUDIT = (
    # What was done, each row bound to the one before it by its hash. The key keeps two processes
    # from continuing the same row; the triggers keep this project, and a slip in a shell, from
    # changing one. Whoever means to can drop them: that is what the hashes are for.
    """
    CREATE TABLE audit (
        seq      INTEGER PRIMARY KEY,
        at       REAL NOT NULL,
        kind     TEXT NOT NULL,
        actor    TEXT NOT NULL,
        subject  TEXT NOT NULL,
        detail   TEXT NOT NULL,
        previous BLOB NOT NULL,
        hash     BLOB NOT NULL
    ) STRICT
    """,
    """
    CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit
    BEGIN SELECT RAISE(ABORT, 'entries of the audit chain are never changed'); END
    """,
    """
    CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit
    BEGIN SELECT RAISE(ABORT, 'entries of the audit chain are never removed'); END
    """,
)
