"""assign, tasks, task, cancel, retry, roles: work for roles, from the shell."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

import click

from khive_supervisor import exitcodes
from khive_supervisor.cli.commands.memory import text_of
from khive_supervisor.cli.connection.finding import control
from khive_supervisor.cli.connection.session import (
    Invocation,
    Verbs,
    common_options,
    verbs,
    without_daemon,
    without_none,
)
from khive_supervisor.cli.options.numbers import WholeNumber
from khive_supervisor.cli.render.answers import Shown, TaskShown
from khive_supervisor.cli.render.output import (
    as_json_text,
    exactly,
    note,
    say,
    style,
    table,
)
from khive_supervisor.cli.render.readable import readable
from khive_supervisor.cli.render.role_text import NO_ROLES, budget_word
from khive_supervisor.cli.render.terminal import one_line
from khive_supervisor.cli.render.times import asked, shown, within
from khive_supervisor.errors import InvalidInput, KhiveError, RoleFailed
from khive_supervisor.tasks.model import STATES
from khive_supervisor.text.plain_json import JsonObject
from khive_supervisor.workflows.model import CATCH_UPS, POLICIES, REFUSALS

#: Seconds that one call waits; the command goes on with the next.
WAIT = 300
#: The same for one task: then it is seen whether there is anybody to do it.
LOOK = 3


def _payload(text: str | None) -> JsonObject:
    """The payload as an argument: JSON is taken as such, anything else is text."""
    if text is None:
        return {}
    text = text_of(text)
    try:
        return {"payload": json.loads(text)}
    except (ValueError, RecursionError):
        return {"payload": text}


def _directory(named: str | None) -> str | None:
    """A directory that is named, by its real path; raises InvalidInput if it is none."""
    if named is None:
        return None
    real = os.path.realpath(os.path.expanduser(named))
    if not os.path.isdir(real):
        raise InvalidInput(f"There is no directory {named!r}.", hint="Name one that exists.")
    return real


@click.command()
@click.argument("payload", required=False)
@click.option("--role", help="Who is to do it.")
@click.option("--type", "task_type", help="What kind of task it is; selects the best role.")
@click.option("--priority", type=WholeNumber(), help="The highest is done first (the role's own).")
@click.option("--key", "idempotency_key", help="Repeating a key queues nothing new.")
@click.option("--candidate", help="Which candidate of the role is to do it (the best).")
@click.option("--deadline", help="When it need not be started any more (30m, 12h, a local time).")
@click.option("--cwd", type=click.Path(), help="The directory that it is about (this one).")
@click.option(
    "--after",
    multiple=True,
    metavar="TASK",
    help="A task that must have ended before; may be repeated.",
)
@click.option(
    "--on-failure", type=click.Choice(POLICIES), help="What it does if that one fails (cancel)."
)
@click.option("--at", help="When it may begin (30m, 12h, a local time).")
@click.option("--approve", metavar="WHO", help="Who must agree before: operator, or another role.")
@click.option("--approve-within", help="How long the approval may be given (7d).")
@click.option(
    "--if-refused", type=click.Choice(REFUSALS), help="What it does if it is refused (cancel)."
)
@click.option(
    "--every", metavar="CRON", help="Give it again and again, at the times of cron's five fields."
)
@click.option("--zone", help="The time zone of --every (this machine's).")
@click.option(
    "--catch-up", type=click.Choice(CATCH_UPS), help="What --every does about missed times (one)."
)
@click.option("--wait", is_flag=True, help="Wait for its end, and print its result.")
@common_options
def assign(run: Invocation, payload: str | None, cwd: str | None, wait: bool, **args: Any) -> None:
    """Give a task to a role; PAYLOAD is JSON or text, - takes it from standard input."""
    # Whoever types a directory here means it, as if they had gone there first.
    with verbs(run.config_file, cwd=_directory(cwd)) as (session, *_):
        args |= {"deadline": asked(args["deadline"]), "at": asked(args["at"])}
        answer = session.request("agents.assign", {**without_none(args), **_payload(payload)})
        if not wait or "schedule" in answer:
            run.emit(answer, _assigned_text)
            return
        if not run.as_json:
            note(_assigned_text(answer))
        ended = _wait(session, answer["task"], run.as_json, run.config_file)
    run.emit(ended, _ended_text)
    if ended["state"] != "done":
        raise SystemExit(exitcodes.FAILURE)


def _wait(session: Verbs, task: str, quiet: bool, config_file: str | None) -> TaskShown:
    said = ""

    def report(progress: Mapping[str, Any]) -> None:
        nonlocal said
        if not quiet and progress["text"] not in ("waiting", said):
            said = progress["text"]
            note(said)

    while True:
        args = {"task": task, "timeout": LOOK}
        answer = session.request("agents.wait", args, report)
        found: TaskShown = answer["tasks"][0]
        if answer["ended"]:
            return found
        if found["state"] == "queued":
            _check_role(config_file, found["role"], task)


def _check_role(config_file: str | None, role: str, task: str) -> None:
    """Raise RoleFailed if nobody will do the task until somebody mends its role."""
    if without_daemon():
        return
    try:
        with control(config_file) as client:
            roles = client.request("roles.status")["roles"]["roles"]
    except (KhiveError, OSError):
        return  # it is being started anew; the task waits for that as well
    known = next((one for one in roles if one["role"] == role), None)
    if known is not None and known["state"] == "failed":
        raise RoleFailed(
            f"The role {role} is failed, so that {task} waits: {known['last_error']}",
            hint=f"Mend it, then `khive-supervisor resume-role {role}`; the task stays queued.",
        )


def _assigned_text(answer: Shown) -> str:
    if "schedule" in answer:
        return f"{answer['schedule']} for {answer['role']}, first at {shown(answer['next'])}"
    head = f"{answer['task']} {answer['state']} for {answer['role']}"
    return "\n".join([head, *_noted(answer)])


def _noted(answer: Shown) -> list[str]:
    """What an answer has to say beside itself."""
    if "note" not in answer:
        return []
    return [f"{style('note: ', 'yellow')}{within(str(answer['note']))}"]


def _result_text(result: object, left: Mapping[str, str] | None) -> str:
    """A text as it is, also an agent's; and where more of it lies."""
    if isinstance(result, dict) and isinstance(result.get("text"), str):
        result = result["text"]
    text = result if isinstance(result, str) else as_json_text(result, indent=2)
    if left is None:
        return text
    where = f" (branch {left['branch']})" if "branch" in left else ""
    return f"{text}\n{style('left in: ', 'yellow')}{left['path']}{where}"


def _ended_text(task: TaskShown) -> str:
    if task["state"] == "done":
        return _result_text(task.get("result"), task.get("worktree"))
    return f"{task['task']} {task['state']}: {task.get('error', 'no reason was given')}"


@click.command("tasks")
@click.option("--role", help="Only this role's.")
@click.option("--state", type=click.Choice(STATES), help="Only tasks in this state.")
@click.option("--limit", "-n", type=WholeNumber(1, 200), help="How many at most (20).")
@click.option("--follow", is_flag=True, help="Print a line for each change, until Ctrl-C.")
@common_options
def list_tasks(
    run: Invocation, role: str | None, state: str | None, limit: int | None, follow: bool
) -> None:
    """List tasks, newest first."""
    if follow:
        _follow(run.config_file, role, state, run.as_json)
        return
    run.show("agents.tasks", _tasks_text, role=role, state=state, limit=limit)


def _tasks_text(answer: Mapping[str, Any]) -> str:
    rows = [
        (
            task["task"],
            task["state"],
            task["role"],
            task.get("task_type", ""),
            task["attempts"],
            shown(task["created_at"]),
            task.get("error") or task.get("progress", ""),
        )
        for task in answer["tasks"]
    ]
    headers = ("task", "state", "role", "type", "attempts", "created", "what")
    listed = table(headers, rows) if rows else "There are no tasks."
    return "\n".join([listed, *_noted(answer)])


def _follow(config_file: str | None, role: str | None, state: str | None, as_json: bool) -> None:
    """Print what happens; an event of a task that ends is named as its state."""
    args = without_none({"role": role, "timeout": WAIT})
    with verbs(config_file) as (session, *_):
        while True:
            answer = session.request("agents.follow", args)
            args["after"] = answer["last"]
            for event in answer["events"]:
                if state in (None, event["what"]):
                    _print_event(event, as_json)


def _print_event(event: Shown, as_json: bool) -> None:
    if as_json:
        exactly(as_json_text(event))
        return
    names = ("at", "task", "role", "what", "worker", "detail")
    told = readable(event)
    say("  ".join(one_line(told[name]) for name in names if told.get(name)))


@click.command()
@click.argument("task")
@common_options
def task(run: Invocation, task: str) -> None:
    """Show a task: state, result, error, and what happened to it."""
    run.show("agents.task", _task_text, task=task)


def _task_text(task: TaskShown) -> str:
    plain = {
        name: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for name, value in task.items()
        if name not in ("events", "log_tail")
    }
    events = [(event["at"], event["what"], event.get("detail", "")) for event in task["events"]]
    blocks = [table(("what", "value"), list(plain.items())), table(("at", "event", ""), events)]
    if task.get("log_tail"):
        blocks.append("\n".join(["LOG", *map(one_line, task["log_tail"].splitlines())]))
    return "\n\n".join(blocks)


@click.command()
@click.argument("task")
@common_options
def cancel(run: Invocation, task: str) -> None:
    """Cancel a task; one that is being done is asked to stop."""
    run.show("agents.cancel", lambda a: f"{a['task']} {a['state']}: {a['note']}", task=task)


@click.command()
@click.argument("task")
@common_options
def retry(run: Invocation, task: str) -> None:
    """Queue a task again that failed, died or was cancelled."""
    run.show("agents.retry", _assigned_text, task=task)


@click.command("roles")
@common_options
def list_roles(run: Invocation) -> None:
    """List the roles: whether they serve, what waits for them, and how they do."""
    answer = run.ask("agents.roles")
    headers = (
        "role", "service", "workers", "queued", "leased", "type", "success", "runs", "budget",
    )  # fmt: skip
    rows = [row for role in answer["roles"] for row in _role_rows(role)]
    run.emit(answer, lambda _: table(headers, rows) if rows else NO_ROLES)


def _role_rows(role: Mapping[str, Any]) -> list[tuple[object, ...]]:
    """A line for each type of task that it does or did."""
    service = "in" if role["in_service"] else "out"
    head = (role["role"], service, role["workers"], role["queued"], role["leased"])
    return [
        (
            *head,
            known["task_type"],
            _success(known),
            known["executions"],
            budget_word(role),
        )
        for known in role["records"]
    ] or [(*head, "", "", 0, budget_word(role))]


def _success(known: Mapping[str, Any]) -> str:
    """Return how often it succeeds; what was never tried has shown nothing."""
    low, high = known["interval"]
    return f"{known['success']:.2f} ({low:.2f}-{high:.2f})" if known["executions"] else "-"


COMMANDS = (assign, list_tasks, task, cancel, retry, list_roles)
