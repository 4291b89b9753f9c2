"""Statements of step 14 about teams: an audit chain for each node, the schema, members."""

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

#: `replica.member`: the database role that this node connects as; `namespaces`: what it had a right
#: to when the replica was made, as JSON. `entry_members`: by whom the server says that an entry was
#: written; made of the log by each node, never taken from a change itself.
#: `vector_counts` is counted by each node from here on, of what it has.
#: Keys that keep something from being done twice are each namespace's own: whoever does not see a
#: namespace cannot know the keys in it.
MEMBERS: tuple[str, ...] = (
    "ALTER TABLE replica ADD COLUMN member TEXT NOT NULL DEFAULT ''",
    """
    ALTER TABLE replica ADD COLUMN namespaces TEXT NOT NULL DEFAULT '["*"]'
        CHECK (json_valid(namespaces))
    """,
    """
    CREATE TABLE entry_members (
        entry_id INTEGER PRIMARY KEY REFERENCES entries (id) ON DELETE CASCADE,
        member   TEXT NOT NULL
    ) STRICT
    """,
    "INSERT INTO sqlite_sequence SELECT 'profile_events', max(seq) FROM profile_events",
    "DROP INDEX tasks_idempotency",
    """
    CREATE UNIQUE INDEX tasks_idempotency ON tasks (namespace, idempotency)
        WHERE idempotency IS NOT NULL
    """,
    "DROP INDEX workflow_runs_idempotency",
    """
    CREATE UNIQUE INDEX workflow_runs_idempotency ON workflow_runs (namespace, idempotency)
        WHERE idempotency IS NOT NULL
    """,
)

#: The number of an event is not given again where its row is hidden.
EVENTS = ("seq        INTEGER PRIMARY KEY,", "seq        INTEGER PRIMARY KEY AUTOINCREMENT,")
