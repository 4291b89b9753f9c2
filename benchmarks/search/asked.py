"""Questions asked of a store by the real search, with everything that it found and knew."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.search.retrieval import Vectors
from benchmarks.search.subjects import Question, Subject
from khive_supervisor.config.settings.model import Config
from khive_supervisor.embed.bundled import model_files
from khive_supervisor.redaction.gate import Mode
from khive_supervisor.search.engine import SearchEngine, embedded_part
from khive_supervisor.search.evidence import FIRST, Judged
from khive_supervisor.search.results import Hit
from khive_supervisor.sqlite.store import SqliteStore
from khive_supervisor.store.model import EntryFilter, NewEntry

#: A moment, the same for all.
NOW = 1_800_000_000.0


class KnownVectors:
    """An embedder of the bundled model that computes the vector of a text once."""

    def __init__(self, vectors: Vectors) -> None:
        self.model_id = model_files().model_id
        self.dimensions = model_files().dimensions
        self._vectors = vectors
        self._known: dict[str, Any] = {}

    def know(self, texts: Iterable[str]) -> None:
        """Have the vectors of texts: many at once are kept for the next run."""
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        if new:
            self._known.update(zip(new, self._vectors.of(new), strict=True))

    def embed(self, texts: Sequence[str]) -> Any:
        """Return the vectors of texts."""
        self.know(texts)
        return np.stack([self._known[text] for text in texts])

    def close(self) -> None:
        """Do nothing."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One question asked of one store.

    Attributes:
        first: the place of the first relevant result among the first ten, None if there is none.
    """

    store: str
    subject: str
    entries: int
    related: bool
    first: int | None
    results: Sequence[Judged]

    @property
    def best(self) -> float:
        """Return how well the best result fits; 0 where there is none."""
        return max((one.fit for one in self.results), default=0.0)

    @property
    def relevant(self) -> float:
        """Return how well the first relevant result fits."""
        assert self.first is not None
        return self.results[self.first].fit


Ask = Callable[[str, Sequence[Question], bool], Iterator[Asked]]


@contextmanager
def engine_of(
    texts: Sequence[str], known: KnownVectors
) -> Iterator[tuple[SearchEngine, Sequence[int]]]:
    """Make a store of texts, and yield the search in it and the texts' ids, in order."""
    with tempfile.TemporaryDirectory() as directory:
        store = SqliteStore(str(Path(directory) / "khive.db"), secrets=Mode.OFF)
        new = [NewEntry("memory", "bench", "semantic", "", text or " ") for text in texts]
        data = [row.astype("<f2").tobytes() for row in known.embed(texts)]
        ids = [one.id for one in store.entries.add(new, data, known.model_id)]
        engine = SearchEngine(store, known, Config(), report_damage=lambda _: None)
        yield engine, ids
        engine.close()
        store.close()


@contextmanager
def store_of(name: str, texts: Sequence[str], known: KnownVectors) -> Iterator[Ask]:
    """Make a store of texts, and yield what asks it: a subject's name, questions, and if related.

    `relevant` of the questions are positions in `texts`.
    """
    with engine_of(texts, known) as (engine, ids):

        def ask(subject: str, questions: Sequence[Question], related: bool) -> Iterator[Asked]:
            for question in questions:
                results = [hit.judged for hit in found(engine, question.text)]
                wanted = {ids[at] for at in question.relevant} if related else set[int]()
                yield Asked(name, subject, len(texts), related, _first(results, wanted), results)

        yield ask


def found(engine: SearchEngine, text: str) -> Sequence[Hit]:
    """Return the first ten results, however little they fit."""
    where = EntryFilter(collection="memory", namespaces=("bench",))
    return engine.search(text, where, limit=FIRST, now=NOW, floor=0.0).hits


def learn_subjects(known: KnownVectors, subjects: Iterable[Subject]) -> None:
    """Have the vectors of all texts and questions of subjects."""
    for subject in subjects:
        known.know(subject.texts)
        known.know(embedded_part(question.text) for question in subject.questions)


def _first(results: Iterable[Judged], wanted: set[int]) -> int | None:
    places = (at for at, one in enumerate(results) if one.ranked.fused.id in wanted)
    return next(places, None)
