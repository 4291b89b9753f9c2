"""reload, drain-role, resume-role: changing what runs, without a restart."""

from __future__ import annotations

import sys
from typing import Any

import click

from khive_supervisor import exitcodes
from khive_supervisor.cli.connection.finding import control
from khive_supervisor.cli.connection.session import Invocation, common_options
from khive_supervisor.cli.render.answers import PlanShown, ReloadShown

#: What leaves a role as it was.
UNDONE = frozenset({"rolled_back", "failed"})
#: What `reload --dry-run` exits with when a reload would change something.
WOULD_CHANGE = 2


@click.command()
@click.option("--dry-run", is_flag=True, help="Show what would change, and change nothing.")
@click.option("--if-digest", metavar="D", help="Only if this is the plan (of a dry run).")
@common_options
def reload(run: Invocation, dry_run: bool, if_digest: str | None) -> None:
    """Read the configuration again and take over what has changed, as SIGHUP does.

    A file that is not valid changes nothing. Exit code 0 when all is as the file says, 1 when it
    is not valid or a role was rolled back. With --dry-run: 0 nothing would change, 2 something
    would, 1 the file is not valid.
    """
    with control(run.config_file) as client:
        if dry_run:
            plan: Any = client.request("reload", {"dry_run": True})
            run.emit(plan, _plan_text)
            sys.exit(_code_of_plan(plan))
        result: Any = client.request("reload", {"digest": if_digest})
    run.emit(result, result_text)
    done = result["state"] == "done" and not result["errors"]
    sys.exit(exitcodes.OK if done else exitcodes.FAILURE)


def _code_of_plan(plan: PlanShown) -> int:
    if not plan["valid"]:
        return exitcodes.FAILURE
    return exitcodes.OK if plan["empty"] else WOULD_CHANGE


def _plan_text(plan: PlanShown) -> str:
    if not plan["valid"]:
        return _errors_text("The configuration is not valid:", plan["errors"])
    if plan["empty"]:
        return str(plan["text"])
    return f"{plan['text']}\n\nplan {plan['digest']}"


def result_text(result: ReloadShown) -> str:
    """What came of a reload, for people."""
    if result["state"] == "failed":
        return _errors_text("Nothing was changed:", result["errors"])
    lines = [_head(result)]
    lines += [f"  {key}: taken over" for key in result["applied"] if result["changed"]]
    lines += [
        f"  role {role}: {outcome.replace('_', ' ')}"
        for role, outcome in result["roles"].items()
        if outcome != "unchanged"
    ]
    lines += [f"  {key}: waits for a restart" for key in result["waits_for_restart"]]
    lines += [f"  {error}" for error in result["errors"]]
    return "\n".join(lines)


def _head(result: ReloadShown) -> str:
    """How it ended; a role that went back is said first, whatever else was taken over."""
    undone = [role for role, outcome in result["roles"].items() if outcome in UNDONE]
    if undone or result["state"] == "rolled_back":
        roles = f"The new {', '.join(undone)}" if undone else "What is new"
        return f"Rolled back: {roles} could not be made ready, and the old goes on."
    if not result["changed"]:
        return "Nothing has changed."
    return f"Reloaded: generation {result['generation']}."


def _errors_text(head: str, errors: list[str]) -> str:
    return "\n".join((head, *(f"  - {error}" for error in errors)))


@click.command("drain-role")
@click.argument("role")
@click.option("--reload", "again", is_flag=True, help="Replace its workers; it stays in service.")
@common_options
def drain_role(run: Invocation, role: str, again: bool) -> None:
    """Let a role finish what it holds, and take no more tasks; those wait for resume-role."""
    with control(run.config_file) as client:
        answer = client.request("roles.drain", {"role": role, "reload": again})
    done = "Its workers are new" if again else "It is out of service"
    run.emit(answer, lambda _: f"{role}: {done}.")


@click.command("resume-role")
@click.argument("role")
@common_options
def resume_role(run: Invocation, role: str) -> None:
    """Put a drained role back in service."""
    with control(run.config_file) as client:
        answer = client.request("roles.resume", {"role": role})
    run.emit(answer, lambda _: f"{role}: It is in service.")


COMMANDS = (reload, drain_role, resume_role)
