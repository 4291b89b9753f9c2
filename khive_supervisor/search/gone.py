"""Searching among entries that no index holds any more, by comparing them one by one; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from khive_supervisor.search import evidence, fit, fusion, ranking
from khive_supervisor.search.evidence import Judged
from khive_supervisor.search.exact_names import Written
from khive_supervisor.store.model import Entry
from khive_supervisor.text.analysis import Query, read_query


def judged(
    query: str, entries: Sequence[Entry], near: Mapping[int, float], limit: int
) -> list[Judged]:
    """Return the entries that come next to a query, best first, each with how well it fits.

    `near` has the cosines of those that have a vector.
    """
    terms = read_query(query)
    holders = _holders(terms, entries)
    known = max(len(entries), fit.FEWEST_ENTRIES)
    weights = {term: fit.word_weight(len(have), known) for term, have in holders.items()}
    scores = {
        one.id: sum(weights[term] for term, have in holders.items() if one.id in have)
        for one in entries
    }
    by_words = sorted(((one, s) for one, s in scores.items() if s), key=_best_first)
    by_meaning = sorted(near.items(), key=_best_first)
    fused = fusion.fuse(by_words, by_meaning)[: max(limit, evidence.FIRST)]
    found = evidence.SearchEvidence(
        query=query,
        terms=terms,
        frequencies={term: len(have) for term, have in holders.items()},
        indexed=known,
        holders=holders,
        cosines=[cosine for _, cosine in by_meaning],
        near=near,
        searched=len(entries),
    )
    ranked = [ranking.Ranked(one, one.score, 1.0, 1.0) for one in fused]
    return evidence.judge(ranked, Written(fused), found)[:limit]


def _holders(terms: Query, entries: Sequence[Entry]) -> dict[str, set[int]]:
    """Return which entries have each of the terms."""
    have: dict[str, set[int]] = {term: set() for term in terms}
    for one in entries:
        for term in (
            read_query("\n".join((one.title, one.content, *one.tags))).keys() & terms.keys()
        ):
            have[term].add(one.id)
    return have


def _best_first(scored: tuple[int, float]) -> tuple[float, int]:
    return -scored[1], -scored[0]
