"""Statements of step 13: candidates of roles: what they learned, whether they are available."""

from __future__ import annotations

#: A candidate is known by its digest, in whatever role it is and however it is called there.
#: `candidate` of a task is what the caller asked for, `route` which one has it and why, as JSON.
#: A breaker's `until` is of the clock since boot, in the boot `boot`.
ROUTING: tuple[str, ...] = (
    "ALTER TABLE tasks ADD COLUMN candidate TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE tasks ADD COLUMN route TEXT CHECK (route IS NULL OR json_valid(route))",
    """
    CREATE TABLE candidate_records (
        digest      TEXT NOT NULL,
        task_type   TEXT NOT NULL,
        day         INTEGER NOT NULL,
        executions  INTEGER NOT NULL,
        successes   INTEGER NOT NULL,
        quality_sum REAL NOT NULL,
        qualities   INTEGER NOT NULL,
        latency_sum REAL NOT NULL,
        cost        INTEGER NOT NULL,
        tokens      INTEGER NOT NULL,
        PRIMARY KEY (digest, task_type, day)
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE breakers (
        digest TEXT PRIMARY KEY,
        state  TEXT NOT NULL CHECK (state IN ('closed', 'open', 'half-open')),
        faults INTEGER NOT NULL,
        boot   TEXT NOT NULL,
        until  REAL NOT NULL,
        fault  TEXT NOT NULL
    ) STRICT, WITHOUT ROWID
    """,
)
