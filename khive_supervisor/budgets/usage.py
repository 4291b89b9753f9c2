"""What an attempt used, as handlers and commands say it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from khive_supervisor.budgets.amounts import MICRO, counts
from khive_supervisor.errors import InvalidInput
from khive_supervisor.tasks.model import TokenCounts, Usage

#: The key of a command's result that says what it used.
KEY = "khive_usage"
#: The most that one attempt can have used, of either: more is a mistake, and would spoil the sums.
MOST = 10**12

_FORMS = '{"cost": dollars, "tokens": a whole number}, each from 0, at least one of them'
#: What tokens are paid as, as it is said, and as it is counted.
_PARTS = {"input_tokens": "input", "cached_tokens": "cached", "output_tokens": "output"}
_BY_MODEL = (
    '{"model": its name, "input_tokens": a whole number, "cached_tokens": another, '
    '"output_tokens": another}'
)


@dataclass(frozen=True, slots=True)
class SaidUsage:
    """What somebody says that was used: amounts, and of which model what tokens, if that is said.

    `model` empty: nothing is said of it, and it has no price.
    """

    usage: Usage
    model: str = ""
    tokens: TokenCounts = TokenCounts()  # noqa: RUF009 - frozen, so that all may share it


def usage(cost: Any = 0, tokens: Any = 0) -> Usage:
    """Dollars and tokens as they are counted.

    Raises:
        InvalidInput: these are no amounts.
    """
    for name, given in (("cost", cost), ("tokens", tokens)):
        if not counts(given):
            raise InvalidInput(
                f"What was used cannot be {name} = {str(given)[:80]!r}.",
                hint=f"Allowed is {_FORMS}.",
            )
    if not float(tokens).is_integer():
        raise InvalidInput(f"{tokens!r} tokens is no whole number.", hint=f"Allowed is {_FORMS}.")
    return _bounded(round(cost * MICRO) if cost <= MOST else MOST + 1, int(tokens))


def plus(one: Usage, other: Usage) -> Usage:
    """Both together.

    Raises:
        InvalidInput: it is more than one attempt can have used.
    """
    return _bounded(one.cost + other.cost, one.tokens + other.tokens)


def _bounded(cost: int, tokens: int) -> Usage:
    if cost > MOST or tokens > MOST:
        raise InvalidInput(
            f"One attempt cannot use more than ${MOST // MICRO:,} or {MOST:,} tokens.",
            hint="Costs are in dollars, not in cents.",
        )
    return Usage(cost, tokens)


def usage_of_model(cost: Any = 0, tokens: Any = 0, model: Any = "", **parts: Any) -> SaidUsage:
    """What was used of a model: its tokens by what they are paid as, by the names of `_PARTS`.

    Raises:
        InvalidInput: these are no amounts.
    """
    if not isinstance(model, str):
        raise InvalidInput(f"{model!r} is no model's name.", hint=f"Allowed is {_BY_MODEL}.")
    counts = TokenCounts(
        **{_PARTS[name]: usage(0, number).tokens for name, number in parts.items()}
    )
    return SaidUsage(usage(cost, tokens or counts.total), model, counts)


def usage_in(result: Any) -> SaidUsage | None:
    """What a command's result says under `khive_usage`; None: it says nothing.

    Raises:
        InvalidInput: it says something else than amounts.
    """
    if not isinstance(result, Mapping) or KEY not in result:
        return None
    said = result[KEY]
    known = {"cost", "tokens", "model", *_PARTS}
    if not isinstance(said, Mapping) or not said or said.keys() - known:
        raise InvalidInput(
            f"{KEY} is not understood.", hint=f"Allowed is {_FORMS}; or {_BY_MODEL}."
        )
    return usage_of_model(**said)
