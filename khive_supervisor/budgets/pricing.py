"""What tokens cost by the prices in force, where whoever used them names no dollars."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from khive_supervisor.budgets.usage import MOST, SaidUsage
from khive_supervisor.config.settings.budget import ModelPrice
from khive_supervisor.tasks.model import Usage


class PriceList:
    """The prices that are in force in one process; a reload replaces them."""

    def __init__(self, prices: Iterable[ModelPrice] = ()) -> None:
        self._prices: dict[str, ModelPrice] = {}
        self.replace(prices)

    def replace(self, prices: Iterable[ModelPrice]) -> None:
        """Go by these from now on."""
        self._prices = {one.model: one for one in prices}

    def priced(self, said: SaidUsage) -> Usage:
        """Return what was used with its cost: as it was said, else by the model's price, if any."""
        price = self._prices.get(said.model)
        if said.usage.cost or price is None:
            return said.usage
        return replace(said.usage, cost=min(price.cost(said.tokens), MOST))
