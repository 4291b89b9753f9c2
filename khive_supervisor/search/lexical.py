"""Which words of a query the full-text index is asked for, so that no query is slow.

FTS5 reads and scores every entry that has any word of an OR (0.3 to 0.6 µs each), so a pasted page,
or two words that every other entry has, cost tens of milliseconds at 100,000 entries. But an entry
that has only the commonest words of a query is no good answer to it. So the words are split:

- *required*: the words worth most (idf x occurrences in the query), as long as the entries that
  have them are few;
- *optional*: the next best. They add to the score of an entry with a required word, and do not
  bring in others.

This is the pruning of MaxScore (Turtle and Flood, 1995) with FTS5's means: one expression for
entries with a required *and* an optional word, one for those with a required word alone. The best
of both scores is an entry's exact BM25 for the chosen words. Measured: docs/adr/0003-fusion.md.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from khive_supervisor.text.analysis import Query, match_expression

#: (entry id, BM25), best first.
Scored = list[tuple[int, float]]

#: Asks the index: an expression and how many entries at most.
Match = Callable[[str, int], Scored]


#: Entries from which on a term is common: looking it up takes as long as reading their list.
_COMMON = 100
#: Required words from which on an entry that has none of the optional ones is not looked for: who
#: pastes a page does not mean one rare word of it. Costs 0.2 points of nDCG@10, saves 2 of 7 ms.
_MANY = 12
#: Common terms that a cache holds before it starts anew; about 2 MB.
_CACHED_TERMS = 20_000
#: How often a word of a query's headline counts.
HEADLINE = 2


@dataclass(frozen=True, slots=True)
class QueryCost:
    """How much a query may cost.

    `postings`: entries that the required words may have in all; one word at least is required
    whatever it costs. `required` and `optional`: words. `lookups`: words of a long query whose
    frequency is looked up (about 15 µs each).
    """

    postings: int = 600
    required: int = 24
    optional: int = 24
    lookups: int = 112


DEFAULT_BUDGET = QueryCost()


@dataclass(frozen=True, slots=True)
class TermSelection:
    """The words to ask for, each group by falling worth, and what is known of them.

    `postings`: entries that have a required word, counted once for each such word. `names`: the
    share of names (`text.Query`) in the idf of all the query's words that some entry has, 0..1.
    `headline`: words that count twice (docs/adr/0037-search-levers.md).
    """

    required: tuple[str, ...]
    optional: tuple[str, ...]
    postings: int
    names: float
    headline: frozenset[str] = frozenset()

    def times(self, term: str) -> int:
        """Return how often a word counts."""
        return HEADLINE if term in self.headline else 1


def worth_looking_up(query: Query, budget: QueryCost = DEFAULT_BUDGET) -> list[str]:
    """Return the terms whose frequencies `select` wants: names, then the most repeated ones.

    Of equally frequent ones, those that come first in the query.
    """
    ordered = sorted(query, key=lambda t: (t not in query.names, -query[t]))
    return ordered[: budget.lookups]


def select(
    query: Query,
    frequencies: Mapping[str, int],
    entries: int,
    budget: QueryCost = DEFAULT_BUDGET,
) -> TermSelection:
    """Choose among the terms of a query those with a frequency.

    `frequencies`: in how many of the `entries` a term occurs; those of 0 cannot match and are left
    out. As long as everything fits the budget, all words are required: that is a plain OR.
    """
    known = [term for term in query if frequencies.get(term, 0) > 0]
    idf = {term: inverse_frequency(frequencies[term], entries) for term in known}
    ordered = sorted(known, key=lambda term: -idf[term] * query[term])
    required: list[str] = []
    optional: list[str] = []
    postings = 0
    for term in ordered:
        fits = not required or postings + frequencies[term] <= budget.postings
        if fits and len(required) < budget.required:
            required.append(term)
            postings += frequencies[term]
        elif len(optional) < budget.optional:
            optional.append(term)
    named = sum(idf[term] for term in known if term in query.names)
    names = named / sum(idf.values()) if known else 0.0
    return TermSelection(tuple(required), tuple(optional), postings, names, query.headline)


class FrequencyCache:
    """Frequencies of common terms, remembered for a while: they are the slow ones to look up.

    A rare term is looked up every time, so that one which was just written is never taken for
    unknown; a common one may be off by what was written in the last `seconds`, which shifts what
    is asked for, never what is found for it. Used by one thread at a time.
    """

    def __init__(
        self,
        lookup: Callable[[list[str]], Mapping[str, int]],
        clock: Callable[[], float],
        seconds: float = 300.0,
    ) -> None:
        self._lookup = lookup
        self._clock = clock
        self._seconds = seconds
        self._common: dict[str, int] = {}
        self._until = 0.0

    def __call__(self, terms: Sequence[str]) -> dict[str, int]:
        """Return the frequency of each of the terms."""
        now = self._clock()
        if now >= self._until or len(self._common) > _CACHED_TERMS:
            self._common, self._until = {}, now + self._seconds
        found = {term: self._common[term] for term in terms if term in self._common}
        fresh = self._lookup([term for term in terms if term not in found])
        self._common.update({term: n for term, n in fresh.items() if n >= _COMMON})
        return {**found, **fresh}


def inverse_frequency(frequency: int, entries: int) -> float:
    """Return the idf that FTS5's bm25() uses: ln((N - n + 1/2) / (n + 1/2)), never below 1e-6."""
    ratio = (entries - frequency + 0.5) / (frequency + 0.5)
    return max(math.log(ratio), 1e-6) if ratio > 0 else 1e-6


def retrieve(
    selection: TermSelection, match: Match, limit: int, budget: QueryCost = DEFAULT_BUDGET
) -> Scored:
    """The best entries for the chosen words, best first; equal ones newest (highest id) first.

    Asks the index once or twice. `match` answers an expression of `text.match_expression`.
    """
    required, optional = (
        _told(selection, some) for some in (selection.required, selection.optional)
    )
    alone = match_expression(required)
    if not alone:
        return []
    if not optional:
        return match(alone, limit)
    both = match(match_expression(required, also=optional), limit)
    # A single required word that is everywhere, or many of them: entries with a second word are
    # enough of them.
    everywhere = selection.postings > budget.postings
    if (everywhere or len(selection.required) >= _MANY) and len(both) >= limit:
        return both
    best = dict(match(alone, limit))
    for entry, score in both:
        best[entry] = max(score, best.get(entry, score))
    return sorted(best.items(), key=lambda found: (-found[1], -found[0]))[:limit]


def _told(selection: TermSelection, terms: Sequence[str]) -> list[str]:
    """Return terms as often as each counts: FTS5 adds up what an expression names."""
    return [term for term in terms for _ in range(selection.times(term))]
