"""How far an answer put together from two lists can be trusted; pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

#: An entry id and its cosine.
Hit = tuple[int, float]


@dataclass(frozen=True, slots=True)
class HitList:
    """The best hits of one source, best first; `exhausted`: it has no further ones."""

    hits: Sequence[Hit]
    exhausted: bool


def certain(hits: Sequence[Hit], arms: Iterable[HitList]) -> int:
    """Return how many of the merged and filtered hits, best first, nothing unseen can outrank.

    What an arm has not shown is at most as good as the last that it has: hits below that may have
    to make room for it.
    """
    bar = max((arm.hits[-1][1] for arm in arms if not arm.exhausted and arm.hits), default=None)
    if bar is None:
        return len(hits)
    return sum(cosine >= bar for _, cosine in hits)
