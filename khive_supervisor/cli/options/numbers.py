"""Numbers among the options: what is none is refused in words."""

from __future__ import annotations

import math
from typing import Any

import click


class WholeNumber(click.IntRange):
    """A whole number between bounds."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the number that a word says; raises BadParameter if it says none of these."""
        try:
            found = int(value)
        except (TypeError, ValueError):
            found = None
        low, high = self.min, self.max
        if (
            found is None
            or (low is not None and found < low)
            or (high is not None and found > high)
        ):
            self.fail(f"{value!r} is not a whole number{_between(low, high)}.", param, ctx)
        return found


class Number(click.FloatRange):
    """A number between bounds."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the number that a word says; raises BadParameter if it says none of these."""
        low, high = self.min, self.max
        try:
            found = float(value)
        except (TypeError, ValueError):
            found = math.nan
        inside = (low is None or found >= low) and (high is None or found <= high)
        if not (inside and math.isfinite(found)):
            self.fail(f"{value!r} is not a number{_between(low, high)}.", param, ctx)
        return found


def _between(low: float | None, high: float | None) -> str:
    if low is None:
        return ""
    return f" of at least {low:g}" if high is None else f" from {low:g} to {high:g}"
