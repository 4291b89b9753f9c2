"""Nearest entries: the current generation and what is newer, as one answer that is never stale.

Every search asks the store first whether anything has changed (two microseconds). A generation
that is missing or damaged never fails a search: what is left of it answers, and `state` says so.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from khive_supervisor.errors import IndexFileError
from khive_supervisor.freshness import FATES, GENERATIONS, Fresh, Versions
from khive_supervisor.index.inverted.scope import PostingsView, Scope, member
from khive_supervisor.index.vectors.delta import DELTA_LIMIT, Delta
from khive_supervisor.index.vectors.generation import Generations
from khive_supervisor.index.vectors.hits import (
    HitList,
    best,
    best_first,
    certain,
    first_passing,
    search_k_for,
    unit,
)
from khive_supervisor.index.vectors.mapped import MappedGeneration, map_current
from khive_supervisor.store.interface import Store
from khive_supervisor.store.model import EVERYTHING, VECTOR_COMPONENT_BYTES, EntryFilter
from khive_supervisor.store.vectors import Fate

#: A filter that lets no more entries through than this is searched entry by entry, where there is
#: no sketch: 3 ms, when looking past all others would take as long and find less.
EXACT_LIMIT = 8192
#: Up to so many of them that is as quick as a look at their sketch.
_EXACT_BESIDE_SKETCH = 4096
#: Candidates for each wanted result, because some of them may be dead, or not pass the filter: most
#: filters (a namespace that holds nearly everything) leave enough of these.
_OVERFETCH = 2
#: How many times more candidates, and more nodes, are looked at when too few have passed.
_MORE_CANDIDATES, _MORE_NODES = 4, 2
#: Nodes to inspect at least for each candidate.
_NODES_A_CANDIDATE = 20


@dataclass(frozen=True, slots=True)
class IndexState:
    """What the last search could see.

    `generation`: the number of the mapped one (None: none); `items`: vectors in it; `newer`:
    vectors beside it in memory; `complete`: nothing that has a vector was left out;
    `problem`: why the current generation does not serve (empty: it does, or there is none).
    """

    generation: int | None
    items: int
    newer: int
    complete: bool
    problem: str


#: Filters whose scopes are remembered until something changes: 100 KB each for 100,000 entries.
_FILTERS = 16
#: Entries that the file does not know and of which the store is asked one by one; of more it is
#: asked by the filter.
_ASKED_BESIDE = 2000


class VectorIndex:
    """Searches the vectors of one model in one store; for any thread, one at a time.

    `search_k` 0 chooses by itself; `versions` is the look at the store that others share.
    """

    def __init__(
        self,
        store: Store,
        model_id: str,
        dimensions: int,
        *,
        search_k: int = 0,
        delta_limit: int = DELTA_LIMIT,
        versions: Versions | None = None,
    ) -> None:
        self.model_id = model_id
        self.dimensions = dimensions
        self._store = store
        self._generations = Generations(store.path)
        self._search_k = search_k
        self._delta = Delta(store.vectors, model_id, dimensions, delta_limit)
        self._mapped: MappedGeneration | None = None
        self._problem = ""
        self._versions = versions or Versions(store)
        self._row = Fresh(
            self._versions, (GENERATIONS,), lambda: store.generations.current(model_id)
        )
        self._fates = Fresh(self._versions, (FATES,), self._fates_since)
        self._view: PostingsView | None = None
        self._token: tuple[int, int] | None = None
        self._past = b""
        self._scopes: dict[EntryFilter, Scope] = {}
        #: By filter, where the sketch has what passes.
        self._places: dict[EntryFilter, NDArray[np.int32]] = {}
        self._lock = threading.RLock()

    def state(self) -> IndexState:
        """Return what there is to search, as of the last refresh."""
        with self._lock:
            row = self._mapped.row if self._mapped else None
            return IndexState(
                generation=row.generation if row else None,
                items=row.items if row else 0,
                newer=len(self._delta),
                complete=self._delta.complete,
                problem=self._problem,
            )

    def refresh(self) -> bool:
        """Look at the store, if it has changed since the last look; return True if it had."""
        with self._lock:
            broken = self._mapped is not None and not self._mapped.intact()
            token = self._versions.token()
            assert token is not None, "a search inside a transaction would keep what may not stay"
            if token == self._token and not broken:
                return False
            if broken:
                self._let_go("The index file has lost bytes while it was in use.")
            self._take_over(self._versions.counts(token).past)
            self._token = token
            return True

    def _take_over(self, past: bytes) -> None:
        """Take what the store has now; after another past, nothing of before is of use."""
        if past != self._past:
            self._let_go("")
            self._delta.reset()
            self._past = past
        self._adopt()
        self._delta.refresh(self._mapped.row.covered_seq if self._mapped else 0)
        postings = self._mapped.postings if self._mapped else None
        self._view = PostingsView.of(postings, self._fates.get()) if postings else None

    def _fates_since(self) -> list[Fate]:
        postings = self._mapped.postings if self._mapped else None
        return self._store.postings.fates(postings.description.fate) if postings else []

    def _adopt(self) -> None:
        """Map the current generation; the one before serves until then, or if that fails."""
        row = self._row.get()
        if self._mapped is not None and row == self._mapped.row:
            self._problem = ""
            return
        try:
            fresh = map_current(self._store.generations, self.model_id, self._generations)
            if fresh is not None and fresh.row.dimensions != self.dimensions:
                fresh.close()
                raise IndexFileError(f"Generation {fresh.row.generation} has other dimensions.")
        except IndexFileError as error:
            self._problem = self._problem or str(error)
            return
        self._let_go("")
        self._mapped = fresh
        self._fates.invalidate()

    def _let_go(self, problem: str) -> None:
        mapped, self._mapped = self._mapped, None
        self._problem = problem
        self._view = None
        if mapped is not None:
            mapped.close()

    def search(
        self, vector: NDArray[np.float32], limit: int, where: EntryFilter = EVERYTHING
    ) -> list[tuple[int, float]]:
        """Return the live entries nearest to a vector, best first, with their cosines (-1 to 1).

        Exact when the filter lets few entries through (EXACT_LIMIT, half of it where there is a
        sketch), and for what is newer than the generation; else approximate. A vector of zeros is
        near to nothing.

        Raises InvalidInput for a vector of another shape, or that is not finite.
        """
        return self.search_in(self.scope(where), vector, limit)

    def scope(self, where: EntryFilter = EVERYTHING) -> Scope:
        """Return who passes a filter in what the store holds now: what a search asks first."""
        with self._lock:
            if self.refresh():
                self._scopes.clear()
                self._places.clear()
            known = self._scopes.get(where)
            if known is None:
                known = self._look(where)
                # A session has few filters, but their times may differ in each call.
                if len(self._scopes) < _FILTERS:
                    self._scopes[where] = known
            return known

    def _look(self, where: EntryFilter) -> Scope:
        """Return a scope by a look at the file, and for what that does not know at the store."""
        view, mask = self._view, None
        if view is not None and not where.empty and view.judges(where):
            mask = view.mask(where)
        few = None
        if not where.empty:
            few = self._few(where, view, mask)
        return Scope(self._store, where, few, view, mask)

    def _few(
        self, where: EntryFilter, view: PostingsView | None, mask: NDArray[np.bool_] | None
    ) -> NDArray[np.int64] | None:
        """Return the ids of the entries that pass; None if there are more than EXACT_LIMIT."""
        if view is not None and mask is not None:
            inside = np.flatnonzero(mask)
            if len(inside) > EXACT_LIMIT:
                return None
            newest = self._store.entries.highest_id() + 1
            rest = [*view.changed.tolist(), *range(view.file.description.highest + 1, newest)]
            if len(rest) <= _ASKED_BESIDE:
                beside = self._store.entries.filter_ids(rest, where) if rest else set()
                ids = np.union1d(inside, np.array(sorted(beside), np.int64))
                return ids if len(ids) <= EXACT_LIMIT else None
        listed = self._store.entries.live_ids(where, EXACT_LIMIT)
        return None if listed is None else np.array(listed, np.int64)

    def search_in(
        self, scope: Scope, vector: NDArray[np.float32], limit: int
    ) -> list[tuple[int, float]]:
        """Like `search`, in a scope that was seen a moment ago."""
        query = unit(vector, self.dimensions)
        if query is None or limit <= 0:
            return []
        with self._lock:
            if scope.few is not None and not self._by_sketch(scope, len(scope.few)):
                return self._search_among(query, limit, scope.few)
            return self._search_all(query, limit, scope)

    def _by_sketch(self, scope: Scope, count: int) -> bool:
        """Return True if looking for a scope's entries in the sketch is quicker than at each."""
        return count > _EXACT_BESIDE_SKETCH and self._within(scope) is not None

    def _sketched(self, mapped: MappedGeneration) -> bool:
        return mapped.has_sketch and not self._search_k

    def _within(self, scope: Scope) -> NDArray[np.int32] | None:
        """Return where the sketch has what passes a filter, or may; None: look at all."""
        mapped, view = self._mapped, scope.view
        if mapped is None or view is None or scope.mask is None or not self._sketched(mapped):
            return None
        if scope.where not in self._places:
            if len(self._places) >= _FILTERS:
                self._places.clear()
            passing = np.union1d(np.flatnonzero(scope.mask), view.changed)
            self._places[scope.where] = mapped.places(passing)
        return self._places[scope.where]

    def cosines(self, vector: NDArray[np.float32], ids: Sequence[int]) -> dict[int, float]:
        """Return how near some entries are to a vector, by id; those without a vector are left out.

        In what the last `scope` has seen.
        """
        query = unit(vector, self.dimensions)
        if query is None or not ids:
            return {}
        with self._lock:
            return dict(self._search_among(query, len(ids), np.array(sorted(ids), np.int64)))

    def vectors(self, ids: Sequence[int]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return the vectors of entries, each of length 1, and whose they are; without the others.

        In what the last `scope` has seen.
        """
        wanted = np.array(ids, np.int64)
        with self._lock:
            rows = np.flatnonzero(member(self._delta.ids, np.sort(wanted)))
            found, vectors = [self._delta.ids[rows]], [self._delta.vectors(rows)]
            rest = wanted[~np.isin(wanted, found[0])]
            if self._mapped is not None and len(rest):
                known, mapped = self._mapped.vectors(rest)
                found.append(known)
                vectors.append(mapped)
        return np.concatenate(found), np.concatenate(vectors)

    def _search_among(
        self, query: NDArray[np.float32], limit: int, ids: NDArray[np.int64]
    ) -> list[tuple[int, float]]:
        """The nearest of some entries (ascending): by the delta, the file, else the store."""
        rows = np.flatnonzero(member(self._delta.ids, ids))
        parts = [(self._delta.ids[rows], self._delta.cosines(query, rows))]
        rest = ids[~member(ids, np.sort(parts[0][0]))]
        if self._mapped is not None:
            parts.append(self._mapped.cosines(query, rest))
            rest = rest[~member(rest, parts[1][0])]
        parts.append(self._from_store(query, rest.tolist()))
        found = np.concatenate([part[0] for part in parts])
        cosines = np.concatenate([part[1] for part in parts])
        return best(found, cosines, limit)

    def _from_store(
        self, query: NDArray[np.float32], ids: list[int]
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The cosines of entries whose vectors are not at hand; those without one are left out."""
        length = self.dimensions * VECTOR_COMPONENT_BYTES
        rows = self._store.vectors.of(self.model_id, ids) if ids else []
        rows = [row for row in rows if len(row.data) == length]
        data = np.frombuffer(b"".join(row.data for row in rows), "<f2").astype(np.float32)
        cosines: NDArray[np.float32] = data.reshape(len(rows), self.dimensions) @ query
        return np.array([row.entry_id for row in rows], np.int64), cosines

    def _search_all(
        self, query: NDArray[np.float32], limit: int, scope: Scope
    ) -> list[tuple[int, float]]:
        """Ask both for ever more until enough that live and pass the filter are certain."""
        newer, ids = self._delta.cosines(query), self._delta.ids
        if not self._delta.whole:
            rest, cosines = self._delta.left_out(query)
            ids, newer = np.append(rest, ids), np.append(cosines, newer)
        within = self._within(scope)
        each = _OVERFETCH if within is not None else max(_OVERFETCH, scope.candidates_each())
        count, nodes = round(limit * each), self._nodes()
        while True:
            delta = HitList(best(ids, newer, count), exhausted=count >= len(newer))
            index = self._nearest(query, count, nodes, within)
            # Item by item the newer vector counts.
            merged = dict(index.hits) | dict(delta.hits)
            hits = first_passing(sorted(merged.items(), key=best_first), limit, scope)
            if certain(hits, (delta, index)) >= limit or (delta.exhausted and index.exhausted):
                return hits[:limit]
            count, nodes = count * _MORE_CANDIDATES, nodes * _MORE_NODES

    def _nodes(self) -> int:
        """Return how many nodes of the generation a search inspects at first."""
        return self._search_k or search_k_for(self._mapped.row.items if self._mapped else 0)

    def _nearest(
        self,
        query: NDArray[np.float32],
        count: int,
        nodes: int,
        within: NDArray[np.int32] | None,
    ) -> HitList:
        if self._mapped is None:
            return HitList([], exhausted=True)
        row = self._mapped.row
        if self._sketched(self._mapped):
            hits, exhausted = self._mapped.scan(query, count, within)
            return HitList(hits, exhausted=exhausted)
        if count >= row.items:
            # Every tree has every item: so many nodes are all of them.
            hits = self._mapped.nearest(query, row.items, row.items * (row.trees + 1))
            return HitList(hits, exhausted=True)
        hits = self._mapped.nearest(query, count, max(nodes, count * _NODES_A_CANDIDATE))
        return HitList(hits, exhausted=False)

    def close(self) -> None:
        """Unmap; again is harmless. The store stays open."""
        with self._lock:
            self._let_go("")
            self._token = None
