"""What agents and budgets add to tasks: directories, limits, the ledger of spending."""

from __future__ import annotations

from khive_supervisor.sqlite.schema.released.statements import counted

#: `cwd` is the caller's directory. `agent_session` can be resumed by an attempt that follows, and
#: `agent_counted` is what it had counted by then. `place` says what is left in the task's own
#: directory, as JSON.
AGENTS: tuple[str, ...] = (
    "ALTER TABLE tasks ADD COLUMN cwd TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE tasks ADD COLUMN agent_session TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE tasks ADD COLUMN agent_counted INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE tasks ADD COLUMN place TEXT CHECK (place IS NULL OR json_valid(place))",
)

#: What capabilities add to the tables of roles.
ROLE_PRIORITY = ("ALTER TABLE roles ADD COLUMN priority INTEGER NOT NULL DEFAULT 0",)

#: Costs are millionths of a US dollar. A row of `spending` is what one accepted attempt used; it is
#: never changed, and outlives its task. `spending_days` has the same summed up by role and day
#: (days since 1970, UTC). `reserved` is in the unit of the limits that the last claim was made by.
BUDGETS: tuple[str, ...] = (
    "ALTER TABLE tasks ADD COLUMN reserved INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE tasks ADD COLUMN by_fallback INTEGER NOT NULL DEFAULT 0",
    """
    CREATE TABLE spending (
        seq         INTEGER PRIMARY KEY AUTOINCREMENT,
        task_id     INTEGER NOT NULL,
        token       INTEGER NOT NULL,
        role        TEXT NOT NULL,
        at          REAL NOT NULL,
        cost        INTEGER NOT NULL CHECK (cost >= 0),
        tokens      INTEGER NOT NULL CHECK (tokens >= 0),
        by_fallback INTEGER NOT NULL CHECK (by_fallback IN (0, 1)),
        UNIQUE (task_id, token)
    ) STRICT
    """,
    "CREATE INDEX spending_role ON spending (role, by_fallback, seq)",
    """
    CREATE TABLE spending_days (
        role     TEXT NOT NULL,
        day      INTEGER NOT NULL,
        attempts INTEGER NOT NULL,
        cost     INTEGER NOT NULL,
        tokens   INTEGER NOT NULL,
        PRIMARY KEY (role, day)
    ) STRICT, WITHOUT ROWID
    """,
    # The limits in force, as JSON: what every claim is held against, in whatever process.
    """
    CREATE TABLE role_limits (
        role   TEXT PRIMARY KEY,
        limits TEXT NOT NULL CHECK (json_valid(limits))
    ) STRICT, WITHOUT ROWID
    """,
    *counted("roles", "role_limits"),
)
