"""What every measurement is given."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from benchmarks.core.material import Material, gather
from benchmarks.core.peers import Peers
from benchmarks.core.prepare import Prepared


@dataclass(frozen=True, slots=True)
class Filled:
    """Everything that comes of the corpus: the texts, a finished store, and its peers."""

    material: Material
    prepared: Prepared
    peers: Peers


@dataclass(slots=True)
class Context:
    """Where to work, how thorough to be, and what was made of the corpus, if it is needed.

    Queries are handed out in turn, so that no two measurements ask the same: the embedder
    remembers vectors of recent queries, and a repeated one would be measured too fast.
    """

    work: Path
    quick: bool
    retrieval: Path | None
    sessions: Path | None
    chats: Path | None
    releases: Path | None
    texts: list[Path] | None
    coding: Path | None
    turns: Path | None
    corpus: Path | None
    before: Path | None
    filled: Filled | None
    _queries: Iterator[str] = field(init=False)
    _pasted: Iterator[str] = field(init=False)

    def __post_init__(self) -> None:
        """Begin at the first query."""
        self._queries = iter(self.filled.material.queries if self.filled else ())
        self._pasted = iter(self.filled.material.pasted if self.filled else ())

    def _filled(self) -> Filled:
        if self.filled is None:
            sys.exit("This is measured with a corpus: name one with --corpus.")
        return self.filled

    @property
    def material(self) -> Material:
        """The texts and queries."""
        return self._filled().material

    @property
    def prepared(self) -> Prepared:
        """The finished store."""
        return self._filled().prepared

    @property
    def peers(self) -> Peers:
        """The servers that khive is measured against."""
        return self._filled().peers

    def read_corpus(self, limit: int) -> Material:
        """Return so many texts of the corpus and their vectors, without a store or peers."""
        if self.corpus is None:
            sys.exit("This is measured with a corpus: name one with --corpus.")
        return gather(self.corpus, self.retrieval, self.sessions, self.work, limit)

    def times(self, count: int) -> int:
        """How often to measure what should be measured `count` times."""
        return max(count // 5, 5) if self.quick else count

    def queries(self, count: int) -> list[str]:
        """Short queries that nobody has asked yet; fewer when they run out."""
        return list(islice(self._queries, count))

    def pasted(self, count: int) -> list[str]:
        """Pasted texts that nobody has asked yet; fewer when they run out."""
        return list(islice(self._pasted, count))
