"""The axes that a sketch looks at vectors along: those in which they differ most, evenly turned.

Most of the difference between the vectors of a model lies in fewer directions than they have
dimensions (principal components). Turned within each half so that all its axes tell about equally
much, the sign along each is a good bit (Gong and Lazebnik, Iterative quantization, 2011).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: Rows that are taken from the file at once.
CHUNK = 8192
#: Rows that the turn is learned from, about, and how often it is improved.
_LEARNED_FROM, _ROUNDS = 20_000, 15

_SEED = 20

Matrix = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Axes:
    """What was found about vectors.

    `mean`: of them; `turned`: a row for each axis; `widest`: the directions, before they were
    turned, in which the vectors differ most, the widest first.
    """

    mean: Matrix
    turned: Matrix
    widest: Matrix


def chunks(vectors: Matrix, items: NDArray[np.int64]) -> Iterator[Matrix]:
    """The vectors of the items, a few thousand at a time."""
    for start in range(0, len(items), CHUNK):
        yield _rows(vectors, items[start : start + CHUNK])


def sample(vectors: Matrix, items: NDArray[np.int64]) -> Matrix:
    """Return the vectors of some of the items, evenly spread."""
    return _rows(vectors, items[:: max(len(items) // _LEARNED_FROM, 1)])


def _rows(vectors: Matrix, items: NDArray[np.int64]) -> Matrix:
    # A copy. One vector that is not finite would leave no axes at all.
    return np.nan_to_num(vectors[items], copy=False, nan=0.0, posinf=0.0, neginf=0.0)


def find(vectors: Matrix, items: NDArray[np.int64], halves: tuple[int, int]) -> Axes:
    """Axes for the vectors of the items: so many in each half, those of the first tell more."""
    dimensions = vectors.shape[1]
    total = np.zeros(dimensions)
    for rows in chunks(vectors, items):
        total += rows.sum(axis=0, dtype=np.float64)
    mean = (total / len(items)).astype(np.float32)
    spread = np.zeros((dimensions, dimensions))
    for rows in chunks(vectors, items):
        from_mean = rows - mean
        spread += from_mean.T @ from_mean
    # Ascending: the widest are the last.
    widest = np.linalg.eigh(spread)[1][:, ::-1].T.astype(np.float32)
    some = sample(vectors, items) - mean
    parts = [widest[: halves[0]], widest[halves[0] : sum(halves)]]
    turned = np.concatenate(
        [_turn(np.asarray(some @ part.T, np.float32)).T @ part for part in parts]
    )
    return Axes(mean, turned, widest)


def _turn(rows: Matrix) -> Matrix:
    """Return the turn after which the signs of the rows' numbers say most about the rows."""
    draw = np.random.default_rng(_SEED)
    size = rows.shape[1]
    turn = np.linalg.qr(draw.normal(size=(size, size)))[0].astype(np.float32)
    for _ in range(_ROUNDS):
        left, _, right = np.linalg.svd(np.sign(rows @ turn).T @ rows)
        turn = (left @ right).T.astype(np.float32)
    return turn
