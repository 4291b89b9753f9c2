"""Plots as numbers for inline SVG: what is known of a share, and counts by day. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

#: The drawing's size, in units of its own; a browser makes it as wide as there is room.
WIDTH, HEIGHT = 300.0, 60.0
#: Points of a curve.
POINTS = 61


class BetaPlot(NamedTuple):
    """The density of a share between 0 and 1: a curve, its interval, and its mean.

    All in the drawing's units, x from 0 to `WIDTH`.
    """

    curve: str
    band: str
    low: float
    high: float
    middle: float


def beta(mean: float, observations: float, interval: Sequence[float]) -> BetaPlot:
    """Return the plot of a beta distribution by its mean and what it is worth."""
    first, second = max(mean * observations, 0.05), max((1 - mean) * observations, 0.05)
    shares = [(index + 0.5) / POINTS for index in range(POINTS)]
    heights = [_density(share, first, second) for share in shares]
    top = max(heights) or 1.0
    points = [
        (share * WIDTH, HEIGHT - h / top * (HEIGHT - 4))
        for share, h in zip(shares, heights, strict=True)
    ]
    low, high = (float(one) * WIDTH for one in interval)
    inside = [point for point in points if low <= point[0] <= high]
    ends = [(low, HEIGHT), *inside, (high, HEIGHT)]
    return BetaPlot(_joined(points), _joined(ends), _unit(low), _unit(high), _unit(mean * WIDTH))


def _density(share: float, first: float, second: float) -> float:
    """Return the density up to a factor."""
    return math.exp((first - 1) * math.log(share) + (second - 1) * math.log(1 - share))


def _joined(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{_unit(x)},{_unit(y)}" for x, y in points)


def _unit(value: float) -> float:
    return round(value, 1)


class Bar(NamedTuple):
    """One bar: its place and height in the drawing's units, and what it stands for."""

    x: float
    y: float
    width: float
    height: float
    words: str


def bars(counts: Mapping[str, float]) -> list[Bar]:
    """Return a bar for each count, in the order given, side by side; the highest is full."""
    if not counts:
        return []
    top, width = max(counts.values()) or 1.0, WIDTH / len(counts)
    found = []
    for index, (name, count) in enumerate(counts.items()):
        height = count / top * (HEIGHT - 4)
        words = f"{name}: {count:g}"
        x, y = _unit(index * width + width * 0.1), _unit(HEIGHT - height)
        found.append(Bar(x, y, _unit(width * 0.8), _unit(height), words))
    return found
