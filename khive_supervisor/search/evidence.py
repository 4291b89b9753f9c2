"""What a search knows of its first results, as facts that `fit` judges: pure.

Which entries have which words, and how near they are, is asked of the store by the engine; here it
is only put together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from khive_supervisor.search import fit
from khive_supervisor.search.exact_names import Written
from khive_supervisor.search.fit import EntryFacts, QueryFacts
from khive_supervisor.search.ranking import Ranked
from khive_supervisor.text.analysis import Query

#: Results whose coverage says what the store has of a query, however few are asked for.
FIRST = 10


@dataclass(frozen=True, slots=True)
class SearchEvidence:
    """What both arms know of a query and of its first results.

    Attributes:
        query: as it was asked.
        terms: its terms, and how often each occurs in it.
        frequencies: in how many of `indexed` entries each looked-up term occurs.
        holders: of the first results, those that have each of the terms.
        cosines: of the vector arm's candidates, best first.
        near: the cosines of the first results, by id.
        searched: how many entries could have been found.
    """

    query: str
    terms: Query
    frequencies: Mapping[str, int]
    indexed: int
    holders: Mapping[str, set[int]]
    cosines: Sequence[float]
    near: Mapping[int, float]
    searched: int


@dataclass(frozen=True, slots=True)
class Judged:
    """A ranked result, how well it fits, and the facts behind that."""

    ranked: Ranked
    fit: float
    facts: EntryFacts
    query: QueryFacts

    @property
    def id(self) -> int:
        """Return the entry's number."""
        return self.ranked.fused.id


def judge(ranked: Sequence[Ranked], written: Written, found: SearchEvidence) -> list[Judged]:
    """Return the results in their order, each with its fit."""
    weights = {
        term: fit.word_weight(count, found.indexed)
        * min(found.terms.get(term, 1), fit.MOST_REPEATED)
        for term, count in found.frequencies.items()
    }
    facts = [_entry_facts(one.fused.id, weights, written, found) for one in ranked]
    arms = ranked[0].fused.arms if ranked else None
    query = QueryFacts(
        words=len(weights),
        entries=found.searched,
        cosines=found.cosines,
        meaning_weight=arms[1].weight if arms else 0.0,
        best_coverage=max((one.coverage for one in facts[:FIRST]), default=0.0),
        small_talk=fit.is_small_talk(found.query),
    )
    return [
        Judged(one, fit.fit(known, query), known, query)
        for one, known in zip(ranked, facts, strict=True)
    ]


def _entry_facts(
    entry: int, weights: Mapping[str, float], written: Written, found: SearchEvidence
) -> EntryFacts:
    covered = [term for term in weights if entry in found.holders.get(term, ())]
    total = sum(weights.values())
    return EntryFacts(
        cosine=found.near.get(entry),
        coverage=sum(weights[term] for term in covered) / total if total else 0.0,
        complete=bool(covered) and len(covered) == len(weights),
        rare=any(fit.is_rare(found.frequencies[term], found.indexed) for term in covered),
        names=written.share * written.have.get(entry, 0.0),
    )
