"""The facet of a store for budgets: what roles may spend, and what they have spent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from khive_supervisor.budgets.account import Account
from khive_supervisor.budgets.limits import BudgetLimits
from khive_supervisor.tasks.model import Spending


class BudgetStore(Protocol):
    """Limits by role, and spending, which is only ever added to."""

    def set_limits(self, limits: Mapping[str, BudgetLimits]) -> None:
        """Make these the limits, by role; what was spent stays spent."""
        ...

    def accounts(self) -> list[Account]:
        """Return how every role's budget stands, by name; those without limits too."""
        ...

    def blocked(self) -> dict[str, str]:
        """Return the roles whose budget takes no task now, not even by a fallback, and why."""
        ...

    def spending(self, after_seq: int = 0, limit: int = 500) -> list[Spending]:
        """Return what accepted attempts used, after a number, in order; kept for ever."""
        ...
