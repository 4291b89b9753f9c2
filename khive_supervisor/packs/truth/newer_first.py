"""The newer one of two results, before the older one whose place it is likely to have taken.

Two are compared that are short, or that are conversations. Nothing says that they disagree: neither
is marked.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from khive_supervisor.search.results import Hit
from khive_supervisor.truth import answering, deciding
from khive_supervisor.truth.amending import Worth, evenly
from khive_supervisor.truth.answering import Answering
from khive_supervisor.truth.reading import Reading

Cosines = Mapping[tuple[int, int], float]
Readings = Mapping[int, Reading]

#: Results that are known when one is compared, and those behind the first that are compared.
KNOWN, COMPARED = 10, 3


@dataclass(frozen=True, slots=True)
class Newer:
    """A newer result, where it stands, and what it and the first one are to the query."""

    place: int
    newer: Answering
    older: Answering
    alike: float

    @property
    def spoken(self) -> bool:
        """Return True for conversations that may be about one decision."""
        return deciding.may_decide_anew(self.newer, self.older, self.alike)

    def logit(self, worth: Worth) -> float:
        """Return how likely it is that the newer one has taken the older one's place: above 0."""
        if self.spoken:
            return deciding.logit(self.newer, self.older, self.alike, worth)
        return answering.logit(self.newer, self.older, self.alike, self.place)


def newer_before(
    hits: Sequence[Hit],
    cosines: Cosines,
    readings: Readings,
    settled: Collection[tuple[int, int]] = (),
    worth: Worth = evenly,
) -> list[Hit]:
    """Return the results with the likeliest newer one before the first, if there is one.

    `settled` are the ids of those that are known both to hold, newer first; `worth` tells what
    words are worth that both have. Nothing else moves.
    """
    found = [
        (one.logit(worth), one.place)
        for one in candidates(hits, cosines, readings)
        if (hits[one.place].entry.id, hits[0].entry.id) not in settled
    ]
    likeliest, place = max(found, default=(0.0, 0))
    if likeliest <= 0.0:
        return list(hits)
    return [hits[place], *hits[:place], *hits[place + 1 :]]


def candidates(hits: Sequence[Hit], cosines: Cosines, readings: Readings) -> Iterator[Newer]:
    """Yield the newer results behind the first that may stand before it."""
    known = [place for place, hit in enumerate(hits[:KNOWN]) if hit.entry.id in readings]
    if 0 not in known:
        return
    for place in known[1:]:
        pair = (hits[place].entry.id, hits[0].entry.id)
        if place > COMPARED or pair not in cosines or age(hits[place]) <= age(hits[0]):
            continue
        newer, older = (_answering(hits, at, known, cosines, readings) for at in (place, 0))
        found = Newer(place, newer, older, cosines[pair])
        if answering.may_stand_before(newer, older) or found.spoken:
            yield found


def _answering(
    hits: Sequence[Hit], place: int, known: Sequence[int], cosines: Cosines, readings: Readings
) -> Answering:
    hit = hits[place]
    ids = [hits[one].entry.id for one in known if one != place]
    near = [cosines.get((hit.entry.id, one), 0.0) for one in ids]
    facts, learned_boost = hit.judged.facts, hit.judged.ranked.learned_boost
    return Answering(readings[hit.entry.id], facts.coverage, facts.names, near, learned_boost)


def age(hit: Hit) -> tuple[bool, float, int]:
    """Return what orders results by their dates: those of the time that was asked for are last."""
    return hit.asked_time, hit.entry.created_at, hit.entry.id
