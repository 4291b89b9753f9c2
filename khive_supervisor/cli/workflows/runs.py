"""workflow run, dry-run, list, show, cancel, retry: graphs of tasks, from the shell."""

from __future__ import annotations

import json
import os
import time
import tomllib
from collections.abc import Mapping
from typing import Any

import click

from khive_supervisor import exitcodes
from khive_supervisor.cli.commands.memory import text_of
from khive_supervisor.cli.connection.session import Invocation, Verbs, common_options, verbs
from khive_supervisor.cli.connection.session import without_none as given
from khive_supervisor.cli.options.numbers import WholeNumber
from khive_supervisor.cli.render.output import style, table
from khive_supervisor.cli.render.terminal import one_line
from khive_supervisor.cli.render.times import asked, shown, within
from khive_supervisor.errors import InvalidInput
from khive_supervisor.text.plain_json import JsonObject
from khive_supervisor.workflows.model import RUN_STATES

#: Seconds between two looks at a run that is waited for.
LOOK_EVERY = 0.5


@click.group("workflow")
def workflow() -> None:
    """Workflows: tasks that wait for each other, for approvals and for times."""


@workflow.command("run")
@click.argument("name_or_file", metavar="NAME|FILE")
@click.option(
    "--input",
    "input_text",
    help="JSON that {{input.NAME}} takes values from; - for standard input.",
)
@click.option("--at", help="When it may begin (30m, 12h, a local time).")
@click.option("--key", "idempotency_key", help="Repeating a key begins nothing new.")
@click.option("--wait", is_flag=True, help="Wait for its end.")
@common_options
def run_workflow(
    run: Invocation,
    name_or_file: str,
    input_text: str | None,
    at: str | None,
    wait: bool,
    **args: Any,
) -> None:
    """Begin a run of a workflow: one of the configuration, or a TOML or JSON file."""
    asks = {**_which(name_or_file), "input": _input(input_text), "at": asked(at), **args}
    with verbs(run.config_file) as (session, *_):
        answer = session.request("workflow.run", given(asks))
        if wait:
            answer = _wait(session, answer)
    run.emit(answer, _run_text)
    if wait and answer["state"] != "done":
        raise SystemExit(exitcodes.FAILURE)


def _which(name_or_file: str) -> JsonObject:
    """Return a workflow as verbs take it: its name, or what a file says."""
    if not name_or_file.endswith((".toml", ".json")) and not os.path.isfile(name_or_file):
        return {"workflow": name_or_file}
    try:
        with open(name_or_file, "rb") as file:
            return {"definition": _parsed(name_or_file, file.read())}
    except OSError as error:
        raise InvalidInput(
            f"{name_or_file} cannot be read: {error.strerror}.", hint="Name a readable file."
        ) from error


def _parsed(name: str, content: bytes) -> JsonObject:
    try:
        text = content.decode()
        found = json.loads(text) if name.endswith(".json") else tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(
            f"{name} is no TOML or JSON: {error}.", hint="docs/workflows.md has an example."
        ) from error
    if not isinstance(found, dict):
        raise InvalidInput(f"{name} holds no workflow.", hint="docs/workflows.md has an example.")
    # A file of the configuration's form, with one workflow in it, is that workflow.
    tables = found.get("workflows")
    return tables[0] if isinstance(tables, list) and len(tables) == 1 else found


def _input(text: str | None) -> JsonObject | None:
    if text is None:
        return None
    try:
        found = json.loads(text_of(text))
    except ValueError as error:
        raise InvalidInput(
            f"The input is no JSON: {error}.", hint='Such as {"version": "1.2"}.'
        ) from error
    if not isinstance(found, dict):
        raise InvalidInput("The input is no object.", hint='Such as {"version": "1.2"}.')
    return found


def _wait(session: Verbs, answer: Mapping[str, Any]) -> Mapping[str, Any]:
    while answer["state"] == "running":
        time.sleep(LOOK_EVERY)
        answer = session.request("workflow.show", {"run": answer["run"]})
    return answer


@workflow.command("list")
@click.option("--state", type=click.Choice(RUN_STATES), help="Only runs in this state.")
@click.option("--limit", "-n", type=WholeNumber(1, 200), help="How many runs at most (20).")
@common_options
def list_workflows(run: Invocation, state: str | None, limit: int | None) -> None:
    """List the workflows of the configuration, and the newest runs."""
    run.show("workflow.list", _list_text, state=state, limit=limit)


def _list_text(answer: Mapping[str, Any]) -> str:
    known = [
        (one["name"], one["steps"], one.get("every", ""), one.get("description", ""))
        for one in answer["workflows"]
    ]
    runs = [
        (one["run"], one["name"], one["state"], _counted(one["steps"]), shown(one["created_at"]))
        for one in answer["runs"]
    ]
    blocks = [table(("workflow", "steps", "every", "what"), known)] if known else []
    blocks += [table(("run", "workflow", "state", "steps", "began"), runs)] if runs else []
    return "\n\n".join(blocks) or "There are no workflows and no runs."


def _counted(steps: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {state}" for state, count in steps.items())


@workflow.command("show")
@click.argument("run_id", metavar="RUN")
@common_options
def show_run(run: Invocation, run_id: str) -> None:
    """Show a run: its graph, how far each step is, and what it waits for."""
    run.show("workflow.show", _run_text, run=run_id)


def _run_text(answer: Mapping[str, Any]) -> str:
    head = f"{answer['run']} {answer['name']}: {answer['state']}"
    lines = [head, *map(one_line, answer["graph"])]
    for task in answer["tasks"]:
        for key, word in (("waits_for", "waits for"), ("error", "ended:")):
            if key in task:
                lines.append(one_line(f"{task['task']} {word} {within(task[key])}"))
    if "note" in answer:
        lines.append(f"{style('note: ', 'yellow')}{within(answer['note'])}")
    return "\n".join(lines)


@workflow.command("dry-run")
@click.argument("name_or_file", metavar="NAME|FILE")
@common_options
def dry_run(run: Invocation, name_or_file: str) -> None:
    """Draw the graph of a workflow and say what is wrong with it; nothing is begun.

    Exit code 1 if it cannot be done as it is written.
    """
    answer = run.ask("workflow.dry_run", **_which(name_or_file))
    run.emit(answer, _dry_text)
    if not answer["can_be_done"]:
        raise SystemExit(exitcodes.FAILURE)


def _dry_text(answer: Mapping[str, Any]) -> str:
    lines = [f"{answer['name']}: {answer['steps']} steps", *map(one_line, answer["graph"])]
    lines += [f"{style('wrong: ', 'red')}{one_line(problem)}" for problem in answer["problems"]]
    return "\n".join(lines)


@workflow.command("cancel")
@click.argument("run_id", metavar="RUN")
@common_options
def cancel_run(run: Invocation, run_id: str) -> None:
    """Cancel a run; what is being done is asked to stop."""
    run.show("workflow.cancel", _run_text, run=run_id)


@workflow.command("retry")
@click.argument("run_id", metavar="RUN")
@common_options
def retry_run(run: Invocation, run_id: str) -> None:
    """Have a run go on after a failure; what is done is not done again."""
    run.show("workflow.retry", _run_text, run=run_id)


COMMANDS = (workflow,)
