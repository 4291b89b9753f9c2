"""Taking a replica anew from the server, while everybody goes on reading it."""

from __future__ import annotations

import contextlib
import glob
import os
import time
from contextlib import closing

import apsw

from khive_supervisor.errors import StoreError
from khive_supervisor.index.vectors.generation import Generations
from khive_supervisor.sqlite.engine.backup import copy_to
from khive_supervisor.sqlite.store import SqliteStore
from khive_supervisor.sqlite.team import copies
from khive_supervisor.sqlite.team.replica import Replica
from khive_workers.team import bases, joining
from khive_workers.team.server import TeamServer

#: Copies of what did not fit that are kept; beyond that a node stops, rather than fill the disk.
MOST_KEPT = 3
#: Attempts to empty the log, which readers can hold up, and seconds between two.
_EMPTYINGS, _PAUSE = 50, 0.1


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
        only_there = copies.take_own(part, old, row)
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
        copies.make_own(kept)
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
