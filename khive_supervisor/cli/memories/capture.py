"""`capture`: where clients' sessions are captured, and those of before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

from khive_supervisor.cli.connection.session import Invocation, Verbs, common_options, verbs
from khive_supervisor.cli.render.output import counted, table
from khive_supervisor.cli.render.terminal import one_line
from khive_supervisor.errors import InvalidInput

_ACTIONS = ("status", "on", "off", "default")
#: What is said when capturing is turned on, so that nobody is surprised.
_KEPT = (
    "Kept on this machine alone, in the store: prompts, answers, commands, edited paths and errors "
    "of {whose} sessions, without secrets and <private> spans, for journal.keep (90 days). What "
    "follows from them stays. `khive-supervisor capture off` ends it."
)


@click.command("capture")
@click.argument("action", type=click.Choice(_ACTIONS), default="status")
@click.option("--project", help="A project's name, or here; without it, for all.")
@click.option("--backfill", is_flag=True, help="Take in the sessions of before; counts come first.")
@click.option("--only", multiple=True, help="With --backfill: only of this project; repeat it.")
@click.option("--yes", is_flag=True, help="With --backfill: do not ask.")
@common_options
def capture(
    run: Invocation,
    action: str,
    project: str | None,
    backfill: bool,
    only: Sequence[str],
    yes: bool,
) -> None:
    """Show where clients' sessions are captured; turn it on or off; take in those of before.

    On, the transcripts of Claude Code and Codex are followed by the supervisor. Off, hooks keep
    nothing either.
    """
    if backfill:
        _backfill(run, only, yes)
    elif action == "status":
        run.show("capture.status", _status)
    else:
        run.show("capture.switch", _switched, state=action, project=project)


def _status(answer: Mapping[str, Any]) -> str:
    said = {True: "on", False: "off", None: "by hooks only, where they are connected"}
    lines = [f"captured: {said[answer['all']]}"]
    lines += [f"  {one_line(name)}: {said[on]}" for name, on in answer["projects"].items()]
    kept = f"{counted(answer['events'], 'event')} of {counted(answer['sessions'], 'session')}"
    lines.append(f"kept: {kept}, for {answer['kept_days']:g} days")
    lines.append(f"followed: {counted(answer['transcripts'], 'transcript')}")
    if answer["candidates"]:
        lines.append(f"to review: {answer['candidates']} (khive-supervisor review)")
    lines += [
        f"not understood (a newer format?): {one_line(one)}" for one in answer["not_understood"]
    ]
    return "\n".join(lines)


def _switched(answer: Mapping[str, Any]) -> str:
    whose = "all" if answer["project"] == "all" else f"the project's ({answer['project']})"
    if answer["state"] == "on":
        return f"Capturing is on. {_KEPT.format(whose=whose)}"
    if answer["state"] == "off":
        return f"Capturing is off for {whose}: nothing more is kept. What was kept stays."
    return f"Capturing is as for all, for {whose}."


def _backfill(run: Invocation, only: Sequence[str], yes: bool) -> None:
    """Show counts by project, ask, and take the sessions in, some at a time."""
    with verbs(run.config_file) as (session, *_):
        found = session.request("capture.backfill", {"dry_run": True})["projects"]
        wanted = [one for one in found if not only or one["project"] in only]
        if not wanted:
            run.emit({"projects": [], "sessions": 0}, lambda _: "There are no sessions of before.")
            return
        _ask(run, wanted, yes)
        names = [one["project"] for one in wanted]
        sessions, events = _taken_in(session, names)
    done = {"projects": names, "sessions": sessions, "events": events}
    run.emit(
        done, lambda _: f"Took in {counted(events, 'event')} of {counted(sessions, 'session')}."
    )


def _ask(run: Invocation, wanted: Sequence[Mapping[str, Any]], yes: bool) -> None:
    rows = [(one_line(one["project"]), one["sessions"], one["bytes"] >> 10) for one in wanted]
    click.echo(table(("project", "sessions", "KiB"), rows), err=True)
    if not yes and run.as_json:
        raise InvalidInput("Sessions of before are taken in with --yes.", hint="Or without --json.")
    if not yes:
        click.confirm("Take these in?", abort=True, err=True)


def _taken_in(session: Verbs, names: Sequence[str]) -> tuple[int, int]:
    sessions = events = 0
    after = ""
    while True:
        answer = session.request("capture.backfill", {"projects": list(names), "after": after})
        sessions += answer["sessions"]
        events += answer["events"]
        if "next" not in answer:
            return sessions, events
        after = answer["next"]


COMMANDS = (capture,)
