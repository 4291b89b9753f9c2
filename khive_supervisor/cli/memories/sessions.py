"""`sessions`: what the sessions of all clients are at."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from khive_supervisor.cli.connection.session import Invocation, common_options
from khive_supervisor.cli.render.output import table
from khive_supervisor.cli.render.terminal import one_line

#: What people read for a state.
_STATES = {"waiting": "waits for you"}


@click.command("sessions")
@click.option("--limit", type=int, help="How many at most.")
@click.option("--told", metavar="ID", help="Show instead where the entry ID was put in by itself.")
@common_options
def sessions(run: Invocation, limit: int | None, told: str | None) -> None:
    """List the sessions of all clients: project, state, last prompt.

    They are told of by hooks (`connect CLIENT --hooks`); those that are only attached follow.
    """
    if told is None:
        run.show("sessions.list", _listed, limit=limit)
    else:
        run.show("sessions.told", _told, id=told, limit=limit)


def _told(answer: Mapping[str, Any]) -> str:
    rows = [
        (one["at"], one["client"], one["session"], one["event"], _use(one.get("used")))
        for one in answer["told"]
    ]
    heads = ("at", "client", "session", "for", "used")
    return table(heads, rows) if rows else f"{answer['id']} was put into no session yet."


def _use(used: bool | None) -> str:
    return "not known yet" if used is None else "yes" if used else "no"


def _listed(answer: Mapping[str, Any]) -> str:
    found = answer["sessions"]
    heads = ("client", "project", "branch", "state", "last heard of", "cost", "last prompt")
    parts = [table(heads, [_row(one) for one in found])] if found else []
    rest = answer["without_hooks"]
    if rest:
        rows = [(one_line(one["client"]), one["pid"], one_line(one["cwd"])) for one in rest]
        parts.append("Attached, without hooks:\n" + table(("client", "pid", "directory"), rows))
    return "\n\n".join(parts) or "No session has been heard of."


def _row(one: Mapping[str, Any]) -> tuple[object, ...]:
    cost = one.get("cost")
    return (
        one_line(one["client"]),
        one_line(one.get("project") or one.get("cwd", "")),
        one_line(one.get("branch", "")),
        _STATES.get(one["state"], one["state"]),
        one["seen_at"],
        "" if cost is None else f"${cost:.2f}",
        one_line(one.get("last_prompt", "")),
    )


COMMANDS = (sessions,)
