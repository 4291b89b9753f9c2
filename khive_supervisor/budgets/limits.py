"""A role's limits as they are counted: made of its configuration, kept in the store."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from khive_supervisor.budgets.amounts import USD, whole
from khive_supervisor.config.settings.budget import Budget

#: Recent attempts that say how much a task takes, and the share of them that must not take more.
RECENT, SHARE = 20, 0.9
#: While nothing is known, a task is taken to need this part of the smallest limit.
UNKNOWN_PART = 10
#: Where the amount comes from that is set aside for a task.
CONFIGURED, LEARNED, UNKNOWN = "configured", "learned", "unknown"


@dataclass(frozen=True, slots=True)
class BudgetLimits:
    """The limits of a role's budget, in whole units of cost or tokens; `near` is in millionths.

    `free`: some candidate of the role costs nothing, and works beyond the limits.
    """

    weekly: int | None = None
    monthly: int | None = None
    unit: str = USD
    near: int = 800_000
    reserve: int | None = None
    fallback: tuple[str, ...] = ()
    free: bool = False

    @property
    def smallest(self) -> int:
        """The limit that a task meets first."""
        return min(limit for limit in (self.weekly, self.monthly) if limit is not None)

    def of(self, window: str) -> int | None:
        """The limit of a window by its name."""
        return self.weekly if window == "week" else self.monthly


@dataclass(frozen=True, slots=True)
class BudgetReserve:
    """What is set aside for a task while it is at work, and why it is so much."""

    amount: int
    because: str


def limits_of(budget: Budget, *, free: bool = False) -> BudgetLimits | None:
    """The limits of a configured budget; None: there are none."""
    if not budget.limited:
        return None

    def amount(given: float | None) -> int | None:
        return None if given is None else whole(given, budget.unit)

    return BudgetLimits(
        amount(budget.weekly),
        amount(budget.monthly),
        budget.unit,
        round(budget.near * 1_000_000),
        amount(budget.reserve),
        budget.fallback,
        free,
    )


def reserve_for(limits: BudgetLimits, recent: Sequence[int]) -> BudgetReserve:
    """What to set aside for the next task, by what the last attempts used (any order).

    Never more than the smallest limit: while nothing is spent and nothing at work, one task fits.
    """
    if limits.reserve is not None:
        return BudgetReserve(min(limits.reserve, limits.smallest), CONFIGURED)
    if recent:
        ordered = sorted(recent)
        rank = -int(-SHARE * len(ordered) // 1)  # rounded up
        return BudgetReserve(min(ordered[rank - 1], limits.smallest), LEARNED)
    return BudgetReserve(-(-limits.smallest // UNKNOWN_PART), UNKNOWN)


def as_text(limits: BudgetLimits) -> str:
    """Limits as the store keeps them; equal ones are the same text."""
    return json.dumps(asdict(limits), sort_keys=True)


def from_text(text: str) -> BudgetLimits:
    """What `as_text` wrote."""
    data = json.loads(text)
    return BudgetLimits(**{**data, "fallback": tuple(data["fallback"])})
