"""How likely it is that short texts are about one thing, however they are worded; pure.

Two texts about one thing are nearer to each other than to what else there is, and near to the same
*subjects*: deploying, reviews, time-outs. A logistic function weighs what is known of a new text
and of each of its candidates,

    logit = constant + sum of weight * feature

and what is above 0 is told. The weights were learned from pairs of facts that judge nothing, by
`python -m benchmarks.truth.learn_sameness`; docs/adr/0070-sameness.md says what they are worth.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from khive_supervisor.truth.amending import PASSING
from khive_supervisor.truth.compare import rivals
from khive_supervisor.truth.reading import Reading

Matrix = NDArray[np.float32]
Numbers = NDArray[np.float64]

#: Candidates next to one that it is compared with, and what stands for those that a small store
#: has not: how near facts of one team are to each other, by meaning and by subjects.
OTHERS, MEANING, SUBJECT = 7, 0.25, 0.4
#: Candidates that a text usually has.
USUAL = 16
#: What two texts have in common of rare words counts up to here, in units of five words that one of
#: sixteen texts has.
MOST_RARE = 2.0
#: How steeply nearness to a subject counts in the mixture of subjects that a text is about.
STEEPNESS = 20.0

WEIGHTS: Mapping[str, float] = MappingProxyType(
    {
        "constant": 7.775,
        "cosine": 4.182,
        "stands_out": 2.259,
        "crowded": -3.424,
        "subject": 3.528,
        "subject_stands_out": 1.108,
        "subject_crowded": -1.416,
        "gap": 8.228,
        "level": 6.554,
        "words": 1.156,
        "length": -4.781,
        "new_length": 2.144,
        "rivals": -3.580,
        "first": -1.822,
        "subject_word": 0.727,
        "rare": -12.412,
        "rare_sum": 4.086,
    }
)


def logits(new: Reading, earlier: Sequence[Reading], vectors: Matrix, subjects: Matrix) -> Numbers:
    """Return for each of some earlier texts whether it may be about what a new one is about: > 0.

    `vectors` are unit rows, those of the earlier texts and, last, that of the new one; `subjects`
    those of texts that name a subject each.
    """
    known = features(new, earlier, vectors, subjects)
    weighed = np.array([weight * known[name] for name, weight in WEIGHTS.items()], np.float64)
    return np.asarray(weighed.sum(0), np.float64)


def features(
    new: Reading, earlier: Sequence[Reading], vectors: Matrix, subjects: Matrix
) -> Mapping[str, Numbers]:
    """Return the features that the weights are for, by name, each with a number a candidate."""
    near = (vectors @ vectors.T).astype(np.float64)
    mixed = _mixtures(vectors, subjects)
    alike = mixed @ mixed.T
    return {
        "constant": np.ones(len(earlier)),
        "cosine": near[:-1, -1],
        "stands_out": near[:-1, -1] - _beside(near[:-1, -1], MEANING),
        "crowded": _around(near[:-1, :-1], MEANING),
        "gap": _gaps(near[:-1, -1]),
        "level": np.full(len(earlier), _level(near[:-1, -1])),
        "subject": alike[:-1, -1],
        "subject_stands_out": alike[:-1, -1] - _beside(alike[:-1, -1], SUBJECT),
        "subject_crowded": _around(alike[:-1, :-1], SUBJECT),
        **_worded(new, earlier),
        **_rare(new, earlier),
    }


def _mixtures(vectors: Matrix, subjects: Matrix) -> Numbers:
    """Return of which subjects each text is: rows whose products are 1 for equal mixtures."""
    near = vectors @ subjects.T
    near -= near.max(1, keepdims=True)
    share = np.exp(STEEPNESS * near)
    return np.asarray(np.sqrt(share / share.sum(1, keepdims=True)), np.float64)


def _beside(row: Numbers, usual: float) -> Numbers:
    """Return for each candidate how near the nearest others are."""
    return _around(np.tile(row, (len(row), 1)), usual)


def _around(square: Numbers, usual: float) -> Numbers:
    """Return for each candidate how near it is to the nearest other candidates."""
    others = square.copy()
    np.fill_diagonal(others, -np.inf)
    nearest = np.sort(others, axis=1)[:, ::-1][:, : min(OTHERS, len(others) - 1)]
    missing = OTHERS - nearest.shape[1]
    return np.asarray((nearest.sum(1) + usual * missing) / OTHERS, np.float64)


def _gaps(row: Numbers) -> Numbers:
    """Return for each candidate how much nearer it is than the nearest other one."""
    if len(row) < 2:
        return row - MEANING
    second, first = np.sort(row)[-2:]
    return np.asarray(row - np.where(row == first, second, first), np.float64)


def _level(row: Numbers) -> float:
    """Return how near the candidates are on the whole."""
    return (float(row.sum()) + MEANING * max(0, USUAL - len(row))) / max(USUAL, len(row))


def _worded(new: Reading, earlier: Sequence[Reading]) -> dict[str, Numbers]:
    """Return what the words say: how many both have, and whether they are of rivals."""
    rows = [_of_words(new, old) for old in earlier]
    columns = np.array(rows, np.float64).reshape(len(rows), 6).T
    return dict(
        zip(
            (
                "words",
                "length",
                "new_length",
                "rivals",
                "first",
                "subject_word",
            ),
            columns,
            strict=True,
        )
    )


def _of_words(new: Reading, old: Reading) -> tuple[float, ...]:
    length = math.log(max(len(new.text) + len(old.text), 1))
    both = (_share(new.said, old.said), length, math.log1p(len(new.text)))
    if not (new.statements and old.statements):
        return *both, 0.0, 0.0, 0.0
    one, other = new.statements[0], old.statements[0]
    rival = rivals(new, old) or rivals(old, new)
    first = one.order[0] == other.order[0]
    named = one.order[0] in other.said or other.order[0] in one.said
    return *both, float(rival), float(first), float(named)


def _rare(new: Reading, earlier: Sequence[Reading]) -> dict[str, Numbers]:
    """Return what both have of words that few of the candidates have: a share, and how much."""
    counts = Counter(word for one in earlier for word in one.said)

    def worth(some: Iterable[str]) -> float:
        return sum(_rarity(word, counts[word], len(earlier)) for word in some)

    own = worth(new.said) or 1.0
    both = np.array([worth(new.said & one.said) for one in earlier], np.float64)
    theirs = np.array([worth(one.said) or 1.0 for one in earlier], np.float64)
    return {"rare": both / np.sqrt(own * theirs), "rare_sum": np.minimum(both / 5.0, MOST_RARE)}


def _rarity(word: str, having: int, texts: int) -> float:
    weight = math.log1p((texts - having + 0.5) / (having + 0.5))
    return weight * (0.5 if word in PASSING else 1.0)


def _share(one: frozenset[str], other: frozenset[str]) -> float:
    return len(one & other) / max(1, min(len(one), len(other)))
