"""Statements of step 13: attempts of tasks that have ended, kept as entries."""

from __future__ import annotations

#: `executions`: what is known of the attempt that an entry of the collection `execution` tells of.
#: `task_id` and `token` are the task's and its claim's; the task may be gone. An attempt that was
#: imported has no task here: both are null. `files` are paths, as JSON; `attempt` counts from 1.
EXECUTIONS: tuple[str, ...] = (
    """
    CREATE TABLE executions (
        entry_id       INTEGER PRIMARY KEY REFERENCES entries (id) ON DELETE CASCADE,
        task_id        INTEGER,
        token          INTEGER,
        attempt        INTEGER NOT NULL,
        role           TEXT NOT NULL,
        task_type      TEXT NOT NULL,
        outcome        TEXT NOT NULL CHECK (outcome IN ('done', 'failed', 'cancelled', 'died')),
        error          TEXT,
        cost           INTEGER NOT NULL,
        tokens         INTEGER NOT NULL,
        seconds        REAL NOT NULL,
        quality        REAL CHECK (quality BETWEEN 0 AND 1),
        digest         TEXT NOT NULL,
        payload_digest TEXT NOT NULL,
        session        TEXT NOT NULL,
        diff           TEXT NOT NULL DEFAULT '',
        files          TEXT NOT NULL DEFAULT '[]' CHECK (json_valid(files)),
        began_at       REAL NOT NULL,
        ended_at       REAL NOT NULL
    ) STRICT
    """,
    """
    CREATE UNIQUE INDEX executions_attempt ON executions (task_id, token)
        WHERE task_id IS NOT NULL
    """,
    "CREATE INDEX executions_role ON executions (role, ended_at)",
    "CREATE INDEX executions_session ON executions (session, ended_at)",
    "CREATE INDEX executions_ended ON executions (ended_at)",
    # What was stored while a task was done.
    "CREATE INDEX provenance_task ON provenance (task) WHERE task <> ''",
)

#: What the table of entries is made anew with: a collection more.
COLLECTIONS = (
    "CHECK (collection IN ('memory', 'knowledge'))",
    "CHECK (collection IN ('memory', 'knowledge', 'execution'))",
)
