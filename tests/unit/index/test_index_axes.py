"""The axes of a sketch: those in which vectors differ, at right angles, the same each time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from khive_supervisor.index.vectors import axes

ROWS, DIMENSIONS, WIDE = 500, 40, 8


def vectors() -> NDArray[np.float32]:
    """Far from the origin, and wide in the last few dimensions only."""
    draw = np.random.default_rng(3)
    spread = np.where(np.arange(DIMENSIONS) < DIMENSIONS - WIDE, 0.1, 5.0)
    return (3 + spread * draw.normal(size=(ROWS, DIMENSIONS))).astype(np.float32)


def test_the_first_axes_are_those_in_which_the_vectors_differ() -> None:
    found = axes.find(vectors(), np.arange(ROWS), (WIDE, WIDE))
    assert found.turned.shape == (2 * WIDE, DIMENSIONS)
    assert found.turned.dtype == np.float32
    np.testing.assert_allclose(found.turned @ found.turned.T, np.eye(2 * WIDE), atol=1e-4)
    assert np.square(found.turned[:WIDE, -WIDE:]).sum() > 0.99 * WIDE
    assert np.square(found.turned[WIDE:, -WIDE:]).sum() < 0.01 * WIDE
    np.testing.assert_allclose(found.mean, vectors().mean(axis=0), atol=1e-4)


def test_items_that_are_not_named_do_not_count() -> None:
    data = vectors()
    data[::2] = 1000
    odd = np.arange(1, ROWS, 2)
    found = axes.find(data, odd, (WIDE, WIDE))
    again = axes.find(data[odd], np.arange(len(odd)), (WIDE, WIDE))
    assert np.array_equal(found.turned, again.turned)
    assert [len(rows) for rows in axes.chunks(data, odd)] == [len(odd)]


def test_numbers_that_are_none_count_as_zeros() -> None:
    data = vectors()
    data[7] = np.nan
    found = axes.find(data, np.arange(ROWS), (WIDE, WIDE))
    data[7] = 0
    assert np.array_equal(found.turned, axes.find(data, np.arange(ROWS), (WIDE, WIDE)).turned)
