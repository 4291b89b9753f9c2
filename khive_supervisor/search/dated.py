"""After fusion: entries of the time that a query names come before the others.

    factor = 1 + BOOST * nearness

with a nearness of 1 within the span, and BESIDE * exp(-3 * distance / length) outside. It is a
preference and no filter: what answers a query and was said at another time is still found.
Measured: `scripts/bench --only dates`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from khive_supervisor.search.fusion import Fused
from khive_supervisor.text import dates
from khive_supervisor.text.analysis import STOP_WORDS, Query, read_query

#: What being of the time that was asked for adds to a score, in proportion to it.
BOOST = 2.5
#: How near is what was made just beside a span.
BESIDE = 0.2
#: Characters of a query that may be about a time; what is pasted has dates of all kinds.
LONGEST = 300
#: The shortest length of a span, in seconds: people are off by a day.
_DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class Times:
    """The times that a query names, in unix seconds, and the query without them."""

    spans: Sequence[tuple[float, float]] = ()
    rest: str = ""

    def nearness(self, moment: float) -> float:
        """Return how near a moment is to the nearest span: 1 within it, 0 far away."""
        return max((_nearness(moment, since, until) for since, until in self.spans), default=0.0)

    def without(self, terms: Query) -> Query:
        """Return the terms of the query that name no time."""
        if not self.spans:
            return terms
        kept = read_query(self.rest)
        counts = {term: count for term, count in terms.items() if term in kept}
        return Query(counts, terms.names, terms.headline)


def times(query: str, now: datetime) -> Times:
    """Return the times that a query names, as they are for a reader whose clock says `now`."""
    named = dates.spans(query, now) if len(query) <= LONGEST else []
    if not named:
        return Times(rest=query)
    spans = [(one.since.timestamp(), one.until.timestamp()) for one in named]
    rest = dates.without(query, named)
    about = any(term not in STOP_WORDS for term in read_query(rest))
    return Times(spans, rest if about else query)


def is_of_its_time(factor: float) -> bool:
    """Return True for the factor of what was made within a span that the query names."""
    return factor >= 1.0 + BOOST


def prefer(
    fused: Sequence[Fused], wanted: Times, created: Mapping[int, float]
) -> tuple[list[Fused], Mapping[int, float]]:
    """Return the candidates by their scores times their factors, and these by id.

    `created`: when each was made, in unix seconds; of those that are missing nothing is known.
    """
    factors = {
        one.id: 1.0 + BOOST * wanted.nearness(created[one.id]) for one in fused if one.id in created
    }
    scored = [one._replace(score=one.score * factors.get(one.id, 1.0)) for one in fused]
    return sorted(scored, key=lambda one: (-one.score, -one.id)), factors


def _nearness(moment: float, since: float, until: float) -> float:
    if since <= moment < until:
        return 1.0
    distance = max(since - moment, moment - until)
    return BESIDE * math.exp(-3.0 * distance / max(until - since, _DAY))
