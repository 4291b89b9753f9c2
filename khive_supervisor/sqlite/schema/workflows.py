"""Statements of step 13: tasks that wait for others, for a time, or for an approval."""

from __future__ import annotations

#: A task that waits is `queued` with `waiting` = 1: nobody may claim it, and what is known of a
#: waiting task beside that is in `task_waits`. A row of `tasks` says `waiting` = 0 in all other
#: states. `task_waits` stays when the task is through, so that a retry can have it wait again.
_WAITING: tuple[str, ...] = (
    "ALTER TABLE tasks ADD COLUMN waiting INTEGER NOT NULL DEFAULT 0 CHECK (waiting IN (0, 1))",
    "DROP INDEX tasks_queue",
    """
    CREATE INDEX tasks_queue ON tasks (role, priority DESC, id)
        WHERE state = 'queued' AND waiting = 0
    """,
    "CREATE INDEX tasks_waiting ON tasks (role) WHERE state = 'queued' AND waiting = 1",
    # Whoever is told of changes of tasks is told of those that have become free.
    """
    CREATE TRIGGER tasks_freed AFTER UPDATE OF waiting ON tasks BEGIN
        UPDATE changes SET count = count + 1 WHERE kind = 'tasks';
    END
    """,
    # `template` is the payload as it was given, if it refers to results. `each` is what the task
    # fans out over, `parts` into how many it has, `part` which one of `part_of`'s this one is.
    # `skipped`: it has ended without having been begun, since what it waited for went wrong.
    """
    CREATE TABLE task_waits (
        task_id  INTEGER PRIMARY KEY REFERENCES tasks (id),
        run_id   INTEGER REFERENCES workflow_runs (id),
        step     TEXT NOT NULL DEFAULT '',
        start_at REAL,
        template TEXT CHECK (template IS NULL OR json_valid(template)),
        each     TEXT NOT NULL DEFAULT '',
        part_of  INTEGER,
        part     INTEGER,
        parts    INTEGER,
        skipped  INTEGER NOT NULL DEFAULT 0 CHECK (skipped IN (0, 1)),
        held     INTEGER NOT NULL DEFAULT 0 CHECK (held IN (0, 1))
    ) STRICT
    """,
    "CREATE INDEX task_waits_run ON task_waits (run_id) WHERE run_id IS NOT NULL",
    "CREATE INDEX task_waits_part ON task_waits (part_of) WHERE part_of IS NOT NULL",
    "CREATE INDEX task_waits_start ON task_waits (start_at) WHERE start_at IS NOT NULL",
    """
    CREATE TABLE task_after (
        task_id INTEGER NOT NULL REFERENCES tasks (id),
        on_task INTEGER NOT NULL,
        policy  TEXT NOT NULL CHECK (policy IN ('cancel', 'run', 'hold')),
        PRIMARY KEY (task_id, on_task)
    ) STRICT
    """,
    "CREATE INDEX task_after_on ON task_after (on_task)",
)

#: `approver` is 'operator' or a role's name; `review_id` is the task by which that role is asked.
#: `lasts` is in seconds, the other times are unix seconds.
_APPROVALS: tuple[str, ...] = (
    """
    CREATE TABLE approvals (
        id         INTEGER PRIMARY KEY AUTOINCREMENT,
        task_id    INTEGER NOT NULL REFERENCES tasks (id),
        approver   TEXT NOT NULL,
        lasts      REAL NOT NULL,
        refusal    TEXT NOT NULL CHECK (refusal IN ('cancel', 'fail')),
        state      TEXT NOT NULL DEFAULT 'planned'
                   CHECK (state IN ('planned', 'asked', 'given', 'refused', 'expired')),
        review_id  INTEGER,
        asked_at   REAL,
        expires_at REAL,
        decided_at REAL,
        decided_by TEXT NOT NULL DEFAULT '',
        note       TEXT NOT NULL DEFAULT ''
    ) STRICT
    """,
    "CREATE INDEX approvals_task ON approvals (task_id, id)",
    "CREATE INDEX approvals_open ON approvals (expires_at) WHERE state = 'asked'",
    "CREATE INDEX approvals_review ON approvals (review_id) WHERE state = 'asked'",
)

#: `definition` is the workflow as it was when the run began: later edits do not reach it.
_RUNS: tuple[str, ...] = (
    """
    CREATE TABLE workflow_runs (
        id           INTEGER PRIMARY KEY AUTOINCREMENT,
        name         TEXT NOT NULL,
        definition   TEXT NOT NULL CHECK (json_valid(definition)),
        input        TEXT NOT NULL CHECK (json_valid(input)),
        state        TEXT NOT NULL DEFAULT 'running'
                     CHECK (state IN ('running', 'done', 'failed', 'cancelled')),
        cancel_asked INTEGER NOT NULL DEFAULT 0 CHECK (cancel_asked IN (0, 1)),
        idempotency  TEXT,
        schedule_id  INTEGER,
        actor        TEXT NOT NULL DEFAULT '',
        namespace    TEXT NOT NULL DEFAULT '',
        session      TEXT NOT NULL DEFAULT '',
        created_at   REAL NOT NULL,
        ended_at     REAL
    ) STRICT
    """,
    """
    CREATE UNIQUE INDEX workflow_runs_idempotency ON workflow_runs (idempotency)
        WHERE idempotency IS NOT NULL
    """,
)

#: A time at which a schedule was due is seen to once: whoever writes its row first begins the run.
_SCHEDULES: tuple[str, ...] = (
    """
    CREATE TABLE schedules (
        id         INTEGER PRIMARY KEY AUTOINCREMENT,
        name       TEXT NOT NULL,
        cron       TEXT NOT NULL,
        zone       TEXT NOT NULL DEFAULT '',
        catch_up   TEXT NOT NULL CHECK (catch_up IN ('one', 'none')),
        definition TEXT NOT NULL CHECK (json_valid(definition)),
        input      TEXT NOT NULL CHECK (json_valid(input)),
        configured INTEGER NOT NULL DEFAULT 0 CHECK (configured IN (0, 1)),
        seen       REAL NOT NULL,
        paused     INTEGER NOT NULL DEFAULT 0 CHECK (paused IN (0, 1)),
        actor      TEXT NOT NULL DEFAULT '',
        namespace  TEXT NOT NULL DEFAULT '',
        session    TEXT NOT NULL DEFAULT '',
        cwd        TEXT NOT NULL DEFAULT '',
        project    TEXT CHECK (project IS NULL OR json_valid(project)),
        created_at REAL NOT NULL
    ) STRICT
    """,
    "CREATE UNIQUE INDEX schedules_configured ON schedules (name) WHERE configured = 1",
    """
    CREATE TABLE schedule_firings (
        schedule_id INTEGER NOT NULL REFERENCES schedules (id),
        due         REAL NOT NULL,
        at          REAL NOT NULL,
        run_id      INTEGER,
        PRIMARY KEY (schedule_id, due)
    ) STRICT
    """,
    """
    CREATE TRIGGER schedules_inserted AFTER INSERT ON schedules BEGIN
        UPDATE changes SET count = count + 1 WHERE kind = 'tasks';
    END
    """,
)

WORKFLOWS: tuple[str, ...] = (*_RUNS, *_WAITING, *_APPROVALS, *_SCHEDULES)
