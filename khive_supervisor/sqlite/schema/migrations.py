"""Numbered migrations: each one transaction, in order, safe when several processes start at once.

A migration that has shipped is never edited: a later one changes what it did. The number of the
last one applied is in PRAGMA user_version, which is part of the transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import apsw

from khive_supervisor.sqlite.schema import (
    executions,
    graph,
    routing,
    team,
    undivided,
    workflows,
)
from khive_supervisor.sqlite.schema.released import audit as schema_audit
from khive_supervisor.sqlite.schema.released import (
    chains,
    channels,
    curation,
    journal,
    projects,
    sessions,
    sources,
    tasks,
    truth,
)
from khive_supervisor.sqlite.schema.released import index as schema_index
from khive_supervisor.sqlite.schema.released import statements as schema


@dataclass(frozen=True, slots=True)
class SchemaEdit:
    """A constraint of a table that is written otherwise; no row is another one by that.

    `ALTER TABLE` has no way to, and a new table in its place would have to be filled again.
    """

    table: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Migration:
    """One step: its number, what it is for, its statements, and what it edits after them."""

    number: int
    purpose: str
    statements: tuple[str, ...]
    edits: tuple[SchemaEdit, ...] = ()


#: Every migration, without gaps. A new one is added at the end.
MIGRATIONS: tuple[Migration, ...] = (
    Migration(1, "entries, their full-text index, vectors, generations", schema.FIRST),
    Migration(2, "a name for the store's past, which a restored backup replaces", schema.SECOND),
    Migration(3, "profiles that learn, and counters of what has changed", schema.THIRD),
    Migration(4, "tasks of roles, and what roles have learned", schema.FOURTH),
    Migration(5, "agents' sessions, and the directories that tasks are done in", tasks.AGENTS),
    Migration(6, "the priority that a role gives its tasks", tasks.ROLE_PRIORITY),
    Migration(7, "the audit chain", schema_audit.AUDIT),
    Migration(8, "what roles may spend, and what they have spent", tasks.BUDGETS),
    Migration(9, "what the words' file of a generation is made of", schema_index.WORDS),
    Migration(10, "who says the entries that were learned", sources.SOURCES),
    Migration(
        11,
        "what entries are about, who stored them, whether they hold, what people did with them",
        (
            *curation.PURGED,
            *truth.TRUTH,
            *projects.PROJECTS,
            *curation.CURATION,
            *schema_index.COUNTS,
        ),
    ),
    Migration(
        12,
        "the journals of clients' sessions, and what is learned from them",
        (*journal.JOURNAL, *journal.HOOKS),
    ),
    Migration(
        13,
        "what was tried and how it ended, what depends on what, who is told",
        (
            *executions.EXECUTIONS,
            *graph.GRAPH,
            *routing.ROUTING,
            *workflows.WORKFLOWS,
            *channels.CHANNELS,
            *team.TEAM,
        ),
        (SchemaEdit("entries", *executions.COLLECTIONS),),
    ),
    Migration(
        14,
        "chains, members and offices of a team, since when sessions do what they do",
        (*chains.CHAINS, *sessions.SESSIONS, *chains.MEMBERS, *chains.TERMS),
        (SchemaEdit("profile_events", *chains.EVENTS),),
    ),
    Migration(15, "changes of a team in one part", undivided.UNDIVIDED),
)

#: The schema that this release reads and writes.
NEWEST = MIGRATIONS[-1].number


def schema_version(connection: apsw.Connection) -> int:
    """Return the number of the last migration that was applied (0: an empty file)."""
    found = connection.execute("PRAGMA user_version").fetchall()[0][0]
    assert isinstance(found, int)
    return found


def migrate(connection: apsw.Connection, steps: Sequence[Migration] = MIGRATIONS) -> int:
    """Apply what is missing; how many steps this call applied.

    Two processes at once: the write lock lets one of them apply a step, and the other sees, under
    the lock, that it is done. A crash leaves whole steps only.

    Raises:
        apsw.Error: a statement failed; its step was rolled back, those before it stay.
    """
    return sum(
        _apply(connection, step) for step in steps if schema_version(connection) < step.number
    )


def _apply(connection: apsw.Connection, step: Migration) -> bool:
    """Apply one step unless another process has just done so."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        needed = schema_version(connection) == step.number - 1
        if needed:
            for statement in step.statements:
                connection.execute(statement).fetchall()
            _edit(connection, step.edits)
            connection.execute(f"PRAGMA user_version = {step.number}").fetchall()
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return needed


def _edit(connection: apsw.Connection, edits: Sequence[SchemaEdit]) -> None:
    """Edit the schema's own text, as https://www.sqlite.org/lang_altertable.html has it."""
    if not edits:
        return
    defensive = connection.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, -1)
    connection.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 0)
    connection.execute("PRAGMA writable_schema = ON").fetchall()
    try:
        for edit in edits:
            connection.execute(
                "UPDATE sqlite_schema SET sql = replace(sql, ?, ?) WHERE type = 'table' "
                "AND name = ?",
                [edit.old, edit.new, edit.table],
            ).fetchall()
        # Another number: every other connection reads the schema again.
        number = connection.execute("PRAGMA schema_version").fetchall()[0][0]
        assert isinstance(number, int)
        connection.execute(f"PRAGMA schema_version = {number + 1}").fetchall()
    finally:
        connection.execute("PRAGMA writable_schema = RESET").fetchall()
        connection.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, defensive)
