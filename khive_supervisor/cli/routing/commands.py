"""candidates, close-breaker: who can do a role's tasks, what is known of each, and why it was."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import click

from khive_supervisor.cli.connection.session import Invocation, common_options
from khive_supervisor.cli.render.output import table
from khive_supervisor.cli.render.terminal import one_line
from khive_supervisor.cli.render.times import shown

Answer = Mapping[str, Any]

_NONE = "No role has candidates. docs/routing.md shows how: [[roles.candidates]]."
_HEAD = ("candidate", "price", "available", "type", "success", "tasks", "cost")


@click.command("candidates")
@click.argument("role", required=False)
@common_options
def candidates(run: Invocation, role: str | None) -> None:
    """Show the candidates of roles (or of one ROLE): how each does, and whether it is available.

    `success` is what is believed of it at a type of task, with a 90 % interval.
    """
    run.show("agents.candidates", _text, role=role)


def _text(answer: Answer) -> str:
    return "\n\n".join(_role(role) for role in answer["roles"]) or _NONE


def _role(role: Answer) -> str:
    budget = role.get("budget", "unlimited")
    head = role["role"] + ("" if budget == "unlimited" else f" (its budget is {budget})")
    rows = [row for one in role["candidates"] for row in _rows(one)]
    lines = [head, table(_HEAD, rows)]
    lines += [_choice(one) for one in role.get("latest", [])]
    return "\n".join(lines)


def _rows(one: Answer) -> Iterator[tuple[object, ...]]:
    """Yield a line for each type of task; what is the same in all of them stands in the first."""
    first: tuple[object, ...] = (one["candidate"], one["price"], _available(one))
    for known in one.get("known", []):
        low, high = known["interval"]
        success = f"{known['success']:.2f} ({low:.2f}-{high:.2f})"
        cost = f"${known['cost']:.4f}" if "cost" in known else "-"
        yield (*first, known["task_type"], success, known["tasks"], cost)
        first = ("", "", "")
    if any(first):
        yield (*first, "", "", "", "")


def _available(one: Answer) -> str:
    if "available" not in one:
        return ""
    if one["available"]:
        return "yes" if one["breaker"] == "closed" else f"to be probed ({one['fault']})"
    what = "being probed" if one["breaker"] == "half-open" else one["fault"]
    return f"{what}, until {shown(one['until'])}"


def _choice(one: Answer) -> str:
    """Return who had a task and why, on one line."""
    before = [f"{gone['candidate']} ({gone['because']})" for gone in one.get("failed_over", [])]
    instead = f" instead of {', '.join(before)}" if before else ""
    return (
        f"{one['task']} {one['task_type']}: {one['candidate']}{instead}, {one_line(one['because'])}"
    )


@click.command("close-breaker")
@click.argument("role")
@click.argument("candidate")
@common_options
def close_breaker(run: Invocation, role: str, candidate: str) -> None:
    """Let tasks go to CANDIDATE of ROLE at once, though it was not available a while ago."""
    run.show("agents.close_breaker", _closed, role=role, candidate=candidate)


def _closed(answer: Answer) -> str:
    return f"{answer['candidate']} of {answer['role']}: {answer['note']}"


COMMANDS = (candidates, close_breaker)
