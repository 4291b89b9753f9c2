"""The hybrid search: full text and vectors at once, fused, ranked, and able to say why.

Either arm can be missing: without an embedder, without an index, while a generation is damaged.
The search then answers from the other one, and its notes say so; it never waits for a rebuild.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from khive_supervisor import logs, text
from khive_supervisor.config.model import Config
from khive_supervisor.embed.base import Embedder, Vectors
from khive_supervisor.errors import EmbedderUnavailable, IndexFileError, InvalidInput, KhiveError
from khive_supervisor.index.reader import VectorIndex
from khive_supervisor.search import draft as fusion
from khive_supervisor.store.interface import Store
from khive_supervisor.store.model import Entry, EntryFilter

log = logs.get("khive.search")

#: Weights of title, content and tags in BM25; measured by scripts/bench_quality.
COLUMN_WEIGHTS = (1.0, 1.0, 1.0)

Scored = list[tuple[int, float]]


@dataclass(frozen=True, slots=True)
class Hit:
    """One result: the entry, its score, why it is here, and the numbers behind that."""

    entry: Entry
    score: float
    why: str
    details: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Arm:
    """One arm's candidates, and whether it ran."""

    found: Scored
    state: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """Results, and how the search went."""

    hits: list[Hit]
    notes: tuple[str, ...]
    lexical: str
    vector: str
    generation: int | None
    milliseconds: float


class SearchEngine:
    """Searches one store; used by one thread at a time."""

    def __init__(
        self,
        store: Store,
        embedder: Embedder | None,
        config: Config,
        *,
        report_damage: Callable[[KhiveError], None],
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._store = store
        self._embedder = embedder
        self._settings = config.search
        self._report_damage = report_damage
        self._reported = ""
        self._clock = clock
        self._index = (
            VectorIndex(store, embedder.model_id, embedder.dimensions)
            if embedder is not None
            else None
        )
        # The embedder's answer takes as long as the full-text search: ask it meanwhile.
        self._asking = ThreadPoolExecutor(1, thread_name_prefix="embed") if embedder else None

    def search(self, query: str, where: EntryFilter, *, limit: int, now: float) -> Answer:
        """The best entries for a query, which may be any string.

        Raises:
            InvalidInput: the query is longer than search.max_query_characters.
        """
        began = self._clock()
        limit_characters = self._settings.max_query_characters
        if len(query) > limit_characters:
            raise InvalidInput(
                f"The query has {len(query)} characters; at most {limit_characters} are searched.",
                hint="Ask with the part that matters.",
            )
        depth = max(self._settings.candidates, limit)
        question = self._ask(query)
        words = self._words(query, where, depth)
        meaning = self._meaning(question, where, depth)
        fused = fusion.fuse(words.found, meaning.found)
        hits = self._ranked(fused, limit, now)
        return Answer(
            hits=hits,
            notes=tuple(note for note in (words.note, meaning.note) if note),
            lexical=words.state,
            vector=meaning.state,
            generation=self._index.state().generation if self._index else None,
            milliseconds=round((self._clock() - began) * 1000, 2),
        )

    # --- full text ------------------------------------------------------------------------------

    def _words(self, query: str, where: EntryFilter, depth: int) -> Arm:
        terms = text.query_terms(query)
        if not terms:
            return Arm([], "no words in the query")
        chosen = terms[:64]
        expression = text.match_expression(chosen)
        found = self._store.match(expression, depth, where, COLUMN_WEIGHTS)
        return Arm(found, f"{len(found)} candidates for {len(chosen)} of {len(terms)} words")

    # --- vectors --------------------------------------------------------------------------------

    def _ask(self, query: str) -> Future[Vectors] | None:
        if self._asking is None or self._embedder is None or not query.strip():
            return None
        return self._asking.submit(self._embedder.embed, [query])

    def _meaning(self, question: Future[Vectors] | None, where: EntryFilter, depth: int) -> Arm:
        if self._index is None:
            return Arm([], "off", "")
        if question is None:
            return Arm([], "an empty query has no meaning")
        try:
            vector = question.result()[0]
            found = self._index.search(vector, depth, where)
        except EmbedderUnavailable as error:
            return Arm([], "skipped", f"Searched by words only: {error.message}")
        state = self._index.state()
        if state.problem:
            self._report(IndexFileError(state.problem))
            return Arm(found, "partial", f"Only the newest by meaning: {state.problem}")
        if not state.complete:
            why = "the first index is being built; the newest entries were searched by meaning"
            return Arm(found, "partial", why)
        return Arm(found, f"{len(found)} candidates")

    def _report(self, error: KhiveError) -> None:
        """Tell the supervisor once of each damage."""
        if str(error) != self._reported:
            self._reported = str(error)
            log.warning("index.unusable", error=str(error))
            self._report_damage(error)

    # --- ranking --------------------------------------------------------------------------------

    def _ranked(self, fused: Sequence[fusion.Fused], limit: int, now: float) -> list[Hit]:
        entries = {e.id: e for e in self._store.get([f.id for f in fused])}
        return [_hit(entries[f.id], f) for f in fused if f.id in entries][:limit]

    def close(self) -> None:
        """Let go of the index and the helper thread; idempotent."""
        if self._asking is not None:
            self._asking.shutdown(cancel_futures=True)
        if self._index is not None:
            self._index.close()


def _hit(entry: Entry, fused: Any) -> Hit:
    return Hit(entry, fused.score, "w", {})
