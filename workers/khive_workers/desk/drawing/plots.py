"""Plots as numbers for inline SVG: what is known of a share, and counts by day. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

#: The drawing's size, in units of its own; a browser makes it as wide as there is room.
WIDTH, HEIGHT = 300.0, 60.0
#: The widest that one of a few bars is.
BAR = 28.0
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


class DayPlace(NamedTuple):
    """A day of a course: where it is, from where to where its interval goes, and what it says."""

    x: float
    y: float
    low: float
    high: float
    words: str


class Course(NamedTuple):
    """A share from day to day: a line, and each day's place with the ends of its interval.

    All in the drawing's units; 0 is at the bottom, 1 at the top.
    """

    line: str
    days: list[DayPlace]


def course(days: Sequence[tuple[str, float, float, float]]) -> Course:
    """Return the course of a share: for each day its name, the share, and its interval's ends."""
    step = WIDTH / max(len(days), 1)
    places = [
        DayPlace(
            _unit(step * (index + 0.5)), _height(share), _height(low), _height(high),
            f"{name}: {share:.0%}, {low:.0%} to {high:.0%}",
        )
        for index, (name, share, low, high) in enumerate(days)
    ]  # fmt: skip
    return Course(_joined([(one.x, one.y) for one in places]), places)


def _height(share: float) -> float:
    return _unit(HEIGHT - min(max(share, 0.0), 1.0) * (HEIGHT - 4))


def by_day(counts: Mapping[str, float], now: float, days: int) -> dict[str, float]:
    """Return a count for each of so many days up to now (UTC), those without any among them."""
    last = datetime.fromtimestamp(now, UTC).date()
    names = [(last - timedelta(days=back)).isoformat() for back in range(days - 1, -1, -1)]
    return {name: counts.get(name, 0.0) for name in names}


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
    top, width = max(counts.values()) or 1.0, min(BAR, WIDTH / len(counts))
    found = []
    for index, (name, count) in enumerate(counts.items()):
        height = count / top * (HEIGHT - 4)
        words = f"{name}: {count:g}"
        x, y = _unit(index * width + width * 0.1), _unit(HEIGHT - height)
        found.append(Bar(x, y, _unit(width * 0.8), _unit(height), words))
    return found
