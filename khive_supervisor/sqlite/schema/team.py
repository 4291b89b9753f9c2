"""Statements of step 13: which node of a team serves a role, and how far a replica has come."""

from __future__ import annotations

from khive_supervisor.sqlite.schema.released.statements import counted

#: `replica`: empty in a store of one machine. In a node's copy of a team's store: the node's name,
#: the server that holds the truth, number and nonce of the last change that is in here, what is to
#: be added to this boot's clock to get the server's, and how often the copy was taken anew. `node`
#: is empty in a store of one machine; of a task, it is the node whose checkout it is about, or
#: empty where any node will do.
TEAM: tuple[str, ...] = (
    """
    CREATE TABLE replica (
        only   INTEGER PRIMARY KEY CHECK (only = 1),
        node   TEXT NOT NULL,
        server TEXT NOT NULL,
        number INTEGER NOT NULL,
        nonce  BLOB NOT NULL DEFAULT x'',
        boot   TEXT NOT NULL DEFAULT '',
        ahead  REAL NOT NULL DEFAULT 0,
        epoch  INTEGER NOT NULL DEFAULT 0
    ) STRICT
    """,
    """
    CREATE TABLE roles_of_nodes (
        node        TEXT NOT NULL DEFAULT '',
        role        TEXT NOT NULL,
        task_types  TEXT NOT NULL CHECK (json_valid(task_types)),
        digest      TEXT NOT NULL,
        generation  INTEGER NOT NULL,
        workers     INTEGER NOT NULL,
        attempts    INTEGER NOT NULL,
        in_service  INTEGER NOT NULL CHECK (in_service IN (0, 1)),
        priority    INTEGER NOT NULL DEFAULT 0,
        updated_at  REAL NOT NULL,
        PRIMARY KEY (node, role)
    ) STRICT, WITHOUT ROWID
    """,
    """
    INSERT INTO roles_of_nodes (role, task_types, digest, generation, workers, attempts,
                                in_service, priority, updated_at)
        SELECT role, task_types, digest, generation, workers, attempts,
               in_service, priority, updated_at FROM roles
    """,
    "DROP TABLE roles",
    "ALTER TABLE roles_of_nodes RENAME TO roles",
    *counted("roles", "roles"),
    """
    CREATE TABLE limits_of_nodes (
        node   TEXT NOT NULL DEFAULT '',
        role   TEXT NOT NULL,
        limits TEXT NOT NULL CHECK (json_valid(limits)),
        PRIMARY KEY (node, role)
    ) STRICT, WITHOUT ROWID
    """,
    "INSERT INTO limits_of_nodes (role, limits) SELECT role, limits FROM role_limits",
    "DROP TABLE role_limits",
    "ALTER TABLE limits_of_nodes RENAME TO role_limits",
    *counted("roles", "role_limits"),
    "ALTER TABLE tasks ADD COLUMN node TEXT NOT NULL DEFAULT ''",
)
