"""Hits of several sources as one list, best first: functions of what the sources have found."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from khive_supervisor.errors import InvalidInput
from khive_supervisor.index.inverted.scope import Scope

#: Nodes that Annoy inspects, when the configuration does not say, for so many items or fewer.
#: Measured with 50 trees on 100,000 real texts: recall@10 0.95 for questions that people typed,
#: which are far from most texts (18,000 nodes: 0.88), and 0.99 for titles, which are near.
SEARCH_K, SEARCH_K_ITEMS = 64_000, 100_000


@dataclass(frozen=True, slots=True)
class HitList:
    """The best hits of one source, best first; `exhausted`: it has no further ones."""

    hits: Sequence[tuple[int, float]]
    exhausted: bool


def certain(hits: Sequence[tuple[int, float]], arms: Iterable[HitList]) -> int:
    """Return how many of the merged and filtered hits, best first, nothing unseen can outrank.

    What an arm has not shown is at most as good as the last that it has: hits below that may have
    to make room for it.
    """
    bar = max(
        (arm.hits[-1][1] for arm in arms if not arm.exhausted and arm.hits), default=-math.inf
    )
    return sum(cosine >= bar for _, cosine in hits)


def search_k_for(items: int) -> int:
    """Return how many nodes to inspect for a recall that does not depend on the number of items."""
    return round(SEARCH_K * math.sqrt(max(items / SEARCH_K_ITEMS, 1.0)))


def first_passing(
    ordered: list[tuple[int, float]], limit: int, scope: Scope
) -> list[tuple[int, float]]:
    """Return the first hits that live and pass the filter; asks for no more than needed."""
    hits: list[tuple[int, float]] = []
    for start in range(0, len(ordered), limit):
        some = ordered[start : start + limit]
        passed = scope.passing(np.array([entry for entry, _ in some], np.int64)).tolist()
        hits += [hit for hit, here in zip(some, passed, strict=True) if here]
        if len(hits) >= limit:
            break
    return hits


def best(
    ids: NDArray[np.int64], cosines: NDArray[np.float32], count: int
) -> list[tuple[int, float]]:
    """Return the `count` best of ids and cosines in parallel, best first."""
    if count < len(ids):
        kept = np.argpartition(-cosines, count)[:count]
        ids, cosines = ids[kept], cosines[kept]
    return sorted(zip(ids.tolist(), cosines.tolist(), strict=True), key=best_first)


def best_first(hit: tuple[int, float]) -> tuple[float, int]:
    """Return what orders hits: the cosine; of equals, the newer entry comes first."""
    return -hit[1], -hit[0]


def unit(vector: NDArray[np.float32], dimensions: int) -> NDArray[np.float32] | None:
    """Return the vector at length one, or None if it has no direction."""
    query = np.asarray(vector, np.float32)
    if query.shape != (dimensions,):
        raise InvalidInput(f"A vector of shape {query.shape} was given instead of ({dimensions},).")
    length = float(np.linalg.norm(query))
    if not math.isfinite(length):
        raise InvalidInput("A vector was given that is not finite.")
    return query / np.float32(length) if length > 0 else None
