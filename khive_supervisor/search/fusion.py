"""One order out of two: full text and vectors, weighted anew for every query.

Reciprocal rank fusion gives a candidate `weight / (k + rank)` from each arm. It looks at ranks
alone, so it cannot see that one arm is sure of its first result and the other is guessing; fixed
weights that are right for questions about code ruin the recall of conversations, and the other way
round. Two changes keep its shape and its two-number explanation, and mend that:

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

A candidate that an arm does not list gets the part of a shortfall of 1 (full text: none of the
words) or of a cosine a little below the last one listed (vectors: everything has a cosine).

The numbers were chosen on sets of many kinds, each left out in turn; what was tried and the
results are in docs/adr/0003-fusion.md; scripts/bench_quality measures them again.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

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

#: The smallest best cosine that shortfalls are measured against: below it nothing is similar.
_SMALLEST_COSINE = 0.05


class Fused(NamedTuple):
    """A candidate, its score, and all that explains it; a tuple, since every search makes hundreds.

    Ranks count from 1; rank and raw score (BM25, cosine) are None where the arm does not list the
    candidate. score = lexical_weight * lexical_part + vector_weight * vector_part.
    """

    id: int
    score: float
    lexical_rank: int | None
    lexical_score: float | None
    lexical_part: float
    lexical_weight: float
    vector_rank: int | None
    vector_score: float | None
    vector_part: float
    vector_weight: float


@dataclass(frozen=True, slots=True)
class _Arm:
    """One arm's list by id: (rank, raw score, part), the part of an unlisted one, the weight."""

    listed: Mapping[int, tuple[int, float, float]]
    unlisted: float
    weight: float


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
    words = _lexical_arm(lexical, 1.0 - weight, config)
    meaning = _vector_arm(vector, weight, config)
    fused = [_fused(i, words, meaning) for i in words.listed.keys() | meaning.listed.keys()]
    return sorted(fused, key=lambda f: (-f.score, -f.id))


def vector_weight(
    lexical: Scored, vector: Scored, names: float = 0.0, config: FusionConfig = DEFAULT_FUSION
) -> float:
    """The weight of the vector arm, 0..1, that of the lexical one being the rest."""
    if not vector:
        return 0.0
    if not lexical:
        return 1.0
    sharper = vector_sharpness(vector) + _VECTOR_FLOOR
    sharper /= lexical_sharpness(lexical) + _LEXICAL_FLOOR
    sure = config.confidence * vector[0][1] - config.exactness * names
    log_odds = config.balance + config.power * math.log(sharper) + sure
    return 1.0 / (1.0 + math.exp(-log_odds))


def vector_sharpness(vector: Scored) -> float:
    """How far the best cosine is above the mean of the next ones; 0 for a list of one."""
    best, rest = _best_and_next(vector)
    return max(best - sum(rest) / len(rest), 0.0) if rest else 0.0


def lexical_sharpness(lexical: Scored) -> float:
    """How far the best BM25 is above the mean of the next ones, as a share of the best, 0..1.

    In a list of less than five, the missing ones count as 0: the only match of a rare name is as
    sharp as can be.
    """
    best, rest = _best_and_next(lexical)
    if best <= 0.0:
        return 0.0
    return min(max(1.0 - sum(rest) / max(len(rest), _FEWEST_FOLLOWERS) / best, 0.0), 1.0)


def _best_and_next(scored: Scored) -> tuple[float, list[float]]:
    return scored[0][1], [score for _, score in scored[1:_SHARPNESS_DEPTH]]


def _lexical_arm(lexical: Scored, weight: float, config: FusionConfig) -> _Arm:
    best = lexical[0][1] if lexical else 0.0
    # All scores are 0 when every word is in most entries: then nobody is behind.
    unit = best if best > 0.0 else 1.0
    listed = _parts(lexical, best, unit, config.lexical_steepness)
    return _Arm(listed, _part(1.0, config.lexical_steepness), weight)


def _vector_arm(vector: Scored, weight: float, config: FusionConfig) -> _Arm:
    if not vector:
        return _Arm({}, 0.0, weight)
    best, last = vector[0][1], vector[-1][1]
    unit = max(best, _SMALLEST_COSINE)
    unseen = (best - _UNSEEN_COSINE * max(last, 0.0)) / unit
    listed = _parts(vector, best, unit, config.vector_steepness)
    return _Arm(listed, _part(unseen, config.vector_steepness), weight)


def _parts(
    scored: Scored, best: float, unit: float, steepness: float
) -> dict[int, tuple[int, float, float]]:
    return {
        entry: (rank, score, _part((best - score) / unit, steepness))
        for rank, (entry, score) in enumerate(scored, 1)
    }


def _part(shortfall: float, steepness: float) -> float:
    return 1.0 / (1.0 + steepness * min(max(shortfall, 0.0), 1.0))


def _fused(entry: int, words: _Arm, meaning: _Arm) -> Fused:
    word = words.listed.get(entry)
    near = meaning.listed.get(entry)
    lexical_part = word[2] if word else words.unlisted
    vector_part = near[2] if near else meaning.unlisted
    return Fused(
        entry,
        words.weight * lexical_part + meaning.weight * vector_part,
        word[0] if word else None,
        word[1] if word else None,
        lexical_part,
        words.weight,
        near[0] if near else None,
        near[1] if near else None,
        vector_part,
        meaning.weight,
    )
