"""Statements of the step for journals of clients' sessions, and for what is captured from them."""

from __future__ import annotations

#: `journal`: one row for each thing that happened in a session of a client, whoever told of it;
#: `digest` is that of path and text, `nth` counts equal ones of a session. `hooked`,
#: `transcribed`: which of the two has told of it.
#: `transcripts`: how far each file was read; `head` is a digest of its first `head_size` bytes,
#: `state` what its parser knows by then.
#: `journal_learned`: the last event of a session that was learned from; `captured`: which entry a
#: part of what was learned has become.
#: `candidates`: what a rule was not sure of, until somebody looks at it.
#: `capture_switches`: `project_id` is 0 for all projects.
JOURNAL: tuple[str, ...] = (
    """
    CREATE TABLE journal (
        id          INTEGER PRIMARY KEY AUTOINCREMENT,
        client      TEXT NOT NULL,
        session     TEXT NOT NULL,
        project_id  INTEGER REFERENCES projects (id),
        namespace   TEXT NOT NULL,
        at          REAL NOT NULL,
        kind        TEXT NOT NULL CHECK (kind IN ('prompt', 'edit', 'command', 'error', 'answer',
                    'correction', 'start', 'end', 'compact')),
        speaker     TEXT NOT NULL CHECK (speaker IN ('user', 'agent', 'tool')),
        text        TEXT NOT NULL,
        path        TEXT NOT NULL,
        exit_code   INTEGER,
        tool        TEXT NOT NULL,
        digest      BLOB NOT NULL,
        nth         INTEGER NOT NULL,
        hooked      INTEGER NOT NULL,
        transcribed INTEGER NOT NULL,
        UNIQUE (client, session, kind, digest, nth)
    ) STRICT
    """,
    "CREATE INDEX journal_session ON journal (client, session, id)",
    "CREATE INDEX journal_at ON journal (at)",
    """
    CREATE TABLE journal_learned (
        client     TEXT NOT NULL,
        session    TEXT NOT NULL,
        up_to      INTEGER NOT NULL,
        PRIMARY KEY (client, session)
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE captured (
        id       INTEGER PRIMARY KEY,
        client   TEXT NOT NULL,
        session  TEXT NOT NULL,
        part     TEXT NOT NULL,
        entry_id INTEGER NOT NULL REFERENCES entries (id) ON DELETE CASCADE,
        UNIQUE (client, session, part)
    ) STRICT
    """,
    "CREATE INDEX captured_entry ON captured (entry_id)",
    """
    CREATE TABLE transcripts (
        id         INTEGER PRIMARY KEY,
        path       TEXT NOT NULL UNIQUE,
        client     TEXT NOT NULL,
        session    TEXT NOT NULL,
        device     INTEGER NOT NULL,
        inode      INTEGER NOT NULL,
        offset     INTEGER NOT NULL,
        head       BLOB NOT NULL,
        head_size  INTEGER NOT NULL,
        state      TEXT NOT NULL CHECK (json_valid(state)),
        updated_at REAL NOT NULL
    ) STRICT
    """,
    """
    CREATE TABLE candidates (
        id         INTEGER PRIMARY KEY AUTOINCREMENT,
        rule       TEXT NOT NULL,
        kind       TEXT NOT NULL CHECK (kind IN ('decision', 'fix', 'command', 'digest')),
        text       TEXT NOT NULL,
        state      TEXT NOT NULL CHECK (state IN ('open', 'accepted', 'edited', 'dropped')),
        client     TEXT NOT NULL,
        session    TEXT NOT NULL,
        speaker    TEXT NOT NULL,
        project_id INTEGER REFERENCES projects (id),
        namespace  TEXT NOT NULL,
        digest     BLOB NOT NULL,
        entry_id   INTEGER REFERENCES entries (id) ON DELETE CASCADE,
        created_at REAL NOT NULL,
        decided_at REAL
    ) STRICT
    """,
    """
    CREATE UNIQUE INDEX candidates_once
        ON candidates (namespace, ifnull(project_id, 0), kind, digest)
    """,
    "CREATE INDEX candidates_open ON candidates (id) WHERE state = 'open'",
    """
    CREATE TABLE capture_switches (
        project_id INTEGER PRIMARY KEY,
        enabled    INTEGER NOT NULL CHECK (enabled IN (0, 1)),
        at         REAL NOT NULL
    ) STRICT
    """,
)

#: `client_sessions`: how each session of a client is, as its hooks tell of it; `process` is the
#: client's, "pid:start", `epoch` counts how often its context began anew.
#: `injections`: which entries were put into whose context; `used` is unknown until the session has
#: gone on.
HOOKS: tuple[str, ...] = (
    """
    CREATE TABLE client_sessions (
        client      TEXT NOT NULL,
        session     TEXT NOT NULL,
        project_id  INTEGER REFERENCES projects (id),
        namespace   TEXT NOT NULL,
        cwd         TEXT NOT NULL,
        branch      TEXT NOT NULL,
        process     TEXT NOT NULL,
        state       TEXT NOT NULL CHECK (state IN ('working', 'waiting', 'ended')),
        epoch       INTEGER NOT NULL,
        last_prompt TEXT NOT NULL,
        cost        REAL,
        begun_at    REAL NOT NULL,
        seen_at     REAL NOT NULL,
        PRIMARY KEY (client, session)
    ) STRICT
    """,
    "CREATE INDEX client_sessions_seen ON client_sessions (seen_at)",
    """
    CREATE TABLE injections (
        id       INTEGER PRIMARY KEY,
        entry_id INTEGER NOT NULL REFERENCES entries (id) ON DELETE CASCADE,
        event    TEXT NOT NULL CHECK (event IN ('start', 'prompt', 'error')),
        epoch    INTEGER NOT NULL,
        tokens   INTEGER NOT NULL,
        at       REAL NOT NULL,
        client   TEXT NOT NULL,
        session  TEXT NOT NULL,
        used     INTEGER CHECK (used IN (0, 1))
    ) STRICT
    """,
    "CREATE INDEX injections_session ON injections (client, session)",
    "CREATE INDEX injections_entry ON injections (entry_id)",
)
