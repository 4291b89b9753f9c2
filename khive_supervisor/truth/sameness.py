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
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from khive_supervisor.truth.compare import rivals
from khive_supervisor.truth.reading import Reading

Matrix = NDArray[np.float32]
Numbers = NDArray[np.float64]

#: Candidates next to one that it is compared with, and what stands for those that a small store
#: has not: how near facts of one team are to each other, by meaning and by subjects.
OTHERS, MEANING, SUBJECT = 7, 0.25, 0.4
#: How steeply nearness to a subject counts in the mixture of subjects that a text is about.
STEEPNESS = 20.0

WEIGHTS: Mapping[str, float] = MappingProxyType(
    {
        "constant": -2.606,
        "cosine": 3.771,
        "stands_out": 7.428,
        "crowded": -6.282,
        "subject": 4.409,
        "subject_stands_out": 1.723,
        "subject_crowded": -0.933,
        "words": -4.163,
        "length": -0.168,
        "rivals": -3.512,
        "first": -1.615,
        "subject_word": 1.017,
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
        "subject": alike[:-1, -1],
        "subject_stands_out": alike[:-1, -1] - _beside(alike[:-1, -1], SUBJECT),
        "subject_crowded": _around(alike[:-1, :-1], SUBJECT),
        **_worded(new, earlier),
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


def _worded(new: Reading, earlier: Sequence[Reading]) -> dict[str, Numbers]:
    """Return what the words say: how many both have, and whether they are of rivals."""
    rows = [_of_words(new, old) for old in earlier]
    columns = np.array(rows, np.float64).reshape(len(rows), 5).T
    return dict(zip(("words", "length", "rivals", "first", "subject_word"), columns, strict=True))


def _of_words(new: Reading, old: Reading) -> tuple[float, ...]:
    length = math.log(max(len(new.text) + len(old.text), 1))
    both = (_share(new.said, old.said), length)
    if not (new.statements and old.statements):
        return *both, 0.0, 0.0, 0.0
    one, other = new.statements[0], old.statements[0]
    rival = rivals(new, old) or rivals(old, new)
    first = one.order[0] == other.order[0]
    named = one.order[0] in other.said or other.order[0] in one.said
    return *both, float(rival), float(first), float(named)


def _share(one: frozenset[str], other: frozenset[str]) -> float:
    return len(one & other) / max(1, min(len(one), len(other)))
