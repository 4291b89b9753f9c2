"""Copies of a store that change what they are: a base, a replica, a store of one machine.

Each is a file that nobody else has open.
"""

# ruff: noqa: S608 - statements are put together from the schema's own names; values are bound
from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace

import apsw

from khive_supervisor.sqlite.engine.database import Database
from khive_supervisor.sqlite.schema.shared import LOCAL
from khive_supervisor.sqlite.team import replica
from khive_supervisor.sqlite.team.replica import Replica
from khive_supervisor.team.order import LogPosition
from khive_supervisor.team.parts import TEAM

#: Local tables that are kept in a base: the words of its entries, and the counters' rows.
KEPT_LOCALLY = frozenset(
    {
        "changes", "entries_fts", "entries_terms", "entries_occurrences", "entry_members",
        "task_members", "schedule_members",
        "vector_counts",
    }
)  # fmt: skip
#: What is this machine's own and stays: all but words, counters, index files and the replica's row.
_OWN = sorted(LOCAL - KEPT_LOCALLY - {"generations", "replica"})
#: Statements that make a store of one machine of a replica. Index files stay with the replica.
_ALONE = (
    "DELETE FROM roles WHERE node <> (SELECT node FROM replica)",
    "DELETE FROM role_limits WHERE node <> (SELECT node FROM replica)",
    "UPDATE roles SET node = ''",
    "UPDATE role_limits SET node = ''",
    "UPDATE tasks SET node = '' WHERE node <> ''",
    "DELETE FROM replica",
    "DELETE FROM generations",
)
_ONLY_THERE = (
    "SELECT count(*) FROM old.entries AS o WHERE deleted_at IS NULL AND purged_at IS NULL AND "
    "NOT EXISTS (SELECT 1 FROM main.entries AS m WHERE m.id = o.id AND m.content = o.content)"
)


def count_entries(database: Database) -> int:
    """Return how many entries a store has, with those that are forgotten."""
    return int(database.value("SELECT count(*) FROM entries"))


def strip(copy: str) -> tuple[LogPosition, int]:
    """Leave only what is shared in a copy; return what it is a copy of, and its entries."""
    with _opened(copy) as connection:
        position = replica.position(connection)
        ((entries,),) = connection.execute("SELECT count(*) FROM entries").fetchall()
        with connection:
            for table in sorted(LOCAL - KEPT_LOCALLY):
                connection.execute(f"DELETE FROM {table}")
        connection.execute("VACUUM")
    return position, int(str(entries))


def make_replica(copy: str, row: Replica) -> None:
    """Make a replica of the copy of a store of one machine: with what only this machine has."""
    with _opened(copy) as connection:
        connection.execute("DELETE FROM generations")
        replica.put(connection, row)


def leave_team(copy: str) -> int:
    """Make a store of one machine of a copy of a replica; return the number that it was at."""
    with _opened(copy) as connection:
        number = replica.position(connection).number
        with connection:
            for statement in _ALONE:
                connection.execute(statement)
    return number


def make_own(kept: str) -> None:
    """Make a store of one machine of a copy, with a name of its own, so that it can be imported."""
    with _opened(kept) as connection:
        connection.execute("DELETE FROM replica")
        connection.execute("DELETE FROM generations")
        connection.execute("UPDATE past SET name = randomblob(16)")


def take_own(part: str, old: str, row: Replica) -> int:
    """Give a new replica what this machine has of its own in the old one, whose row is `row`.

    Return how many living entries only the old one has.
    """
    with _opened(part) as connection:
        connection.execute("ATTACH ? AS old", (old,))
        with connection:
            for table in _OWN:
                connection.execute(f"INSERT INTO main.{table} SELECT * FROM old.{table}")
            # Whatever somebody keeps in memory is counted as changed.
            connection.execute(
                "UPDATE main.changes AS m SET count = 1 + coalesce("
                "(SELECT count FROM old.changes AS o WHERE o.kind = m.kind), m.count)"
            )
            made = replica.read(connection)
            assert made is not None
            if not made.rights.full:
                _own_alone(connection, made)
            made = replace(made, schema=max(made.schema, row.schema), epoch=row.epoch + 1)
            replica.put(connection, replace(made, boot=row.boot, ahead=row.ahead))
        ((count,),) = connection.execute(_ONLY_THERE).fetchall()
    return int(str(count))


def _own_alone(connection: apsw.Connection, made: Replica) -> None:
    """Keep this node's own chain, and nothing local that is about what is hidden now."""
    connection.execute(
        "INSERT INTO main.audit_of_nodes SELECT * FROM old.audit_of_nodes WHERE origin = ?",
        (made.node,),
    )
    seen = json.dumps([TEAM, *made.rights.namespaces])
    for table in _OWN:
        columns = {str(name) for _, name, *_ in connection.execute(f"PRAGMA table_info({table})")}
        if "entry_id" in columns:
            connection.execute(
                f"DELETE FROM main.{table} WHERE entry_id NOT IN (SELECT id FROM main.entries)"
            )
        if "namespace" in columns:
            connection.execute(
                f"DELETE FROM main.{table} WHERE namespace NOT IN (SELECT value FROM json_each(?))",
                (seen,),
            )


@contextmanager
def _opened(path: str) -> Iterator[apsw.Connection]:
    """Give a connection on which neither trigger nor reference acts."""
    with closing(apsw.Connection(path, flags=apsw.SQLITE_OPEN_READWRITE)) as connection:
        connection.config(apsw.SQLITE_DBCONFIG_ENABLE_TRIGGER, 0)
        connection.execute("PRAGMA foreign_keys = OFF")
        yield connection
