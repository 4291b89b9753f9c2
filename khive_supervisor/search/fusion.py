"""One order out of two: full text and vectors, weighted anew for every query.

Reciprocal rank fusion looks at ranks alone, so it cannot see that one arm is sure of its first
result and the other is guessing. Two changes mend that:

1. The rank is replaced by what ranks stand for, how far a candidate is behind the arm's best:

       part = 1 / (1 + steepness * shortfall),  shortfall = (best - score) / best, in 0..1

   A flat list gives everybody nearly the same and so decides nothing; a steep one decides.

2. The weights are a function of how sharp each arm's list is. With the *sharpness* of an arm as the
   distance of its best score from the mean of the next nineteen (for BM25, which has no scale, in
   proportion to the best; for cosines as it is), *best* the highest cosine, and *names* the share
   of identifiers and the like in the idf of the query's words,

       log(w_vector / w_lexical) = balance
           + power * log((sharpness_vector + 0.02) / (sharpness_lexical + 0.1))
           + confidence * best - exactness * names

   and w_vector + w_lexical = 1. The score of a candidate is the weighted sum of its two parts, in
   0..1; 1 means the first of both arms.

Then who is near others that score well gets some of what they have (*support*): of several entries
about what was asked, one may say it in words that neither arm knows,

    score = (score + SUPPORT * mean score of the nearest candidates) / (1 + SUPPORT)

of the first `SUPPORTED`, the mean weighted by the squared cosines to the `NEAREST` of each.

A candidate that an arm does not list gets the part of a shortfall of 1 (full text: none of the
words) or of a cosine a little below the last one listed (vectors: everything has a cosine).

How the numbers were chosen: docs/adr/0003-fusion.md, and docs/adr/0061-support.md for the support;
scripts/bench_quality measures them again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Scored = Sequence[tuple[int, float]]


@dataclass(frozen=True, slots=True)
class FusionConfig:
    """The constants of the formula above; the defaults are measured."""

    balance: float = 1.0
    power: float = 1.85
    confidence: float = 3.2
    exactness: float = 4.2
    lexical_steepness: float = 2.0
    vector_steepness: float = 2.0


DEFAULT_FUSION = FusionConfig()
#: Best first; of equals, the newer entry.
_SCORE_AND_ID = itemgetter(1, 0)
#: Candidates that an arm's sharpness looks at.
_SHARPNESS_DEPTH = 20
#: What keeps the logarithm tame when a list is flat: about the noise of a cosine's difference, and
#: of a relative difference of BM25.
_VECTOR_FLOOR = 0.02
_LEXICAL_FLOOR = 0.1
#: The fewest following scores that a sharpness is an average of; missing ones count as no match.
_FEWEST_FOLLOWERS = 4
#: The cosine of a candidate that the vector arm does not list, in proportion to the last listed.
_UNSEEN_COSINE = 0.9
#: The logarithm of the odds at which one arm counts for all; exp() ends at 709.
_MOST_ODDS = 100.0
#: The smallest best cosine that shortfalls are measured against: below it nothing is similar.
_SMALLEST_COSINE = 0.05
#: The smallest best BM25 that shortfalls are measured against: a division by less is no number.
_SMALLEST_BM25 = 1e-300
#: How much of its neighbours' score a candidate gets, how many do, and from how many neighbours.
SUPPORT, SUPPORTED, NEAREST = 0.25, 30, 3
_SMALLEST_SCORE = 1e-9
#: The vectors of some entries, each of length 1, and whose they are; not of those without one.
VectorsOf = Callable[[Sequence[int]], tuple[NDArray[np.int64], NDArray[np.float32]]]
#: Where an arm lists a candidate: its rank from 1, its raw score, its part.
Place = tuple[int, float, float]


class Weighted(NamedTuple):
    """What an arm's parts count, and the part of a candidate that it does not list."""

    weight: float
    unlisted: float


class Fused(NamedTuple):
    """A candidate, its score, and what explains it; a tuple, since every search makes hundreds.

    `lexical` and `vector` are None where the arm does not list the candidate: its part is the arm's
    `unlisted` then. The score is the sum of both parts, each times the weight of its arm, and of
    that times `support`.
    """

    id: int
    score: float
    lexical: Place | None
    vector: Place | None
    arms: tuple[Weighted, Weighted]
    support: float = 1.0


def fuse(
    lexical: Scored, vector: Scored, names: float = 0.0, config: FusionConfig = DEFAULT_FUSION
) -> list[Fused]:
    """Fuse two lists, each best first with greater scores better, into one, best first.

    `lexical` has BM25 scores (>= 0), `vector` cosines; an id occurs at most once in a list.
    `names` is `lexical.Selection.names`, 0..1.
    Either may be empty: the order is then that of the other. Equal scores: newest (highest id)
    first, so the order never depends on anything else.
    """
    weight = vector_weight(lexical, vector, names, config)
    by_text, unlisted_text = _lexical_arm(lexical, config)
    by_vector, unlisted_vector = _vector_arm(vector, config)
    rest = 1.0 - weight
    arms = Weighted(rest, unlisted_text), Weighted(weight, unlisted_vector)
    # Written out: every search makes two hundred of these.
    no_text, no_vector = rest * unlisted_text, weight * unlisted_vector
    near = by_vector.get
    fused = []
    for entry, text in by_text.items():
        place = near(entry)
        score = rest * text[2] + (weight * place[2] if place else no_vector)
        fused.append(Fused(entry, score, text, place, arms))
    for entry, place in by_vector.items():
        if entry not in by_text:
            fused.append(Fused(entry, no_text + weight * place[2], None, place, arms))
    return sorted(fused, key=_SCORE_AND_ID, reverse=True)


def supported(fused: Sequence[Fused], vectors_of: VectorsOf) -> list[Fused]:
    """Return a fused list with what its first candidates get of the others that are near them.

    Who has no vector, or too few others beside it, stays as it is.
    """
    first = {one.id: one for one in fused[:SUPPORTED]}
    ids, vectors = vectors_of([*first])
    if len(ids) <= NEAREST:
        return list(fused)
    scores = np.array([first[one].score for one in ids.tolist()])
    near = np.maximum(vectors @ vectors.T, 0.0) ** 2
    np.fill_diagonal(near, 0.0)
    near[near < np.partition(near, -NEAREST, axis=1)[:, -NEAREST, None]] = 0.0
    total = near.sum(axis=1)
    around = np.where(total > 0.0, near @ scores / np.maximum(total, _SMALLEST_SCORE), scores)
    gained = (1.0 + SUPPORT * around / np.maximum(scores, _SMALLEST_SCORE)) / (1.0 + SUPPORT)
    for one, factor in zip(ids.tolist(), gained.tolist(), strict=True):
        first[one] = first[one]._replace(score=first[one].score * factor, support=factor)
    return sorted([*first.values(), *fused[SUPPORTED:]], key=_score_and_id, reverse=True)


def _score_and_id(candidate: Fused) -> tuple[float, int]:
    return candidate.score, candidate.id


def unlisted(entry: int, arms: tuple[Weighted, Weighted]) -> Fused:
    """Return a candidate that neither arm lists."""
    return Fused(entry, sum(arm.weight * arm.unlisted for arm in arms), None, None, arms)


def vector_weight(
    lexical: Scored, vector: Scored, names: float = 0.0, config: FusionConfig = DEFAULT_FUSION
) -> float:
    """Return the weight of the vector arm, 0..1, that of the lexical one being the rest."""
    if not vector:
        return 0.0
    if not lexical:
        return 1.0
    sharper = vector_sharpness(vector) + _VECTOR_FLOOR
    sharper /= lexical_sharpness(lexical) + _LEXICAL_FLOOR
    best = min(max(vector[0][1], -1.0), 1.0)
    sure = config.confidence * best - config.exactness * names
    log_odds = config.balance + config.power * math.log(sharper) + sure
    return 1.0 / (1.0 + math.exp(-min(max(log_odds, -_MOST_ODDS), _MOST_ODDS)))


def vector_sharpness(vector: Scored) -> float:
    """Return how far the best cosine is above the mean of the next ones, 0..2; 0 for one alone."""
    best, rest = _best_and_next(vector)
    return min(max(best - sum(rest) / len(rest), 0.0), 2.0) if rest else 0.0


def lexical_sharpness(lexical: Scored) -> float:
    """Return how far the best BM25 is above the mean of the next ones: 0..1, 1 being the best.

    In a list of less than five, the missing ones count as 0: the only match of a rare name is as
    sharp as can be.
    """
    best, rest = _best_and_next(lexical)
    if best <= 0.0:
        return 0.0
    return min(max(1.0 - sum(rest) / max(len(rest), _FEWEST_FOLLOWERS) / best, 0.0), 1.0)


def _best_and_next(scored: Scored) -> tuple[float, list[float]]:
    return scored[0][1], [score for _, score in scored[1:_SHARPNESS_DEPTH]]


def _lexical_arm(lexical: Scored, config: FusionConfig) -> tuple[dict[int, Place], float]:
    best = lexical[0][1] if lexical else 0.0
    # All scores are 0 when every word is in most entries: then nobody is behind.
    unit = best if best > _SMALLEST_BM25 else 1.0
    steepness = config.lexical_steepness
    return _places(lexical, best, unit, steepness), _part(1.0, steepness)


def _vector_arm(vector: Scored, config: FusionConfig) -> tuple[dict[int, Place], float]:
    if not vector:
        return {}, 0.0
    best, last = vector[0][1], vector[-1][1]
    unit = max(best, _SMALLEST_COSINE)
    unseen = (best - _UNSEEN_COSINE * max(last, 0.0)) / unit
    steepness = config.vector_steepness
    return _places(vector, best, unit, steepness), _part(unseen, steepness)


def _places(scored: Scored, best: float, unit: float, steepness: float) -> dict[int, Place]:
    # As `_part`, written out. The difference is divided, not multiplied by what 1/unit is: that is
    # infinite for the smallest floats, and infinity times nothing is no number.
    return {
        entry: (rank, score, 1.0 / (1.0 + steepness * min((best - score) / unit, 1.0)))
        for rank, (entry, score) in enumerate(scored, 1)
    }


def _part(shortfall: float, steepness: float) -> float:
    if shortfall <= 0.0:
        return 1.0
    return 1.0 / (1.0 + steepness * min(shortfall, 1.0))
