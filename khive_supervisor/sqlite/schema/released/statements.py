"""The tables, as the statements of the migrations.

Live entries are those with `deleted_at IS NULL AND superseded_by IS NULL`; only these have a row
in the full-text index. Dead ones keep their vectors, so that a restored entry is found at once.
"""

# ruff: noqa: S608 - statements are put together from this module's constants
from __future__ import annotations

#: "khiv" in ASCII: marks the file as this project's (PRAGMA application_id).
APPLICATION_ID = 0x6B686976

#: What a live entry is, in SQL; part of the partial indexes, so it must be written the same way
#: in every query that is to use them.
LIVE = "deleted_at IS NULL AND superseded_by IS NULL"

FIRST: tuple[str, ...] = (
    f"PRAGMA application_id = {APPLICATION_ID}",
    """
    CREATE TABLE entries (
        id            INTEGER PRIMARY KEY AUTOINCREMENT,
        collection    TEXT NOT NULL CHECK (collection IN ('memory', 'knowledge')),
        namespace     TEXT NOT NULL,
        kind          TEXT NOT NULL,
        title         TEXT NOT NULL,
        content       TEXT NOT NULL,
        tags          TEXT NOT NULL DEFAULT '[]' CHECK (json_valid(tags)),
        salience      REAL NOT NULL CHECK (salience BETWEEN 0 AND 1),
        decay         REAL NOT NULL CHECK (decay >= 0),
        source        TEXT,
        content_hash  BLOB NOT NULL CHECK (length(content_hash) = 16),
        created_at    REAL NOT NULL,
        updated_at    REAL NOT NULL,
        deleted_at    REAL,
        superseded_by INTEGER REFERENCES entries (id)
    ) STRICT
    """,
    f"CREATE UNIQUE INDEX entries_live_hash ON entries (content_hash) WHERE {LIVE}",
    """
    CREATE INDEX entries_deleted_hash ON entries (content_hash)
        WHERE deleted_at IS NOT NULL AND superseded_by IS NULL
    """,
    f"""
    CREATE INDEX entries_place ON entries (collection, namespace, created_at, kind)
        WHERE {LIVE}
    """,
    f"CREATE INDEX entries_collection ON entries (collection, created_at) WHERE {LIVE}",
    f"CREATE INDEX entries_created ON entries (created_at) WHERE {LIVE}",
    "CREATE INDEX entries_superseded ON entries (superseded_by) WHERE superseded_by IS NOT NULL",
    """
    CREATE VIRTUAL TABLE entries_fts USING fts5 (
        scope, title, content, tags,
        content = '', contentless_delete = 1, tokenize = 'porter unicode61'
    )
    """,
    "CREATE VIRTUAL TABLE entries_terms USING fts5vocab (entries_fts, 'row')",
    """
    CREATE TABLE models (
        model_id     TEXT PRIMARY KEY,
        vector_bytes INTEGER NOT NULL CHECK (vector_bytes > 0 AND vector_bytes % 2 = 0)
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE vectors (
        seq      INTEGER PRIMARY KEY AUTOINCREMENT,
        entry_id INTEGER NOT NULL REFERENCES entries (id) ON DELETE CASCADE,
        model_id TEXT NOT NULL REFERENCES models (model_id),
        data     BLOB NOT NULL,
        UNIQUE (entry_id, model_id)
    ) STRICT
    """,
    "CREATE INDEX vectors_by_model ON vectors (model_id, seq, entry_id)",
    """
    CREATE TABLE generations (
        generation   INTEGER PRIMARY KEY,
        model_id     TEXT NOT NULL,
        file         TEXT NOT NULL UNIQUE,
        sha256       TEXT NOT NULL CHECK (length(sha256) = 64),
        fingerprint  TEXT NOT NULL,
        bytes        INTEGER NOT NULL CHECK (bytes > 0),
        dim          INTEGER NOT NULL CHECK (dim > 0),
        metric       TEXT NOT NULL,
        items        INTEGER NOT NULL CHECK (items > 0),
        trees        INTEGER NOT NULL CHECK (trees > 0),
        covered_seq  INTEGER NOT NULL,
        max_entry_id INTEGER NOT NULL,
        direct       INTEGER NOT NULL CHECK (direct IN (0, 1)),
        created_at   REAL NOT NULL,
        state        TEXT NOT NULL CHECK (state IN ('current', 'retired'))
    ) STRICT
    """,
    "CREATE UNIQUE INDEX generations_current ON generations (model_id) WHERE state = 'current'",
)

#: A name for the store's past: another one when a backup takes its place, since numbers (ids,
#: sequence numbers, generations) that were read before then mean other things.
SECOND: tuple[str, ...] = (
    """
    CREATE TABLE past (
        only INTEGER PRIMARY KEY CHECK (only = 1),
        name BLOB NOT NULL
    ) STRICT
    """,
    "INSERT INTO past VALUES (1, randomblob(16))",
)

#: What a cached copy in some process was made of: one row counts the commits that changed that kind
#: of thing. Triggers count, so that no way to write can forget it.
_KINDS: dict[str, tuple[tuple[str, str], ...]] = {
    # kind: tables, and the columns whose updates count (empty: all)
    "generations": (("generations", ""),),
    "profiles": (("profiles", "name, description, consumer_kind, lifecycle, epoch"),),
    "posteriors": (("posteriors", ""),),
    "bindings": (("bindings", ""),),
}


def counted(kind: str, table: str, columns: str = "") -> tuple[str, ...]:
    """The triggers that count what happens to a table as changes of a kind."""
    happenings = {
        "inserted": "INSERT",
        "updated": f"UPDATE OF {columns}" if columns else "UPDATE",
        "deleted": "DELETE",
    }
    return tuple(
        f"CREATE TRIGGER {table}_{name} AFTER {happening} ON {table} BEGIN "
        f"UPDATE changes SET count = count + 1 WHERE kind = '{kind}'; END"
        for name, happening in happenings.items()
    )


#: Profiles: what feedback has taught about ranking. State in rows, changed by arithmetic in the
#: transaction that logs the event, so that two writers never overwrite each other. Every number
#: can be computed again from `profile_events`.
THIRD: tuple[str, ...] = (
    """
    CREATE TABLE changes (
        kind  TEXT PRIMARY KEY,
        count INTEGER NOT NULL DEFAULT 0
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE profiles (
        id            INTEGER PRIMARY KEY AUTOINCREMENT,
        name          TEXT NOT NULL UNIQUE,
        description   TEXT NOT NULL DEFAULT '',
        consumer_kind TEXT NOT NULL,
        lifecycle     TEXT NOT NULL DEFAULT 'active'
                      CHECK (lifecycle IN ('active', 'inactive', 'archived')),
        builtin       INTEGER NOT NULL DEFAULT 0 CHECK (builtin IN (0, 1)),
        epoch         INTEGER NOT NULL DEFAULT 0,
        events        INTEGER NOT NULL DEFAULT 0,
        created_at    REAL NOT NULL,
        updated_at    REAL NOT NULL
    ) STRICT
    """,
    """
    CREATE TABLE posteriors (
        profile_id  INTEGER NOT NULL REFERENCES profiles (id),
        weight      TEXT NOT NULL CHECK (weight IN ('relevance', 'salience', 'temporal')),
        prior_alpha REAL NOT NULL CHECK (prior_alpha > 0),
        prior_beta  REAL NOT NULL CHECK (prior_beta > 0),
        alpha       REAL NOT NULL CHECK (alpha > 0),
        beta        REAL NOT NULL CHECK (beta > 0),
        PRIMARY KEY (profile_id, weight)
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE profile_targets (
        profile_id INTEGER NOT NULL REFERENCES profiles (id),
        entry_id   INTEGER NOT NULL REFERENCES entries (id),
        alpha      REAL NOT NULL CHECK (alpha > 0),
        beta       REAL NOT NULL CHECK (beta > 0),
        events     INTEGER NOT NULL,
        PRIMARY KEY (profile_id, entry_id)
    ) STRICT, WITHOUT ROWID
    """,
    # How much one source has said of late about one target: source '' is all implicit feedback
    # together, entry 0 what is about no entry.
    """
    CREATE TABLE feedback_mass (
        profile_id INTEGER NOT NULL REFERENCES profiles (id),
        entry_id   INTEGER NOT NULL,
        source     TEXT NOT NULL,
        mass       REAL NOT NULL CHECK (mass >= 0),
        at         REAL NOT NULL,
        PRIMARY KEY (profile_id, entry_id, source)
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE bindings (
        id            INTEGER PRIMARY KEY AUTOINCREMENT,
        profile_id    INTEGER NOT NULL REFERENCES profiles (id),
        actor         TEXT NOT NULL,
        namespace     TEXT NOT NULL,
        consumer_kind TEXT NOT NULL,
        priority      INTEGER NOT NULL,
        created_at    REAL NOT NULL,
        UNIQUE (actor, namespace, consumer_kind)
    ) STRICT
    """,
    # weight: what the signal says; counted: what of it entered the posteriors. Events are never
    # deleted, so their numbers grow without AUTOINCREMENT; and no index leads to those of one
    # profile, since every page that a feedback writes costs it 20 us and a replay may scan.
    """
    CREATE TABLE profile_events (
        seq        INTEGER PRIMARY KEY,
        profile_id INTEGER NOT NULL REFERENCES profiles (id),
        at         REAL NOT NULL,
        kind       TEXT NOT NULL,
        signal     TEXT,
        entry_id   INTEGER,
        weight     REAL NOT NULL DEFAULT 0,
        counted    REAL NOT NULL DEFAULT 0,
        actor      TEXT NOT NULL DEFAULT '',
        namespace  TEXT NOT NULL DEFAULT '',
        session    TEXT NOT NULL DEFAULT '',
        scorer_run TEXT,
        serve      TEXT,
        detail     TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(detail))
    ) STRICT
    """,
    "CREATE INDEX profile_events_at ON profile_events (at)",
    """
    CREATE UNIQUE INDEX profile_events_scorer ON profile_events (scorer_run, serve)
        WHERE scorer_run IS NOT NULL
    """,
    *(f"INSERT INTO changes (kind) VALUES ('{kind}')" for kind in _KINDS),
    *(
        trigger
        for kind, tables in _KINDS.items()
        for table, columns in tables
        for trigger in counted(kind, table, columns)
    ),
    # The profile that serves what no binding names. Its priors' means are 0.7, 0.2 and 0.1.
    """
    INSERT INTO profiles (id, name, description, consumer_kind, builtin, created_at, updated_at)
    VALUES (1, 'balanced-recall-v1', 'Serves whatever no binding names.', 'recall', 1,
            unixepoch('subsec'), unixepoch('subsec'))
    """,
    """
    INSERT INTO posteriors (profile_id, weight, prior_alpha, prior_beta, alpha, beta)
    VALUES (1, 'relevance', 7, 3, 7, 3), (1, 'salience', 2, 8, 2, 8), (1, 'temporal', 1, 9, 1, 9)
    """,
    """
    INSERT INTO profile_events (profile_id, at, kind, detail)
    VALUES (1, unixepoch('subsec'), 'created',
            '{"priors": {"relevance": [7, 3], "salience": [2, 8], "temporal": [1, 9]}}')
    """,
)

#: Tasks of roles, and what roles have learned. `lease_until` and `not_before` are times of the
#: system's own clock (it counts while the machine sleeps and cannot be set) in the boot that `boot`
#: names; `digest` is that of the handler which claimed the task last.
FOURTH: tuple[str, ...] = (
    """
    CREATE TABLE tasks (
        id           INTEGER PRIMARY KEY AUTOINCREMENT,
        role         TEXT NOT NULL,
        task_type    TEXT NOT NULL,
        payload      TEXT NOT NULL CHECK (json_valid(payload)),
        priority     INTEGER NOT NULL DEFAULT 0,
        idempotency  TEXT,
        state        TEXT NOT NULL DEFAULT 'queued'
                     CHECK (state IN ('queued', 'leased', 'done', 'failed', 'cancelled', 'dead')),
        attempts     INTEGER NOT NULL DEFAULT 0,
        attempts_max INTEGER NOT NULL,
        token        INTEGER NOT NULL DEFAULT 0,
        worker       TEXT,
        generation   INTEGER,
        digest       TEXT NOT NULL DEFAULT '',
        boot         TEXT NOT NULL DEFAULT '',
        lease_until  REAL,
        cancel_asked INTEGER NOT NULL DEFAULT 0 CHECK (cancel_asked IN (0, 1)),
        deadline     REAL,
        not_before   REAL NOT NULL DEFAULT 0,
        progress     TEXT,
        result       TEXT,
        error        TEXT,
        log_tail     TEXT,
        chosen       TEXT CHECK (chosen IS NULL OR json_valid(chosen)),
        quality      REAL CHECK (quality BETWEEN 0 AND 1),
        actor        TEXT NOT NULL DEFAULT '',
        namespace    TEXT NOT NULL DEFAULT '',
        session      TEXT NOT NULL DEFAULT '',
        created_at   REAL NOT NULL,
        started_at   REAL,
        ended_at     REAL
    ) STRICT
    """,
    """
    CREATE INDEX tasks_queue ON tasks (role, priority DESC, id) WHERE state = 'queued'
    """,
    "CREATE INDEX tasks_leased ON tasks (worker) WHERE state = 'leased'",
    """
    CREATE INDEX tasks_deadline ON tasks (deadline)
        WHERE state = 'queued' AND deadline IS NOT NULL
    """,
    "CREATE INDEX tasks_ended ON tasks (ended_at) WHERE ended_at IS NOT NULL",
    "CREATE UNIQUE INDEX tasks_idempotency ON tasks (idempotency) WHERE idempotency IS NOT NULL",
    # What happened to a task, in order: enqueued, leased, requeued, fenced, done, ...
    """
    CREATE TABLE task_events (
        seq     INTEGER PRIMARY KEY AUTOINCREMENT,
        task_id INTEGER NOT NULL REFERENCES tasks (id),
        at      REAL NOT NULL,
        what    TEXT NOT NULL,
        token   INTEGER NOT NULL,
        worker  TEXT,
        detail  TEXT NOT NULL DEFAULT ''
    ) STRICT
    """,
    "CREATE INDEX task_events_task ON task_events (task_id, seq)",
    # How a role did, a row for each day: keyed by the role, never by a process. `digest` names the
    # handler and its settings, so that a changed one does not inherit the record whole.
    """
    CREATE TABLE role_records (
        role        TEXT NOT NULL,
        task_type   TEXT NOT NULL,
        digest      TEXT NOT NULL,
        day         INTEGER NOT NULL,
        executions  INTEGER NOT NULL DEFAULT 0,
        successes   INTEGER NOT NULL DEFAULT 0,
        quality_sum REAL NOT NULL DEFAULT 0,
        qualities   INTEGER NOT NULL DEFAULT 0,
        latency_sum REAL NOT NULL DEFAULT 0,
        PRIMARY KEY (role, task_type, digest, day)
    ) STRICT, WITHOUT ROWID
    """,
    # The roles that are served now, as the supervisor has loaded them; any process may read them.
    """
    CREATE TABLE roles (
        role        TEXT PRIMARY KEY,
        task_types  TEXT NOT NULL CHECK (json_valid(task_types)),
        digest      TEXT NOT NULL,
        generation  INTEGER NOT NULL,
        workers     INTEGER NOT NULL,
        attempts    INTEGER NOT NULL,
        in_service  INTEGER NOT NULL CHECK (in_service IN (0, 1)),
        updated_at  REAL NOT NULL
    ) STRICT, WITHOUT ROWID
    """,
    "INSERT INTO changes (kind) VALUES ('roles'), ('tasks')",
    *counted("roles", "roles"),
    *counted("tasks", "tasks", "state, cancel_asked"),
)
