"""Statements of the migration that says of entries what they are about, and who stored them."""

from __future__ import annotations

from khive_supervisor.sqlite.schema.released.statements import LIVE, counted

#: `projects`: `merged_into` is never the number of a project that was merged itself. `roots_at` is
#: when its root commits were looked for.
#: `project_marks`: what only this project has, as long as the inode there is the same (`node`; a
#: folder has none). `project_candidates`: what several may have.
#: `entries`: without a project, an entry is about the user as a whole, as all older ones are.
#: `provenance`: who stored entries, each combination once.
PROJECTS: tuple[str, ...] = (
    """
    CREATE TABLE projects (
        id          INTEGER PRIMARY KEY AUTOINCREMENT,
        name        TEXT NOT NULL,
        merged_into INTEGER REFERENCES projects (id),
        created_at  REAL NOT NULL,
        roots_at    REAL
    ) STRICT
    """,
    "CREATE INDEX projects_merged ON projects (merged_into) WHERE merged_into IS NOT NULL",
    """
    CREATE TABLE project_marks (
        mark       TEXT PRIMARY KEY,
        node       TEXT NOT NULL,
        project_id INTEGER NOT NULL REFERENCES projects (id)
    ) STRICT, WITHOUT ROWID
    """,
    "CREATE INDEX project_marks_project ON project_marks (project_id)",
    """
    CREATE TABLE project_candidates (
        mark       TEXT NOT NULL,
        project_id INTEGER NOT NULL REFERENCES projects (id),
        PRIMARY KEY (mark, project_id)
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE project_roots (
        project_id INTEGER NOT NULL REFERENCES projects (id),
        root       TEXT NOT NULL,
        PRIMARY KEY (project_id, root)
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE TABLE provenance (
        id             INTEGER PRIMARY KEY AUTOINCREMENT,
        said_by        TEXT NOT NULL CHECK (said_by IN ('person', 'agent', 'tool')),
        how            TEXT NOT NULL
                       CHECK (how IN ('said', 'captured', 'learned', 'imported')),
        actor          TEXT NOT NULL,
        client         TEXT NOT NULL,
        client_version TEXT NOT NULL,
        session        TEXT NOT NULL,
        task           TEXT NOT NULL,
        role           TEXT NOT NULL,
        UNIQUE (session, actor, said_by, how, client, client_version, task, role)
    ) STRICT
    """,
    "ALTER TABLE entries ADD COLUMN project_id INTEGER REFERENCES projects (id)",
    "ALTER TABLE entries ADD COLUMN branch TEXT",
    "ALTER TABLE entries ADD COLUMN commit_id TEXT",
    "ALTER TABLE entries ADD COLUMN provenance_id INTEGER REFERENCES provenance (id)",
    f"""
    CREATE INDEX entries_project ON entries (ifnull(project_id, 0), namespace, collection)
        WHERE {LIVE}
    """,
    "ALTER TABLE sources ADD COLUMN project_id INTEGER REFERENCES projects (id)",
    "ALTER TABLE tasks ADD COLUMN project TEXT CHECK (project IS NULL OR json_valid(project))",
    "INSERT INTO changes (kind) VALUES ('projects')",
    *counted("projects", "projects", "name, merged_into"),
    *counted("projects", "project_marks"),
)
