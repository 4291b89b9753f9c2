"""A role's budget: every key of its `budget` table, declared like the other settings."""

from __future__ import annotations

from dataclasses import dataclass, fields

from khive_supervisor.config.settings.values import declare
from khive_supervisor.text.plain_json import JsonObject

#: The largest limit: sums stay far below what a store's integers hold.
MOST = 1e9


@dataclass(frozen=True, slots=True)
class Budget:
    """What a role may spend in a calendar week and month (UTC); None where nothing is set.

    A limit of 0 is one: nothing may be spent.
    """

    weekly: float | None = declare(
        None,
        "number",
        "What the role may spend from Monday to Sunday, UTC, in `unit`; 0 is nothing at all.",
        applies="live",
        minimum=0,
        maximum=MOST,
        shown_default="no limit",
        trust="user",
    )
    monthly: float | None = declare(
        None,
        "number",
        "What the role may spend in a calendar month, UTC, in `unit`; 0 is nothing at all.",
        applies="live",
        minimum=0,
        maximum=MOST,
        shown_default="no limit",
        trust="user",
    )
    unit: str = declare(
        "usd",
        "text",
        "What is counted: US dollars, or tokens of input and output together.",
        applies="live",
        choices=("usd", "tokens"),
        trust="user",
    )
    near: float = declare(
        0.8,
        "number",
        "The share of a limit from which the role is shown as `near` it.",
        applies="live",
        minimum=0,
        maximum=1,
        trust="user",
    )
    reserve: float | None = declare(
        None,
        "number",
        "What is set aside for a task while it is at work, in `unit`; by default what the "
        "role's recent attempts used.",
        applies="live",
        minimum=0,
        maximum=MOST,
        shown_default="learned",
        trust="user",
    )
    fallback: tuple[str, ...] = declare(
        (),
        "command",
        "A program and its arguments that does the tasks, as handler.command would, while the "
        "budget is exceeded; without one they wait.",
        applies="live",
        minimum=1,
        maximum=1000,
        shown_default="none",
        trust="user",
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
