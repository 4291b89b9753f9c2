"""Amounts in their unit: from what people write to whole numbers, and back into words."""

from __future__ import annotations

import math

#: The units that a budget can have.
USD, TOKENS = "usd", "tokens"
#: Millionths of a dollar in a dollar: what costs are counted in.
MICRO = 1_000_000


def whole(amount: float, unit: str) -> int:
    """An amount as it is counted; `amount` is dollars or tokens, and finite."""
    return round(amount * MICRO) if unit == USD else round(amount)


def plain(amount: int, unit: str) -> float | int:
    """An amount as people and programs read it: dollars or tokens."""
    return amount / MICRO if unit == USD else amount


def text(amount: int, unit: str) -> str:
    """An amount in words: `$1.50`, `$0.000125`, `12,000 tokens`."""
    if unit != USD:
        return f"{amount:,} tokens"
    dollars, rest = divmod(abs(amount), MICRO)
    cents = f"{rest:06d}"
    digits = cents[:2] + cents[2:].rstrip("0")
    return f"{'-' if amount < 0 else ''}${dollars:,}.{digits}"


def counts(amount: object) -> bool:
    """Whether something is an amount at all: a finite number that is not below 0."""
    if isinstance(amount, bool) or not isinstance(amount, int | float):
        return False
    try:
        return math.isfinite(amount) and amount >= 0
    except OverflowError:
        return False
