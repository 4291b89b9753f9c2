"""The hybrid search: full text and vectors at once, fused, ranked, and able to say why.

Either arm can be missing: without an embedder, without an index, while a generation is damaged.
The search then answers from the other one, and its notes say so; it never waits for a rebuild.
"""

from __future__ import annotations

import datetime as dt
import re
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from khive_supervisor import logs
from khive_supervisor.config.settings.model import Config
from khive_supervisor.control import measured
from khive_supervisor.embed.base import Embedder, Vectors
from khive_supervisor.embed.bundled import model_files
from khive_supervisor.embed.client import EmbedderClient
from khive_supervisor.errors import EmbedderUnavailable, IndexFileError, InvalidInput, KhiveError
from khive_supervisor.freshness import Versions
from khive_supervisor.index.inverted.scope import Scope
from khive_supervisor.index.vectors.reader import EXACT_LIMIT, VectorIndex
from khive_supervisor.search import dated, evidence, fusion, gone, ranking, results
from khive_supervisor.search.exact_names import Written, prefer_written
from khive_supervisor.search.full_text import LexicalMatches, LexicalSearch
from khive_supervisor.search.ranking import NEUTRAL, RankingProfile
from khive_supervisor.search.results import SearchResults
from khive_supervisor.store.interface import Store
from khive_supervisor.store.model import EVERYTHING, Entry, EntryFilter
from khive_supervisor.text import analysis as text

log = logs.get("khive.search")

#: Words and signs of a query whose meaning is looked for, and characters at most: a pasted page
#: says what it is about at its beginning. The cost is in proportion (15 ms for 300 words, 5 ms for
#: 80); measured, nothing is lost: docs/adr/0003-fusion.md.
EMBEDDED_WORDS, EMBEDDED_CHARACTERS = 80, 1000

_UNKNOWN = (
    "Searched by words only: the embedding model knows too few of the words to tell the meaning."
)

_WORD_OR_SIGN = re.compile(r"\w+|[^\w\s]")

Scored = list[tuple[int, float]]


@dataclass(frozen=True, slots=True)
class Arm:
    """One arm's candidates, and whether it ran; `matches` is the lexical arm's own answer."""

    found: Scored
    state: str
    note: str = ""
    #: The share of names in the query; see `lexical.Selection`.
    names: float = 0.0
    matches: LexicalMatches | None = None
    #: The query's vector, where the arm has compared one.
    vector: NDArray[np.float32] | None = None


@dataclass(slots=True)
class SearchCounts:
    """How many searches there were, and what the meaning's arm could do in them."""

    searches: int = 0
    vector: int = 0
    partial: int = 0
    skipped: int = 0


class SearchEngine:
    """Searches one store; used by one thread at a time."""

    def __init__(
        self,
        store: Store,
        embedder: Embedder | None,
        config: Config,
        *,
        report_damage: Callable[[KhiveError], None],
        versions: Versions | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.counts = SearchCounts()
        self._store = store
        self._embedder = embedder
        self._settings = config.search
        self._lexical_search = LexicalSearch(store, clock)
        self._calibrated = embedder is None or embedder.model_id == model_files().model_id
        self._report_damage = report_damage
        self._reported = ""
        self._clock = clock
        self._index = (
            VectorIndex(
                store,
                embedder.model_id,
                embedder.dimensions,
                search_k=config.index.search_k,
                versions=versions,
            )
            if embedder is not None
            else None
        )

    def refresh(self) -> None:
        """Look at what the store holds now, so that the next search need not: an optimisation."""
        if self._index is not None:
            self._index.refresh()

    def rehearse(self, now: float) -> None:
        """Search once for nothing, uncounted, so that the next search finds everything loaded."""
        counted = replace(self.counts)
        try:
            self.search("what was decided", EVERYTHING, limit=1, now=now)
        finally:
            self.counts = counted

    def search(
        self,
        query: str,
        where: EntryFilter,
        *,
        limit: int,
        now: float,
        profile: RankingProfile = NEUTRAL,
        floor: float | None = None,
        by_document: bool = True,
        zone: dt.tzinfo = dt.UTC,
        meaning: NDArray[np.float32] | None = None,
    ) -> SearchResults:
        """Return the best entries for a query, which may be any string.

        Those that fit less than `floor` are left out (None: as configured). Pieces of one document
        are one result, unless `by_document` is False. What the query says of dates is read as of
        `now` in the reader's `zone`. `meaning` is its vector, if that is known already.

        Raises:
            InvalidInput: the query is longer than search.max_query_characters.
        """
        began = self._clock()
        self._begin(query)
        wanted = dated.times(query, dt.datetime.fromtimestamp(now, zone))
        wait_for_vector = self._ask(wanted.rest, meaning)
        scope = self._scope(where)
        terms = text.read_query(query)
        arms = self._arms(terms, wait_for_vector, scope, max(self._settings.candidates, limit))
        written = prefer_written(query, terms, self._fused(*arms), self._store, scope)
        written = self._of_their_time(written, wanted, scope)
        rank = partial(self._ranked, written, scope, now=now, profile=profile)
        ranked, entries, looked_at = self._first(rank, limit, by_document)
        found = self._found(query, wanted.without(terms), scope, ranked, arms)
        judged = evidence.judge(ranked, written, found)
        bar = self._floor(floor)
        fitting = [one for one in judged[:looked_at] if one.fit >= bar and one.id in entries]
        return SearchResults(
            hits=results.hits_of(fitting, entries, written, limit, by_document),
            notes=tuple(arm.note for arm in arms if arm.note),
            lexical=arms[0].state,
            vector=arms[1].state,
            generation=self._index.state().generation if self._index else None,
            milliseconds=round((self._clock() - began) * 1000, 2),
            missed=[one for one in judged[:limit] if one.fit < bar],
        )

    def among(
        self, query: str, entries: Sequence[Entry], *, limit: int, floor: float | None = None
    ) -> list[results.Hit]:
        """Return which of some entries fit a query, best first, whether they live or not."""
        wait_for_vector = self._ask(query)
        near: Mapping[int, float] = {}
        if self._index is not None and wait_for_vector is not None:
            with suppress(EmbedderUnavailable):
                ids = [one.id for one in entries]
                near = self._index.cosines(wait_for_vector()[0], ids)
        known = {one.id: one for one in entries}
        judged = gone.judged(query, entries, near if self._calibrated else {}, limit)
        fitting = [one for one in judged if one.fit >= self._floor(floor)]
        return results.hits_of(fitting, known, Written([]), limit, by_document=False)

    def _scope(self, where: EntryFilter) -> Scope:
        """Return what may be found, with the ids if they are few: words are counted in these."""
        if self._index is not None:
            return self._index.scope(where)
        ids = None if where.empty else self._store.entries.live_ids(where, EXACT_LIMIT)
        return Scope(self._store, where, None if ids is None else np.array(ids, np.int64))

    def _floor(self, asked: float | None) -> float:
        """Return what a result must fit; the cosines of foreign models mean something else."""
        if asked is not None:
            return asked
        return self._settings.floor if self._calibrated else 0.0

    def _begin(self, query: str) -> None:
        """Count a search, unless its query is too long."""
        limit = self._settings.max_query_characters
        if len(query) > limit:
            raise InvalidInput(
                f"The query has {len(query)} characters; at most {limit} are searched.",
                hint="Ask with the part that matters.",
            )
        self.counts.searches += 1

    def _arms(
        self, terms: text.Query, wait: Callable[[], Vectors] | None, scope: Scope, depth: int
    ) -> tuple[Arm, Arm]:
        """Return what words and meaning find: words first, while the vector is computed."""
        began = self._clock()
        lexical = self._lexical_arm(terms, scope, depth)
        measured.observe(measured.ARM, "words", self._clock() - began)
        return lexical, self._vector_arm(wait, scope, depth)

    def _fused(self, lexical: Arm, vector: Arm) -> list[fusion.Fused]:
        fused = fusion.fuse(lexical.found, vector.found, lexical.names)
        if self._index is None or not vector.found:
            return fused
        return fusion.supported(fused, self._index.vectors)

    def _lexical_arm(self, terms: text.Query, scope: Scope, depth: int) -> Arm:
        if not terms:
            return Arm([], "no words in the query")
        lexical = self._lexical_search.search(terms, scope, depth)
        return Arm(lexical.found, str(lexical), names=lexical.selection.names, matches=lexical)

    def _ask(
        self, query: str, known: NDArray[np.float32] | None = None
    ) -> Callable[[], Vectors] | None:
        """Ask for a query's vector, and return what waits for it; None: it can have none.

        An embedder of another process computes it while the words are looked for here.
        """
        if known is not None:
            return partial(np.expand_dims, known, 0)
        embedder = self._embedder
        if embedder is None or not query.strip():
            return None
        text = embedded_part(query)
        if isinstance(embedder, EmbedderClient):
            return embedder.begin(text)
        return lambda: embedder.embed([text])

    def _vector_arm(
        self, wait_for_vector: Callable[[], Vectors] | None, scope: Scope, depth: int
    ) -> Arm:
        if self._index is None:
            return Arm([], "off", "")
        if wait_for_vector is None:
            return Arm([], "an empty query has no meaning")
        try:
            began = self._clock()
            vector = wait_for_vector()[0]
            measured.observe(measured.EMBEDDING, "", self._clock() - began)
            if not vector.any():
                return Arm([], "nothing that the model knows", _UNKNOWN)
            began = self._clock()
            found = self._index.search_in(scope, vector, depth)
            measured.observe(measured.ARM, "meaning", self._clock() - began)
        except EmbedderUnavailable as error:
            self.counts.skipped += 1
            return Arm([], "skipped", f"Searched by words only: {error.message}")
        self.counts.vector += 1
        # What the model knows nothing of is near to nothing, and only listed for want of others.
        found = [hit for hit in found if hit[1] != 0.0]
        state = self._index.state()
        if not state.complete or state.problem:
            self.counts.partial += 1
        if state.problem:
            self._report(IndexFileError(state.problem))
            why = f"Only the newest by meaning: {state.problem}"
            return Arm(found, "partial", why, vector=vector)
        if not state.complete:
            why = "the index is being built; only the newest entries were searched by meaning"
            return Arm(found, "partial", why, vector=vector)
        return Arm(found, f"{len(found)} candidates", vector=vector)

    def _report(self, error: KhiveError) -> None:
        """Tell the supervisor once of each damage."""
        if str(error) != self._reported:
            self._reported = str(error)
            log.warning("index.unusable", error=str(error))
            self._report_damage(error)

    def _first(
        self, rank: Callable[[int], list[ranking.Ranked]], limit: int, by_document: bool
    ) -> tuple[list[ranking.Ranked], dict[int, Entry], int]:
        """Return the first results, their entries, and how many of them may be shown.

        More are looked at where pieces of one document would take each other's places.
        """
        ranked = rank(max(limit, evidence.FIRST))
        entries = self._entries(ranked)
        if not by_document or not results.crowded(entries, ranked[:limit]):
            return ranked, entries, limit
        ranked = rank(results.LOOKED_AT * limit)
        return ranked, self._entries(ranked), len(ranked)

    def _ranked(
        self, written: Written, scope: Scope, wanted: int, *, now: float, profile: RankingProfile
    ) -> list[ranking.Ranked]:
        """Return the first candidates by their final order."""
        outside = self._store.entries.not_holding([one.id for one in written.fused], now)
        fused = [one for one in written.fused if one.id not in outside]
        means: ranking.Means = {}
        if profile.means is not None:
            means = profile.means([candidate.id for candidate in fused])
        contenders = ranking.contenders(fused, wanted, profile.weights, means)
        ages = self._ages([candidate.id for candidate in contenders], scope, now)
        return ranking.rank(contenders, ages.get, profile.weights, means)[:wanted]

    def _of_their_time(self, written: Written, wanted: dated.Times, scope: Scope) -> Written:
        """Return the candidates with those first that were made when the query says."""
        if not wanted.spans:
            return written
        made = self._made([one.id for one in written.fused], scope)
        fused, factors = dated.prefer(
            written.fused, wanted, {one: created for one, (created, *_) in made.items()}
        )
        return replace(written, fused=fused, dated=factors)

    def _found(
        self,
        query: str,
        terms: text.Query,
        scope: Scope,
        ranked: Sequence[ranking.Ranked],
        arms: tuple[Arm, Arm],
    ) -> evidence.SearchEvidence:
        """Return what the lexical and the vector arm know of the first results."""
        lexical, vector = arms
        ids = [one.fused.id for one in ranked]
        matches = lexical.matches
        frequencies: Mapping[str, int] = {}
        indexed = self._store.entries.highest_id()
        if matches is not None:
            inside, indexed = self._lexical_search.within(matches, scope)
            frequencies = {term: count for term, count in inside.items() if term in terms}
        return evidence.SearchEvidence(
            query=query,
            terms=terms,
            frequencies=frequencies,
            indexed=indexed,
            holders=self._lexical_search.holders(matches, ids) if matches and ids else {},
            cosines=[cosine for _, cosine in vector.found] if self._calibrated else (),
            near=self._near(ranked, vector) if self._calibrated else {},
            searched=indexed if scope.few is None else len(scope.few),
        )

    def _near(self, ranked: Sequence[ranking.Ranked], vector: Arm) -> dict[int, float]:
        """Return the cosines of results, by id: those that the arm has listed, and the others'."""
        if vector.vector is None or self._index is None:
            return {}
        listed = {one.fused.id: one.fused.vector[1] for one in ranked if one.fused.vector}
        others = [one.fused.id for one in ranked if one.fused.vector is None]
        return {**listed, **self._index.cosines(vector.vector, others)}

    def _entries(self, ranked: Sequence[ranking.Ranked]) -> dict[int, Entry]:
        ids = [one.fused.id for one in ranked]
        return {entry.id: entry for entry in self._store.entries.get(ids)}

    def _ages(self, ids: list[int], scope: Scope, now: float) -> dict[int, ranking.Age]:
        """Return what ranking wants to know of entries, by id."""
        return {
            one: ranking.Age.at(now, created_at=created, salience=salience, decay=decay)
            for one, (created, salience, decay) in self._made(ids, scope).items()
        }

    def _made(self, ids: Sequence[int], scope: Scope) -> dict[int, tuple[float, float, float]]:
        """Return when entries were made, their saliences and decays, by id."""
        known = scope.view.ages(ids) if scope.view is not None else {}
        rest = [one for one in ids if one not in known]
        for entry in self._store.entries.get(rest) if rest else ():
            known[entry.id] = entry.created_at, entry.salience, entry.decay
        return known

    def close(self) -> None:
        """Let go of the index; idempotent."""
        if self._index is not None:
            self._index.close()


def embedded_part(query: str) -> str:
    """Return the beginning of a query that stands for its meaning."""
    text = query[:EMBEDDED_CHARACTERS]
    beyond = next(islice(_WORD_OR_SIGN.finditer(text), EMBEDDED_WORDS, None), None)
    return text if beyond is None else text[: beyond.start()]
