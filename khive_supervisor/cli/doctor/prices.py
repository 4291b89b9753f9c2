"""The check of `doctor` for prices: how old the figures are, and whose tokens have none."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

from khive_supervisor.cli.doctor.checks import Check
from khive_supervisor.cli.render.output import counted
from khive_supervisor.config.settings.budget import ModelPrice
from khive_supervisor.config.settings.model import Config

#: Days after which figures are reported: makers of models change theirs every few months.
OLD = 180


def check_prices(config: Config, today: dt.date) -> Iterable[Check]:
    """Whether the figures of `[[prices]]` are recent."""
    if not config.prices:
        return
    oldest = max(config.prices, key=lambda price: price.age(today))
    found = f"{counted(len(config.prices), 'model')}; the oldest figures are {said(oldest, today)}"
    if oldest.age(today) > OLD:
        fix = f"Look what {oldest.model} costs now, and set its prices and as_of."
        yield Check("prices", "warn", found, "Costs and budgets count with them.", fix)
    else:
        yield Check("prices", "ok", found)


def said(price: ModelPrice, today: dt.date) -> str:
    """Return how old the figures of a model are, in words."""
    days = price.age(today)
    old = f"{days} {'day' if days == 1 else 'days'} old"
    return f"{old} ({price.model}, {price.as_of})"
