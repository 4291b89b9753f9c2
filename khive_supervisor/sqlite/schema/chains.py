"""Statements of step 14: an audit chain for each node of a team, and which schema a team uses."""

from __future__ import annotations

#: `audit_of_nodes`: as `audit`, which goes on as the chain of a store of one machine, and of what
#: was written before each node had one; `origin` is the node. `replica.schema`: the schema that
#: all nodes of the team know, as the server was last heard to say; it never gets less.
#: `channels.origin`: whose chain `seq` is of.
CHAINS: tuple[str, ...] = (
    """
    CREATE TABLE audit_of_nodes (
        origin   TEXT NOT NULL,
        seq      INTEGER NOT NULL,
        at       REAL NOT NULL,
        kind     TEXT NOT NULL,
        actor    TEXT NOT NULL,
        subject  TEXT NOT NULL,
        detail   TEXT NOT NULL,
        previous BLOB NOT NULL,
        hash     BLOB NOT NULL,
        PRIMARY KEY (origin, seq)
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TRIGGER audit_of_nodes_no_update BEFORE UPDATE ON audit_of_nodes
    BEGIN SELECT RAISE(ABORT, 'entries of an audit chain are never changed'); END
    """,
    """
    CREATE TRIGGER audit_of_nodes_no_delete BEFORE DELETE ON audit_of_nodes
    BEGIN SELECT RAISE(ABORT, 'entries of an audit chain are never removed'); END
    """,
    "ALTER TABLE replica ADD COLUMN schema INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE channels ADD COLUMN origin TEXT NOT NULL DEFAULT ''",
)
