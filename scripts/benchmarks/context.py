"""What every measurement is given."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from benchmarks.material import Material
from benchmarks.peers import Peers
from benchmarks.prepare import Prepared


@dataclass(slots=True)
class Context:
    """The material, the finished store, the peers, and how thorough to be.

    Queries are handed out in turn, so that no two measurements ask the same: the embedder
    remembers vectors of recent queries, and a repeated one would be measured too fast.
    """

    work: Path
    material: Material
    prepared: Prepared
    peers: Peers
    quick: bool
    retrieval: Path | None
    sessions: Path | None
    _queries: Iterator[str] = field(init=False)
    _pasted: Iterator[str] = field(init=False)

    def __post_init__(self) -> None:
        """Begin at the first query."""
        self._queries = iter(self.material.queries)
        self._pasted = iter(self.material.pasted)

    def times(self, count: int) -> int:
        """How often to measure what should be measured `count` times."""
        return max(count // 5, 5) if self.quick else count

    def queries(self, count: int) -> list[str]:
        """Short queries that nobody has asked yet; fewer when they run out."""
        return list(islice(self._queries, count))

    def pasted(self, count: int) -> list[str]:
        """Pasted texts that nobody has asked yet; fewer when they run out."""
        return list(islice(self._pasted, count))
