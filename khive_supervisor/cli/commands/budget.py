"""budget: what roles may spend, have spent, and have left."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from khive_supervisor.budgets.amounts import MICRO, USD, text
from khive_supervisor.cli.connection.session import Invocation, common_options
from khive_supervisor.cli.render.output import table
from khive_supervisor.cli.render.role_text import NO_ROLES
from khive_supervisor.cli.render.times import in_utc


@click.command()
@click.argument("role", required=False)
@common_options
def budget(run: Invocation, role: str | None) -> None:
    """Show what roles (or one ROLE) may spend and have spent, this week and this month."""
    run.show("agents.budget", _text, role=role)


def _text(answer: Mapping[str, Any]) -> str:
    rows = [row for role in answer["roles"] for row in _rows(role)]
    if not rows:
        return NO_ROLES
    headers = ("role", "window", "limit", "spent", "reserved", "left", "state", "ends")
    lines = [table(headers, rows)]
    lines += [f"{role['role']}: {_what_now(role)}" for role in answer["roles"] if "why" in role]
    return "\n".join(lines)


def _rows(role: Mapping[str, Any]) -> list[tuple[object, ...]]:
    """A line for each window; a role without a budget shows what it spends all the same."""
    unit = role.get("unit")
    rows: list[tuple[object, ...]] = []
    for window in role["windows"]:
        ends = in_utc(window["ends"])
        if "limit" in window and unit is not None:
            amounts = (window["limit"], window["spent"], role["reserved"], window["left"])
            cells = [_amount(amount, unit) for amount in amounts]
        else:
            cells = ["-", _both(window), "-", "-"]
        rows.append((role["role"], window["window"], *cells, window["state"], ends))
    return rows


def _amount(amount: float, unit: str) -> str:
    return text(round(amount * MICRO) if unit == USD else round(amount), unit)


def _both(window: Mapping[str, Any]) -> str:
    parts = [_amount(window["usd"], USD)] if window["usd"] or not window["tokens"] else []
    parts += [_amount(window["tokens"], "tokens")] if window["tokens"] else []
    return ", ".join(parts)


def _what_now(role: Mapping[str, Any]) -> str:
    goes_on = "its fallback does the tasks" if "fallback" in role else "its tasks wait"
    return f"{role['why']}; {goes_on}"


COMMANDS = (budget,)
