"""Statements of the migration that lets a source have one living text; see `sources`."""

# ruff: noqa: S608 - statements are put together from this module's constants
from __future__ import annotations

from khive_supervisor.sqlite.schema.released.statements import LIVE

#: The source of an old entry, as a source's name: JSON Lines had the line after the file's name.
_LINE = "rtrim(source, '0123456789')"
_NAME = f"""
    CASE WHEN {_LINE} LIKE '%.jsonl:' OR {_LINE} LIKE '%.ndjson:' OR {_LINE} LIKE '%.json:'
         THEN substr({_LINE}, 1, length({_LINE}) - 1) ELSE source END
"""
#: Standard input is another text each time.
_NAMED = f"""
    collection = 'knowledge' AND {LIVE} AND source <> '' AND source NOT LIKE 'standard input%'
"""

#: `sources`: who says entries, by namespace and name (a file's real path, an address, '' for what
#: was said without a source). `digest` is of the whole text and how it was read, null while not
#: all of it is in; `root` is the folder that brought a file ('/': not known), null for what was
#: named by itself; `options` what was asked for its entries besides.
#: `run` numbers the readings of sources: 0 is what earlier releases have stored.
#: `entry_sources`: which source says an entry, since when and in which run for the last time;
#: `gone_at` is when the source stopped saying it. An entry with rows lives while one of them is
#: not gone.
SOURCES: tuple[str, ...] = (
    """
    CREATE TABLE sources (
        id         INTEGER PRIMARY KEY AUTOINCREMENT,
        namespace  TEXT NOT NULL,
        name       TEXT NOT NULL,
        digest     BLOB CHECK (digest IS NULL OR length(digest) = 16),
        root       TEXT,
        options    TEXT NOT NULL DEFAULT '',
        run        INTEGER NOT NULL DEFAULT 0,
        learned_at REAL NOT NULL,
        UNIQUE (namespace, name)
    ) STRICT
    """,
    "CREATE INDEX sources_digest ON sources (digest) WHERE digest IS NOT NULL",
    """
    CREATE TABLE source_runs (
        run INTEGER PRIMARY KEY AUTOINCREMENT, begun_at REAL NOT NULL
    ) STRICT
    """,
    """
    CREATE TABLE entry_sources (
        entry_id  INTEGER NOT NULL REFERENCES entries (id) ON DELETE CASCADE,
        source_id INTEGER NOT NULL REFERENCES sources (id),
        run       INTEGER NOT NULL,
        locator   TEXT NOT NULL DEFAULT '',
        said_at   REAL NOT NULL,
        gone_at   REAL,
        PRIMARY KEY (entry_id, source_id)
    ) STRICT, WITHOUT ROWID
    """,
    """
    CREATE INDEX entry_sources_said ON entry_sources (source_id, entry_id) WHERE gone_at IS NULL
    """,
    f"""
    INSERT INTO sources (namespace, name, root, learned_at)
        SELECT namespace, {_NAME}, CASE WHEN source LIKE '/%' THEN '/' END, max(updated_at)
        FROM entries WHERE {_NAMED} GROUP BY 1, 2
    """,
    f"""
    INSERT INTO entry_sources (entry_id, source_id, run, locator, said_at)
        SELECT old.id, sources.id, 0,
               CASE WHEN sources.name <> old.source
                    THEN 'line ' || substr(old.source, length(sources.name) + 2) ELSE '' END,
               old.created_at
        FROM (SELECT *, {_NAME} AS name FROM entries WHERE {_NAMED}) AS old
        JOIN sources ON sources.namespace = old.namespace AND sources.name = old.name
    """,
)
