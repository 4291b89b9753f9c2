"""A role's budget: every key of its `budget` table, declared like the other settings."""

from __future__ import annotations

from dataclasses import dataclass, fields

from khive_supervisor.config.settings.values import users_own
from khive_supervisor.text.plain_json import JsonObject

#: The largest limit: sums stay far below what a store's integers hold.
MOST = 1e9


@dataclass(frozen=True, slots=True)
class Budget:
    """What a role may spend in a calendar week and month (UTC); None where nothing is set.

    A limit of 0 is one: nothing may be spent.
    """

    weekly: float | None = users_own(
        None,
        "number",
        "What the role may spend from Monday to Sunday, UTC, in `unit`; 0 is nothing at all.",
        applies="live",
        bounds=(0, MOST),
        shown_default="no limit",
    )
    monthly: float | None = users_own(
        None,
        "number",
        "What the role may spend in a calendar month, UTC, in `unit`; 0 is nothing at all.",
        applies="live",
        bounds=(0, MOST),
        shown_default="no limit",
    )
    unit: str = users_own(
        "usd",
        "text",
        "What is counted: US dollars, or tokens of input and output together.",
        applies="live",
        choices=("usd", "tokens"),
    )
    near: float = users_own(
        0.8,
        "number",
        "The share of a limit from which the role is shown as `near` it.",
        applies="live",
        bounds=(0, 1),
    )
    reserve: float | None = users_own(
        None,
        "number",
        "What is set aside for a task while it is at work, in `unit`; by default what the "
        "role's recent attempts used.",
        applies="live",
        bounds=(0, MOST),
        shown_default="learned",
    )
    fallback: tuple[str, ...] = users_own(
        (),
        "command",
        "A program and its arguments that does the tasks, as handler.command would, while the "
        "budget is exceeded; without one they wait.",
        applies="live",
        bounds=(1, 1000),
        shown_default="none",
    )

    def as_dict(self) -> JsonObject:
        """Plain data that reads back: only the keys that are not at their default."""
        found = {item.name: getattr(self, item.name) for item in fields(self)}
        given = {n: value for n, value in found.items() if value != getattr(UNLIMITED, n)}
        return {n: list(v) if isinstance(v, tuple) else v for n, v in given.items()}

    @property
    def limited(self) -> bool:
        """Return True if there is any limit."""
        return self.weekly is not None or self.monthly is not None


#: A role that may spend whatever it does.
UNLIMITED = Budget()
