"""What is left to do here after a purge: free pages, the write-ahead log, the index.

Rows and words are gone with the change itself. What takes long is done by a process of its own.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass

from khive_supervisor.index.vectors.generation import Generations
from khive_supervisor.sqlite.store import SqliteStore
from khive_supervisor.sqlite.team.applying import PurgedEntries
from khive_workers.replicator.renewal import PoliteErrand
from khive_workers.team import nodes
from khive_workers.team.nodes import WaitingPurge
from khive_workers.team.server import TeamServer

#: Bytes of a piece of a text that is looked for, and pieces in all.
_PIECE, _PIECES = 32, 64
#: Characters of the shortest text that is looked for: a shorter one is anybody's.
_SHORTEST = 6
#: Seconds between two attempts.
_PAUSE = 5.0


@dataclass(slots=True)
class _Pending:
    """Purges up to a number: which index may have what they removed, and whether files are clean.

    `pieces` is None where nobody knows what was removed: before this process began.
    """

    number: int
    newest_index: int
    pieces: list[bytes] | None
    clean: bool = False


class PurgeFollower:
    """Sees to it that what others have purged leaves this machine.

    Attributes:
        builds: how often an index without what was purged was found to be needed.
    """

    def __init__(self, store: SqliteStore, node: str, begun_at: int) -> None:
        self.builds = 0
        self._store = store
        self._node = node
        self._begun_at = begun_at
        self._pieces: dict[int, list[bytes]] = {}
        self._pending: _Pending | None = None
        self._errand = PoliteErrand("scrub", _PAUSE)

    def applied(self, purged: Sequence[PurgedEntries]) -> None:
        """Note what was purged by changes that have been applied."""
        for one in purged:
            self._pieces.setdefault(one.number, []).extend(_pieces_of(one.texts))

    def look(self, found: Sequence[WaitingPurge]) -> None:
        """Find out what is to be done about the purges that are not confirmed."""
        if not found or (self._pending is not None and self._pending.number == found[-1].number):
            return
        known = all(one.number > self._begun_at or one.node == self._node for one in found)
        pieces = [piece for one in found for piece in self._pieces.pop(one.number, [])]
        newest = max((one.generation for one in self._store.generations.all()), default=0)
        self._pending = _Pending(found[-1].number, newest, pieces[:_PIECES] if known else None)

    def step(self, server: TeamServer) -> None:
        """Go on with it, and confirm it once nothing is left."""
        pending = self._pending
        if pending is None:
            return
        if not pending.clean:
            given = None if pending.pieces is None else [one.hex() for one in pending.pieces]
            pending.clean = self._errand.done(json.dumps(given).encode())
        elif self._index_may_have_it(pending):
            self.builds += 1
        else:
            nodes.confirm_purge(server, self._node, pending.number)
            self._pending = None

    def _index_may_have_it(self, pending: _Pending) -> bool:
        generations = Generations(self._store.path)
        rows = self._store.generations.all()
        if any(row.current and row.generation <= pending.newest_index for row in rows):
            return True
        try:
            names = os.listdir(generations.directory)
        except FileNotFoundError:
            return False
        numbers = [int(first) for name in names if (first := name.partition(".")[0]).isdigit()]
        return any(number <= pending.newest_index for number in numbers)

    def end(self) -> None:
        """End what is at work."""
        self._errand.end()


def _pieces_of(texts: Sequence[str]) -> list[bytes]:
    found = []
    for data in (text.encode() for text in texts):
        if len(data) >= _SHORTEST:
            found += [data[:_PIECE], data[len(data) // 2 :][:_PIECE]]
    return [piece for piece in found if len(piece) >= _SHORTEST]
