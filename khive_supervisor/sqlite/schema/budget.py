"""The tables of budgets: limits, the ledger of spending, and what tasks at work set aside."""

from __future__ import annotations

from khive_supervisor.sqlite.schema.statements import counted

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
