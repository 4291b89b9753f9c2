"""After fusion: how much an entry's salience, its age and what was said of it move it.

    rank score    = fused score * learned_boost * boost
    boost         = 1 + BOOST * (w_s * salience * kept + w_r * kept) / w_total
    kept          = exp(-decay * age in days)
    learned_boost = 1 + LEARNED_BOOST * (mean - 1/2)

with the weights w_s, w_r and w_total = relevance + salience + recency of `RankWeights`. The boost
is a factor, so it grows with relevance: an entry that says nothing about the query is never boosted
over one that answers it, whatever its salience. It is at most `BOOST` of the fused score, and
between entries of equal salience, decay and age the fused order stands. What is forgotten
(decay * age large) loses its boost, never its place by relevance.

The weights are relative; they are the means of the posteriors of the profile that serves. The
default ones are the means of the priors that profiles start from. `mean` is the profile's posterior
mean for the entry: 1/2 for one that nobody has judged.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from khive_supervisor.errors import InvalidInput
from khive_supervisor.search.fusion import Fused

#: The largest boost, when salience and recency have all the weight. With saliences and ages drawn
#: at random, which says nothing about relevance, the default weights cost at most 0.7 points of
#: nDCG@10 on any set, and 0 on average: the last column of scripts/bench_quality.
BOOST = 0.3
#: How much of the fused score lies between an entry of which only bad and one of which only good
#: was said. Measured on agents' sessions (docs/adr/0011-profiles.md): feedback gains 3 to 4 points
#: of nDCG@10 on questions that were never asked before, and nothing is lost while a third of it is
#: wrong; twice as much gains no more, and loses more to what is wrong.
LEARNED_BOOST = 0.25

_DAY = 86400.0


@dataclass(frozen=True, slots=True)
class RankWeights:
    """How much relevance, salience and recency count, relative to each other."""

    relevance: float = 0.7
    salience: float = 0.2
    recency: float = 0.1

    def __post_init__(self) -> None:
        weights = (self.relevance, self.salience, self.recency)
        if not all(math.isfinite(w) and w >= 0 for w in weights) or sum(weights) <= 0:
            raise InvalidInput(
                f"The weights {weights} are not usable.",
                hint="Give relevance, salience and recency as numbers >= 0, not all 0.",
            )


DEFAULT_WEIGHTS = RankWeights()
#: Posterior means by entry id; those that are missing are 1/2.
Means = Mapping[int, float]


@dataclass(frozen=True, slots=True)
class RankingProfile:
    """How a profile ranks: its weights, and its posterior means of those entries it knows of."""

    weights: RankWeights = DEFAULT_WEIGHTS
    means: Callable[[Sequence[int]], Means] | None = None


NEUTRAL = RankingProfile()


@dataclass(frozen=True, slots=True)
class Age:
    """What ranking knows of an entry: salience 0..1, decay per day, age in days."""

    salience: float
    decay: float
    days: float

    @classmethod
    def at(cls, now: float, *, created_at: float, salience: float, decay: float) -> Age:
        """From wall-clock seconds; an entry from the future (a clock set back) is new."""
        return cls(salience, decay, max(now - created_at, 0.0) / _DAY)

    @property
    def kept(self) -> float:
        """Return how much of the entry's boost is left, 0..1: exp(-decay * days)."""
        return math.exp(-max(self.decay, 0.0) * max(self.days, 0.0))


@dataclass(frozen=True, slots=True)
class Ranked:
    """A fused candidate with its final score: fused.score * learned_boost * boost."""

    fused: Fused
    score: float
    boost: float
    learned_boost: float


def learned_boost(mean: float) -> float:
    """Return the factor for an entry whose posterior mean this is."""
    return 1.0 + LEARNED_BOOST * (mean - 0.5)


def boost(age: Age, weights: RankWeights = DEFAULT_WEIGHTS) -> float:
    """Return the factor for an entry, 1 to 1 + BOOST."""
    total = weights.relevance + weights.salience + weights.recency
    salience = min(max(age.salience, 0.0), 1.0)
    return 1.0 + BOOST * age.kept * (weights.salience * salience + weights.recency) / total


#: Nobody is boosted more: of full salience, and new.
_MOST_BOOSTED = Age(salience=1.0, decay=0.0, days=0.0)


def contenders(
    fused: Sequence[Fused],
    limit: int,
    weights: RankWeights = DEFAULT_WEIGHTS,
    means: Means = MappingProxyType({}),
) -> Sequence[Fused]:
    """Return those of a fused list that can be among the first `limit` of the ranked one.

    Nobody is boosted by more than the weights allow, so the others need not be weighed at all.
    """
    if len(fused) <= limit:
        return fused
    scores = [candidate.score * learned_boost(means.get(candidate.id, 0.5)) for candidate in fused]
    needed = sorted(scores)[-limit] / boost(_MOST_BOOSTED, weights)
    return [one for one, score in zip(fused, scores, strict=True) if score >= needed]


def rank(
    fused: Sequence[Fused],
    age_of: Callable[[int], Age | None],
    weights: RankWeights = DEFAULT_WEIGHTS,
    means: Means = MappingProxyType({}),
) -> list[Ranked]:
    """Order fused candidates by their final score; equal ones stay in the fused order.

    `age_of` gives an entry's age by id, or None for one that is gone, which is left out.
    """
    ranked = []
    for candidate in fused:
        age = age_of(candidate.id)
        if age is not None:
            factor, learned = boost(age, weights), learned_boost(means.get(candidate.id, 0.5))
            ranked.append(Ranked(candidate, candidate.score * learned * factor, factor, learned))
    return sorted(ranked, key=lambda r: -r.score)
