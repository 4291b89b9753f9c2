"""How success, cost and time went from day to day, with what is known of each; pure."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from khive_supervisor.history.model import DaySum

#: Standard deviations on either side of a 95 % interval.
_Z = 1.959964


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean and its 95 % interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """One day: how many executions, the share that succeeded, and what one cost and took.

    `cost` is in millionths of a US dollar, `seconds` in seconds.
    """

    day: int
    executions: int
    success: Estimate
    cost: Estimate
    seconds: Estimate


def points(days: Iterable[DaySum]) -> list[CurvePoint]:
    """Return the points of a curve, a day each."""
    return [point(one) for one in days]


def point(one: DaySum) -> CurvePoint:
    """Return what the sums of a day say."""
    return CurvePoint(
        one.day,
        one.executions,
        share(one.successes, one.executions),
        mean(one.cost, one.cost_squared, one.executions),
        mean(one.seconds, one.seconds_squared, one.executions),
    )


def total(days: Iterable[DaySum]) -> CurvePoint | None:
    """Return all days as one point, of the last one; None without any."""
    known = list(days)
    if not known:
        return None
    return point(
        DaySum(
            known[-1].day,
            sum(one.executions for one in known),
            sum(one.successes for one in known),
            sum(one.cost for one in known),
            sum(one.cost_squared for one in known),
            sum(one.tokens for one in known),
            sum(one.seconds for one in known),
            sum(one.seconds_squared for one in known),
        )
    )


def share(part: int, whole: int) -> Estimate:
    """Return a share with Wilson's interval, which holds for few and for all or none."""
    if not whole:
        return Estimate(0.0, 0.0, 1.0)
    rate, square = part / whole, _Z * _Z
    centre = (rate + square / (2 * whole)) / (1 + square / whole)
    spread = rate * (1 - rate) / whole + square / (4 * whole * whole)
    half = _Z * math.sqrt(spread) / (1 + square / whole)
    return Estimate(rate, max(0.0, centre - half), min(1.0, centre + half))


def mean(total: float, squared: float, count: int) -> Estimate:
    """Return a mean of what is not negative; of one alone nothing is known beside it."""
    if not count:
        return Estimate(0.0, 0.0, 0.0)
    found = total / count
    if count == 1:
        return Estimate(found, 0.0, math.inf)
    variance = max(0.0, (squared - count * found * found) / (count - 1))
    half = _Z * math.sqrt(variance / count)
    return Estimate(found, max(0.0, found - half), found + half)
