"""Taking a replica anew from the server, while everybody goes on reading it."""

# ruff: noqa: S608 - statements are put together from the schema's own names
from __future__ import annotations

import contextlib
import glob
import json
import os
import time
from contextlib import closing
from dataclasses import replace

import apsw

from khive_supervisor.errors import StoreError
from khive_supervisor.index.vectors.generation import Generations
from khive_supervisor.sqlite.engine.backup import copy_to
from khive_supervisor.sqlite.schema.shared import LOCAL
from khive_supervisor.sqlite.store import SqliteStore
from khive_supervisor.sqlite.team import replica
from khive_supervisor.sqlite.team.replica import Replica
from khive_supervisor.team.parts import TEAM
from khive_workers.team import bases, joining
from khive_workers.team.server import TeamServer

#: Copies of what did not fit that are kept; beyond that a node stops, rather than fill the disk.
MOST_KEPT = 3
#: What is this machine's own and stays: all but words, counters, index files and the replica's row.
_OWN = sorted(LOCAL - joining.KEPT_LOCALLY - {"generations", "replica"})
#: Attempts to empty the log, which readers can hold up, and seconds between two.
_EMPTYINGS, _PAUSE = 50, 0.1
_ONLY_THERE = (
    "SELECT count(*) FROM old.entries AS o WHERE deleted_at IS NULL AND purged_at IS NULL AND "
    "NOT EXISTS (SELECT 1 FROM main.entries AS m WHERE m.id = o.id AND m.content = o.content)"
)


def kept_copies(store_path: str) -> list[str]:
    """Return the copies that are kept beside a replica, the oldest first."""
    return sorted(glob.glob(glob.escape(store_path) + ".kept-*"))


def retake(server: TeamServer, store: SqliteStore, *, keep: bool) -> tuple[str, int]:
    """Put what the server has in the place of a replica's content, in one transaction.

    Args:
        server: has a base; what came after it is applied afterwards like anything.
        store: the replica. What is this machine's own in it stays.
        keep: keep a copy of what it held, as a store of one machine.

    Returns:
        the copy's path (empty: none was kept), and how many living entries only it has.

    Raises:
        KhiveError: it could not be done; the replica is what it was.
    """
    row, base = store.replica(), bases.newest(server)
    assert row is not None
    if base is None:
        raise StoreError("The server has no base to take anew.", hint="docs/team.md says more.")
    kept = _keep(store, row) if keep else ""
    old, part = kept or store.path, store.path + ".part"
    try:
        joining.take(server, base, part, row.node)
        only_there = _with_our_own(part, old, row)
        with (
            closing(apsw.Connection(part, flags=apsw.SQLITE_OPEN_READONLY)) as origin,
            store.database.raw() as connection,
            connection.backup("main", origin, "main") as copying,
        ):
            copying.step(-1)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(part)
    store.database.committed()
    if not kept:
        _forget_pages(store)
    if kept:
        _make_own(kept)
    return kept, only_there if kept else 0


def _keep(store: SqliteStore, row: Replica) -> str:
    if len(kept := kept_copies(store.path)) >= MOST_KEPT:
        raise StoreError(
            f"This replica does not fit again, and {len(kept)} copies of earlier ones are kept.",
            hint=f"Look at {kept[0]} and the others, remove them, and report what you have seen.",
        )
    path = f"{store.path}.kept-{row.number}-{time.time_ns() // 10**9}"
    copy_to(store.database, path)
    return path


def _with_our_own(part: str, old: str, row: Replica) -> int:
    """Give a new replica what this machine has of its own; return how many entries it has not."""
    with closing(apsw.Connection(part, flags=apsw.SQLITE_OPEN_READWRITE)) as connection:
        connection.config(apsw.SQLITE_DBCONFIG_ENABLE_TRIGGER, 0)
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute("ATTACH ? AS old", (old,))
        with connection:
            for table in _OWN:
                copied = f"INSERT INTO main.{table} SELECT * FROM old.{table}"
                connection.execute(copied)
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


def _forget_pages(store: SqliteStore) -> None:
    """Leave nothing of what was there: in the log, and in files of the index."""
    for _ in range(_EMPTYINGS):
        if store.checkpoint(truncate=True).complete:
            break
        time.sleep(_PAUSE)
    directory = Generations(store.path).directory
    with contextlib.suppress(FileNotFoundError):
        for name in os.listdir(directory):
            if name.partition(".")[0].isdigit():
                os.unlink(os.path.join(directory, name))


def _make_own(kept: str) -> None:
    """Make a store of one machine of a copy: with a name of its own, so that it can be imported."""
    with closing(apsw.Connection(kept, flags=apsw.SQLITE_OPEN_READWRITE)) as connection:
        connection.execute("DELETE FROM replica")
        connection.execute("DELETE FROM generations")
        connection.execute("UPDATE past SET name = randomblob(16)")
