"""Statements of step 14: audit chains, members and offices of a team, and its schema."""

from __future__ import annotations

import re

from khive_supervisor.sqlite.schema.released.channels import CHANNELS

#: `audit_of_nodes`: as `audit`, which goes on as the chain of a store of one machine, and of what
#: was written before each node had one; `origin` is the node. `replica.schema`: the schema that
#: all nodes of the team know, as the server was last heard to say; it never gets less.
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
)

#: `replica.member`: the database role that this node connects as; `namespaces`: what it had a right
#: to when the replica was made, as JSON. `entry_members`: by whom the server says that an entry was
#: written; made of the log by each node, never taken from a change itself. `task_members`,
#: `schedule_members`: the same of who gave a task, and who made a schedule.
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
    """
    CREATE TABLE task_members (
        task_id INTEGER PRIMARY KEY REFERENCES tasks (id) ON DELETE CASCADE,
        member  TEXT NOT NULL
    ) STRICT
    """,
    """
    CREATE TABLE schedule_members (
        schedule_id INTEGER PRIMARY KEY REFERENCES schedules (id) ON DELETE CASCADE,
        member      TEXT NOT NULL
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

#: Names of what a machine has for its channels, and of the same for those of a team.
_OF_A_TEAM = {"channels": "outbox_channels", "deliveries": "outbox", "signals": "outbox_signals"}

#: `offices`: what this node would do for the team, and whether the server's lock for it is its own.
#: `terms`: how often each office has been taken, and by which node last; whoever acts in one checks
#: that its term is still the last. `schedule_nodes`: whose configurations name a schedule.
#: `channel_places`: up to which entry of each audit chain was looked at for a channel.
#: `outbox…`: as `channels`, `deliveries` and `signals`, of a team.
TERMS: tuple[str, ...] = (
    """
    CREATE TABLE offices (
        office TEXT PRIMARY KEY,
        held   INTEGER NOT NULL DEFAULT 0 CHECK (held IN (0, 1))
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE terms (
        office TEXT PRIMARY KEY,
        term   INTEGER NOT NULL,
        node   TEXT NOT NULL,
        since  REAL NOT NULL
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE schedule_nodes (
        name TEXT NOT NULL,
        node TEXT NOT NULL,
        PRIMARY KEY (name, node)
    ) STRICT
    """,
    """
    CREATE TABLE channel_places (
        channel_id INTEGER NOT NULL REFERENCES channels (id) ON DELETE CASCADE,
        origin     TEXT NOT NULL,
        seq        INTEGER NOT NULL,
        PRIMARY KEY (channel_id, origin)
    ) STRICT, WITHOUT ROWID
    """,
    "INSERT INTO channel_places (channel_id, origin, seq) SELECT id, '', seq FROM channels",
    *(
        re.sub(r"\b(channels|deliveries|signals)(?=\b|_)", lambda name: _OF_A_TEAM[name[1]], one)
        for one in CHANNELS
    ),
    """
    CREATE TABLE outbox_places (
        channel_id INTEGER NOT NULL REFERENCES outbox_channels (id) ON DELETE CASCADE,
        origin     TEXT NOT NULL,
        seq        INTEGER NOT NULL,
        PRIMARY KEY (channel_id, origin)
    ) STRICT, WITHOUT ROWID
    """,
)
