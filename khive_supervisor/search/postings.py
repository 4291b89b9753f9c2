"""The best entries for chosen words, from the inverted index of a generation.

The same choice as `lexical` makes for FTS5, and the same score: the required words bring the
entries in, the optional ones add to those. What takes FTS5 a page for each entry is here a look
into sorted lists, so more entries may be brought in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from khive_supervisor.index.inverted.postings_file import Postings
from khive_supervisor.index.inverted.scope import place_of
from khive_supervisor.search.lexical import QueryCost, Scored, TermSelection, inverse_frequency

#: Words' lists cost little here.
BUDGET = QueryCost(postings=1000, required=24, optional=24, lookups=112)
#: Which of some entries may be found.
Passing = Callable[[NDArray[np.int64]], NDArray[np.bool_]]

#: Entries that are asked about at once, for each wanted one: nearly all of them pass most filters.
_ASKED = 2


def retrieve(
    selection: TermSelection,
    by_term: Mapping[str, Postings],
    entries: int,
    passing: Passing,
    limit: int,
) -> Scored:
    """Return the best entries for the chosen words that pass, best first; equal ones newest first.

    `by_term`: the entries of each term and its impact on them (a term without one is in none);
    `entries`: how many there are in all.
    """
    known = [term for term in selection.required if term in by_term]
    required = [by_term[term] for term in known]
    if not required or limit <= 0:
        return []
    weights = [_worth(term, by_term[term], selection, entries) for term in known]
    # A damaged file may hold anything: what is no number is worth nothing.
    with np.errstate(all="ignore"):
        ids, scores = _brought_in(required, weights)
        for term in selection.optional:
            if term in by_term:
                worth = _worth(term, by_term[term], selection, entries)
                _add(ids, scores, by_term[term], worth)
    scores = np.nan_to_num(scores, nan=0.0, posinf=0.0, neginf=0.0)
    return _best(ids, scores, passing, limit)


def _worth(term: str, postings: Postings, selection: TermSelection, entries: int) -> np.float32:
    """Return what a word's impact on an entry is worth: its idf, as often as it counts."""
    return np.float32(selection.times(term) * inverse_frequency(len(postings[0]), entries))


def _brought_in(
    required: Sequence[Postings], weights: Sequence[np.float32]
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return every entry of the required words, ascending, with its score for these."""
    worth = [impacts * weight for (_, impacts), weight in zip(required, weights, strict=True)]
    if len(required) == 1:
        return required[0][0].astype(np.int64), worth[0]
    every = np.concatenate([ids for ids, _ in required]).astype(np.int64)
    ids, places = np.unique(every, return_inverse=True)
    return ids, np.bincount(places, np.concatenate(worth)).astype(np.float32)


def _add(
    ids: NDArray[np.int64], scores: NDArray[np.float32], postings: Postings, idf: np.float32
) -> None:
    """What a word adds to the entries that are in already."""
    known, impacts = postings
    places = place_of(ids, known)
    has = np.flatnonzero(known[places] == ids)
    scores[has] += impacts[places[has]] * idf


def _best(
    ids: NDArray[np.int64], scores: NDArray[np.float32], passing: Passing, limit: int
) -> Scored:
    """Return the first `limit` that pass, in order; asks about no more than it takes."""
    asked = limit * _ASKED
    if asked < len(ids):
        bar = np.partition(scores, len(scores) - asked)[len(scores) - asked]
        first = np.flatnonzero(scores >= bar)
        found = _passed(ids[first], scores[first], passing, limit)
        if len(found) >= limit:
            return found
    return _passed(ids, scores, passing, limit)


def _passed(
    ids: NDArray[np.int64], scores: NDArray[np.float32], passing: Passing, limit: int
) -> Scored:
    kept = np.flatnonzero(passing(ids))
    ids, scores = ids[kept], scores[kept]
    order = np.lexsort((ids, scores))[::-1][:limit]
    return list(zip(ids[order].tolist(), scores[order].tolist(), strict=True))
