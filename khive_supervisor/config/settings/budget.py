"""What roles may spend, and what models cost: `budget` of a role, and `[[prices]]`."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from functools import partial

from khive_supervisor.config.settings.handler import MODEL, MODEL_FORM
from khive_supervisor.config.settings.notes import Notes, read_table, read_tables
from khive_supervisor.config.settings.values import declared, quoted, users_own
from khive_supervisor.tasks.model import TokenCounts
from khive_supervisor.text.plain_json import JsonObject

#: The largest limit: sums stay far below what a store's integers hold.
MOST = 1e9
#: Tables of prices of one configuration, and dollars for a million tokens at most.
MAX_PRICES, DEAREST = 200, 1e5


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


# --- prices ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ModelPrice:
    """What a model's tokens cost, for programs that say tokens and no dollars."""

    model: str = users_own(
        MISSING,
        "text",
        "The model, by the name that roles, candidates and commands have for it.",
        applies="live",
        bounds=(1, 200),
        pattern=MODEL,
        form=MODEL_FORM,
    )
    input: float = users_own(
        MISSING,
        "number",
        "Dollars for a million tokens of input.",
        applies="live",
        bounds=(0, DEAREST),
    )
    output: float = users_own(
        MISSING,
        "number",
        "Dollars for a million tokens of output.",
        applies="live",
        bounds=(0, DEAREST),
    )
    as_of: str = users_own(
        MISSING,
        "text",
        "The day that these figures are of: `doctor` says how old they are.",
        applies="live",
        pattern=r"\d{4}-\d{2}-\d{2}",
        form="a day, such as 2026-11-30",
    )
    cached: float | None = users_own(
        None,
        "number",
        "Dollars for a million tokens of input that came from a cache.",
        applies="live",
        bounds=(0, DEAREST),
        shown_default="as input",
    )

    def cost(self, tokens: TokenCounts) -> int:
        """Return what tokens cost, in millionths of a dollar."""
        cached = self.input if self.cached is None else self.cached
        return round(
            tokens.input * self.input + tokens.cached * cached + tokens.output * self.output
        )

    def age(self, today: dt.date) -> int:
        """Return how many days old the figures are; 0 for those of a day that is to come."""
        return max(0, (today - dt.date.fromisoformat(self.as_of)).days)

    def as_dict(self) -> JsonObject:
        """Return plain data that reads back."""
        found = {item.name: getattr(self, item.name) for item in fields(self)}
        return {name: value for name, value in found.items() if value is not None}


def read_prices(content: object, notes: Notes) -> tuple[ModelPrice, ...]:
    """Return the prices that are valid; whatever is not is noted."""
    read = partial(_read_price, notes)
    found = read_tables("prices", "model", MAX_PRICES, content, notes, read)
    seen: dict[str, str] = {}
    for number, price in enumerate(found):
        key = f"prices[{number}].model"
        first = key if price is None else seen.setdefault(price.model, key)
        if price is not None and first != key:
            text = f"two prices of one model, {quoted(price.model)}; the other is {first}"
            notes.note(key, key, f"{text} ({notes.where(first)})")
    return tuple(price for price in found if price is not None)


def _read_price(notes: Notes, place: str, content: object) -> ModelPrice | None:
    if isinstance(content, Mapping):  # TOML has days of its own: as_of = 2026-11-30
        content = {n: v.isoformat() if type(v) is dt.date else v for n, v in content.items()}
    required = ("model", "input", "output", "as_of")
    price = read_table(ModelPrice, place, content, notes, required)
    if price is None:
        return None
    try:
        dt.date.fromisoformat(price.as_of)
    except ValueError:
        key = f"{place}.as_of"
        form = declared(ModelPrice)["as_of"].form
        notes.note(key, key, f"found {quoted(price.as_of)}; allowed: {form}")
        return None
    return price
