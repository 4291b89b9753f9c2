"""similar, history, curve, lineage: what was tried, how it ended, and what led to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import click

from khive_supervisor.cli.connection.session import Invocation, common_options
from khive_supervisor.cli.options.numbers import Number, WholeNumber
from khive_supervisor.cli.render.output import counted, style, table
from khive_supervisor.cli.render.terminal import one_line
from khive_supervisor.cli.render.times import asked
from khive_supervisor.tasks.model import OUTCOMES

Command = Callable[..., Any]
Shown = Mapping[str, Any]

#: Colours of outcomes.
_COLOURS = {"done": "green", "failed": "red", "died": "red", "cancelled": "yellow"}


def _which_options(function: Command) -> Command:
    """Which executions: by who did them, where they belong, and when they ended."""
    for option in (
        click.option("--role", help="Only this role's."),
        click.option("--type", "task_type", help="Only of this type of task."),
        click.option("--namespace", help="Where they belong; the configured one by default."),
        click.option("--since", help="Only those that ended since then (7d, today, a local time)."),
        click.option("--until", help="Only those that ended before then (same forms)."),
        click.option(
            "--scope",
            type=click.Choice(("project", "user", "all")),
            help="This project and what is for every one (default), only the latter, or all.",
        ),
    ):
        function = option(function)
    return function


_outcome = click.option("--outcome", type=click.Choice(OUTCOMES), help="Only those that ended so.")


def _ask(run: Invocation, verb: str, render: Callable[[Any], str], **args: Any) -> None:
    times = {name: asked(args[name]) for name in ("since", "until")}
    run.show(verb, render, **{**args, **times})


@click.command()
@click.argument("text")
@click.option("--limit", "-n", type=WholeNumber(1, 100), help="How many tasks (10).")
@click.option("--floor", type=Number(), help="How well one must fit, 0 to 1.")
@_outcome
@_which_options
@common_options
def similar(run: Invocation, text: str, **args: Any) -> None:
    """Show what was tried on tasks like TEXT, and how it ended."""
    _ask(run, "history.similar", _similar_text, query=text, **args)


def _similar_text(answer: Mapping[str, Any]) -> str:
    notes = [style("note: ", "yellow") + note for note in answer.get("notes", ())]
    if not answer["results"]:
        return "\n".join(["Nothing like it was tried here.", *notes])
    told = ", ".join(f"{count} {outcome}" for outcome, count in answer["outcomes"].items())
    blocks = [_block(one) for one in answer["results"]]
    return "\n\n".join([*blocks, f"{counted(len(blocks), 'task')}: {told}", *notes])


def _block(one: Shown) -> str:
    """Return an execution in some lines: how it ended, what was asked, what came of it."""
    ended = style(one["outcome"], _COLOURS.get(one["outcome"], "yellow"))
    words = [f"{one['score']:.2f}", ended, one["role"], one["ended_at"], *_used(one)]
    if one.get("attempts", 1) > 1:
        words.append(f"after {one['attempts']} attempts")
    lines = [f"{style(one['id'], 'green')}  " + "  ".join(words), f"    {one_line(one['prompt'])}"]
    lines += [f"    error: {_error(one)}"] if "error" in one else []
    lines += [f"    edited: {one_line(', '.join(one['files'][:8]))}"] if "files" in one else []
    lines += [f"    {left}"] if (left := _left(one)) else []
    return "\n".join(lines)


def _error(one: Shown) -> str:
    """Return what went wrong, on one line."""
    return one_line(" ".join(str(one["error"]).split()))


def _left(one: Shown) -> str:
    """Return what an attempt left in a worktree; empty if nothing."""
    if "diff" not in one:
        return ""
    commit = f", commit {one['commit'][:12]}" if "commit" in one else ""
    return f"{one_line(one['diff'])} on {one.get('branch', '')}{commit}"


def _used(one: Shown) -> list[str]:
    parts = [f"{one['seconds']:.1f} s"]
    parts += [f"${one['cost']:.4f}"] if "cost" in one else []
    return parts + ([f"{one['tokens']} tokens"] if "tokens" in one else [])


@click.command("history")
@click.option("--limit", "-n", type=WholeNumber(1, 200), help="How many at most (20).")
@click.option("--before", help="Only those older than this one, such as e12.")
@_outcome
@_which_options
@common_options
def list_history(run: Invocation, **args: Any) -> None:
    """List what roles have tried, newest first: each attempt that has ended."""
    _ask(run, "history.list", _list_text, **args)


def _list_text(answer: Mapping[str, Any]) -> str:
    heads = ("id", "task", "role", "type", "outcome", "ended", "seconds", "cost", "prompt")
    rows = [_row(one) for one in answer["executions"]]
    return table(heads, rows) if rows else "Nothing has been tried here yet."


def _row(one: Shown) -> tuple[object, ...]:
    attempt = f"{one.get('task', '')} ({one['attempt']})"
    cost = f"${one['cost']:.4f}" if "cost" in one else ""
    what = one["prompt"] if "error" not in one else f"{one['prompt']}: {_error(one)}"
    return (
        one["id"], attempt, one["role"], one.get("task_type", ""), one["outcome"],
        one["ended_at"], f"{one['seconds']:.1f}", cost, one_line(what),
    )  # fmt: skip


@click.command()
@click.option("--days", type=WholeNumber(1, 366), help="Days on which anything ended (30).")
@_which_options
@common_options
def curve(run: Invocation, **args: Any) -> None:
    """Show how success, cost and time of what roles tried went from day to day."""
    _ask(run, "history.curve", _curve_text, **args)


def _curve_text(answer: Mapping[str, Any]) -> str:
    if not answer["days"]:
        return "Nothing has been tried here yet."
    heads = ("day", "runs", "success (95 %)", "cost in $ (95 %)", "seconds (95 %)")
    rows = [_point(one["day"], one) for one in answer["days"]]
    return table(heads, [*rows, _point("together", answer["together"])])


def _point(day: str, one: Shown) -> tuple[object, ...]:
    return (
        day,
        one["executions"],
        _estimate(one["success"], 2),
        _estimate(one["cost"], 4),
        _estimate(one["seconds"], 1),
    )


def _estimate(one: Mapping[str, Any], digits: int) -> str:
    """Return a mean and its interval; the mean alone where one run says nothing of others."""
    low, high = one["interval"]
    mean = f"{one['mean']:.{digits}f}"
    return mean if high is None or low == high else f"{mean} ({low:.{digits}f}-{high:.{digits}f})"


@click.command()
@click.argument("task")
@common_options
def lineage(run: Invocation, task: str) -> None:
    """Show what led to TASK (t12, or an execution e3), and what it has led to."""
    run.show("history.lineage", _lineage_text, task=task)


def _lineage_text(answer: Mapping[str, Any]) -> str:
    links = _by_start(answer["links"])
    lines = []
    for one in answer["executions"]:
        ended = style(one["outcome"], _COLOURS.get(one["outcome"], "yellow"))
        task = f"{one.get('task', '')} attempt {one['attempt']}".strip()
        head = f"{style(one['id'], 'green')}  {task}  {one['role']}  {ended}  {one['ended_at']}"
        lines += [head, f"    {one_line(one['prompt'])}"]
        lines += [f"    error: {_error(one)}"] if "error" in one else []
        lines += [f"    {left}"] if (left := _left(one)) else []
        lines += [f"    {kind.replace('_', ' ')} {to}" for kind, to in links.get(one["id"], ())]
    return "\n".join(lines)


def _by_start(links: Sequence[Mapping[str, str]]) -> dict[str, list[tuple[str, str]]]:
    found: dict[str, list[tuple[str, str]]] = {}
    for one in links:
        found.setdefault(one["from"], []).append((one["kind"], one["to"]))
    return found


COMMANDS = (similar, list_history, curve, lineage)
