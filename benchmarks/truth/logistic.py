"""A logistic regression with held-back weights, by which the scales of truth are learned."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
#: What the first weight, that of the constant, is held back by: hardly.
_CONSTANT = 1e-6


def learned(table: Floats, hit: Floats, counts: Floats, *, ridge: float, steps: int) -> Floats:
    """Return the weights of the features, by Newton's steps.

    Args:
        table: a row of features for each case; the first feature is the constant.
        hit: 1.0 for each case that is one, 0.0 for others.
        counts: how much each case counts.
        ridge: how strongly weights are held back, once each feature has been divided by its spread.
        steps: how many steps are made.
    """
    spread = table.std(0)
    spread[spread == 0.0] = 1.0
    table, found = table / spread, np.zeros(table.shape[1])
    held = np.full(table.shape[1], ridge)
    held[0] = _CONSTANT
    for _ in range(steps):
        guess = 1.0 / (1.0 + np.exp(-table @ found))
        slope = table.T @ (counts * (hit - guess)) - held * found
        bend = (table.T * (counts * guess * (1.0 - guess))) @ table + np.diag(held)
        found = found + np.linalg.solve(bend, slope)
    return np.asarray(found / spread, np.float64)


def tallied(cases: Iterable[tuple[str, bool, bool]]) -> Mapping[str, Counter[str]]:
    """Return by kind how many are asked, and right before and after, of (kind, before, after)."""
    found: dict[str, Counter[str]] = {}
    for kind, before, after in cases:
        found.setdefault(kind, Counter()).update(asked=1, before=int(before), after=int(after))
    return found
