"""schedules, pause-schedule, resume-schedule, unschedule: what runs again and again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from khive_supervisor.cli.connection.session import Invocation, common_options
from khive_supervisor.cli.render.output import style, table
from khive_supervisor.cli.render.times import shown


@click.command("schedules")
@common_options
def schedules(run: Invocation) -> None:
    """List the schedules: when each is due, and what the last time came to."""
    run.show("workflow.schedules", _schedules_text)


def _schedules_text(answer: Mapping[str, Any]) -> str:
    rows = [
        (
            one["schedule"],
            one["name"],
            one["every"],
            one.get("zone", ""),
            shown(one["next"]),
            _last(one),
        )
        for one in answer["schedules"]
    ]
    headers = ("schedule", "workflow", "every", "zone", "next", "last")
    return table(headers, rows) if rows else "There are no schedules."


def _last(one: Mapping[str, Any]) -> str:
    if not one["last"]:
        return ""
    last = one["last"][0]
    return f"{last.get('run', 'missed')}, due {shown(last['due'])}"


@click.command("pause-schedule")
@click.argument("schedule")
@common_options
def pause_schedule(run: Invocation, schedule: str) -> None:
    """Have a schedule begin nothing until resume-schedule, through reloads and restarts, too."""
    run.show("workflow.pause", _now, schedule=schedule)


@click.command("resume-schedule")
@click.argument("schedule")
@common_options
def resume_schedule(run: Invocation, schedule: str) -> None:
    """Have a paused schedule go on; times that have passed meanwhile do not count."""
    run.show("workflow.resume", _now, schedule=schedule)


def _now(answer: Mapping[str, Any]) -> str:
    state = "is paused" if answer["paused"] else f"is next due at {shown(answer['next'])}"
    return f"{answer['schedule']} {answer['name']} {state}."


@click.command("unschedule")
@click.argument("schedule")
@common_options
def unschedule(run: Invocation, schedule: str) -> None:
    """Remove a schedule; the runs that it has begun go on."""
    run.show("workflow.unschedule", _removed_text, schedule=schedule)


def _removed_text(answer: Mapping[str, Any]) -> str:
    note = f"\n{style('note: ', 'yellow')}{answer['note']}" if "note" in answer else ""
    return f"{answer['schedule']} {answer['name']} is removed.{note}"


COMMANDS = (schedules, pause_schedule, resume_schedule, unschedule)
