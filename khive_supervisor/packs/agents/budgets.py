"""The agents pack's verb on budgets: what roles may spend, and have spent."""

from __future__ import annotations

from khive_supervisor.budgets.account import Account, Spent
from khive_supervisor.budgets.amounts import MICRO, plain
from khive_supervisor.errors import NotFound
from khive_supervisor.verbs import forms
from khive_supervisor.verbs.context import Context
from khive_supervisor.verbs.registry import Answer, Arguments


def budget(context: Context, args: Arguments) -> Answer:
    """Return how the budgets of roles stand, of one or of all."""
    found = context.store.budgets.accounts()
    name = args.get("role")
    if name is not None and name not in {account.role for account in found}:
        known = ", ".join(account.role for account in found) or "none"
        raise NotFound(f"There is no role {name!r}.", hint=f"Configured: {known}.")
    return {"roles": [_show(one) for one in found if name in (None, one.role)]}


def _show(account: Account) -> Answer:
    shown: dict[str, object] = {"role": account.role, "state": account.state}
    limits, reserve = account.limits, account.reserve
    if limits is not None and reserve is not None:
        shown["unit"] = limits.unit
        shown["near"] = limits.near / 1_000_000
        shown["reserved"] = plain(account.reserved, limits.unit)
        shown["reserve"] = {
            "amount": plain(reserve.amount, limits.unit),
            "because": reserve.because,
        }
        if limits.fallback:
            shown["fallback"] = list(limits.fallback)
        if account.ends is not None:
            shown["why"] = account.why()
            shown["exceeded_until"] = forms.timestamp(account.ends)
    shown["windows"] = [_show_window(account, spent) for spent in account.spent]
    return shown


def _show_window(account: Account, spent: Spent) -> Answer:
    shown: dict[str, object] = {
        "window": spent.window.name,
        "state": account.state_in(spent),
        "starts": forms.timestamp(spent.window.start),
        "ends": forms.timestamp(spent.window.end),
        "usd": spent.cost / MICRO,
        "tokens": spent.tokens,
    }
    limits = account.limits
    limit = limits.of(spent.window.name) if limits is not None else None
    left = account.left_in(spent)
    if limits is not None and limit is not None and left is not None:
        shown["limit"] = plain(limit, limits.unit)
        shown["spent"] = plain(spent.of(limits.unit), limits.unit)
        shown["left"] = plain(left, limits.unit)
    return shown
