"""How a role's budget stands: in each window, together, and whether another task fits.

A window is `exceeded` when what is left of it does not cover one more task, even with nothing else
at work: then waiting for other tasks to end cannot help, only the window's end or another limit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from khive_supervisor.budgets.amounts import text
from khive_supervisor.budgets.limits import BudgetLimits, BudgetReserve
from khive_supervisor.budgets.windows import Window, written

#: The states of a window with a limit, the worst last; without a limit there is none of them.
NORMAL, NEAR, EXCEEDED = "normal", "near", "exceeded"
STATES = (NORMAL, NEAR, EXCEEDED)
UNLIMITED = "unlimited"


@dataclass(frozen=True, slots=True)
class Spent:
    """What was spent in a window, in both units."""

    window: Window
    cost: int = 0
    tokens: int = 0

    def of(self, unit: str) -> int:
        """The sum in one unit."""
        return self.tokens if unit == "tokens" else self.cost


@dataclass(frozen=True, slots=True)
class Account:
    """One role at one time; `limits` and `reserve` are None without a budget.

    `reserved` is what the tasks at work have set aside together, in the budget's unit.
    """

    role: str
    spent: tuple[Spent, ...]
    limits: BudgetLimits | None = None
    reserve: BudgetReserve | None = None
    reserved: int = 0

    @property
    def state(self) -> str:
        """The worst of the windows' states."""
        return _worst([self.state_in(one) for one in self.spent])

    def state_at(self, now: float) -> str:
        """The state at a later time, if nothing was spent since: of a window that is over, none."""
        states = [
            state if now < one.window.end or state == UNLIMITED else NORMAL
            for one in self.spent
            for state in (self.state_in(one),)
        ]
        return _worst(states)

    @property
    def exceeded(self) -> bool:
        """Whether nothing more may be spent now, whatever the tasks at work use."""
        return self.state == EXCEEDED

    @property
    def blocks(self) -> bool:
        """Return True if it is exceeded and nobody else does the tasks meanwhile."""
        limits = self.limits
        return self.exceeded and limits is not None and not (limits.fallback or limits.free)

    @property
    def fits(self) -> bool:
        """Whether another task may be begun beside those at work."""
        return all(self._fits_in(one) for one in self.spent)

    @property
    def ends(self) -> int | None:
        """When the windows are over that are exceeded (unix time); None: none is."""
        ends = [one.window.end for one in self.spent if self.state_in(one) == EXCEEDED]
        return max(ends, default=None)

    def state_in(self, spent: Spent) -> str:
        """The state of one window."""
        limit = self._limit(spent)
        if limit is None or self.limits is None or self.reserve is None:
            return UNLIMITED
        used = spent.of(self.limits.unit)
        if used >= limit or used + self.reserve.amount > limit:
            return EXCEEDED
        return NEAR if used * 1_000_000 >= self.limits.near * limit else NORMAL

    def left_in(self, spent: Spent) -> int | None:
        """What is neither spent nor set aside; below 0 if more was used than was set aside."""
        limit = self._limit(spent)
        if limit is None or self.limits is None:
            return None
        return limit - spent.of(self.limits.unit) - self.reserved

    def _limit(self, spent: Spent) -> int | None:
        return None if self.limits is None else self.limits.of(spent.window.name)

    def _fits_in(self, spent: Spent) -> bool:
        left = self.left_in(spent)
        if left is None or self.reserve is None:
            return True
        return self.state_in(spent) != EXCEEDED and self.reserve.amount <= left

    def why(self) -> str:
        """What is exceeded, in a sentence; empty if nothing is."""
        if self.limits is None or self.reserve is None:
            return ""
        unit = self.limits.unit
        parts = []
        for one in self.spent:
            limit = self._limit(one)
            if limit is None or self.state_in(one) != EXCEEDED:
                continue
            used = one.of(unit)
            said = f"{text(used, unit)} of {text(limit, unit)} is spent this {one.window.name}"
            if used < limit:
                said += f", and a task may take {text(self.reserve.amount, unit)}"
            parts.append(f"{said} (until {written(one.window.end)})")
        return "; ".join(parts)


def _worst(states: Sequence[str]) -> str:
    limited = [state for state in states if state != UNLIMITED]
    return max(limited, key=STATES.index, default=UNLIMITED)
