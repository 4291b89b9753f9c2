"""A logistic regression with weights that are held back, by which both scales are learned."""

from __future__ import annotations

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
