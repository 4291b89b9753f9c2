"""worktrees: the directories that tasks have left, and the removal of those that are clean."""

from __future__ import annotations

import os
import shlex

import click

from khive_supervisor.cli.connection.permission import not_confined
from khive_supervisor.cli.connection.session import Invocation, common_options, loaded
from khive_supervisor.cli.render.output import counted, note, table
from khive_supervisor.errors import InvalidInput
from khive_supervisor.packs.agents.task_forms import task_id
from khive_supervisor.sqlite.store import SqliteStore
from khive_supervisor.text.plain_json import JsonObject
from khive_supervisor.worktrees import leftover, metadata
from khive_supervisor.worktrees.leftover import Leftover
from khive_supervisor.worktrees.systems import WorktreeSystems


@click.command("worktrees")
@click.option("--remove-clean", is_flag=True, help="Remove all in which nothing would be lost.")
@click.option("--remove", "named", metavar="TASK", help="Remove a task's, if nothing is lost.")
@common_options
def worktrees(run: Invocation, remove_clean: bool, named: str | None) -> None:
    """List the directories and worktrees that tasks have left.

    One with changes, commits or files in it is never removed: merge or discard them with git or
    jj first. Works without a supervisor, too.
    """
    not_confined(run.config_file, "worktrees")
    store = loaded(run.config_file).config.store.path
    top, systems = metadata.root(store), WorktreeSystems(os.environ)
    only = task_id(named) if named is not None else None
    there = [one for one in leftover.found(systems, top) if only is None or one.task == only]
    if only is not None and not there:
        raise InvalidInput(
            f"{named} has left no directory.",
            hint="`khive-supervisor worktrees` lists those there are.",
        )
    states = _states(store, [one.task for one in there])
    rows = [_row(one, states) for one in there]
    if remove_clean or named is not None:
        for one, row in zip(there, rows, strict=True):
            # A task that waits goes on there; only the one that is named is removed nevertheless.
            if only is not None or row["state"] not in ("queued", "leased"):
                kept = leftover.remove_clean(systems, top, one.task)
                row.update({"removed": True} if kept is None else kept)
        if only is not None and not rows[0].get("removed"):
            text = f"The directory of {named} stays: {_inside(rows[0])}."
            raise InvalidInput(text, hint=_how_to_clear(rows[0]))
    run.emit(rows, _render)
    if remove_clean and rows and not any(row.get("removed") for row in rows):
        note("Nothing was removed: something would be lost of each, or a task needs it.")


def _how_to_clear(row: JsonObject) -> str:
    """What takes over or throws away what is in a directory that stays."""
    if row["busy"]:
        return "Wait for its task, or cancel it."
    path, branch = row["path"], row.get("branch")
    if branch is None:
        return f"Take what you need of {path}, and empty it."
    if workspace := row.get("workspace"):
        return (
            f"In its repository, `jj new {branch}` goes on from it, and `jj rebase -b {branch} -d "
            f"@-` takes it; `jj abandon '@..{branch}'`, `jj workspace forget {workspace}` and `rm "
            f"-r {shlex.quote(str(path))}` throw all of it away."
        )
    return (
        f"In its repository, `git merge {branch}` takes what is committed; `git worktree remove "
        f"--force {shlex.quote(path)}` and `git branch -D {branch}` throw all of it away."
    )


def _states(store: str, tasks: list[int]) -> dict[int, str]:
    """The tasks' states; none for those that were removed long ago, or if there is no store."""
    if not tasks or not os.path.exists(store):
        return {}
    opened = SqliteStore(store, guarded=False)
    try:
        found = {task: opened.tasks.find(task) for task in tasks}
    finally:
        opened.close()
    return {task: one.state for task, one in found.items() if one is not None}


def _row(one: Leftover, states: dict[int, str]) -> JsonObject:
    path = f"{one.home}/{metadata.TREE}"
    row: JsonObject = {
        "task": f"t{one.task}",
        "state": states.get(one.task, "unknown"),
        "role": one.metadata.role if one.metadata else "",
        "kind": one.metadata.kind if one.metadata else "",
        "path": path,
        "bytes": leftover.size(path),
        "busy": one.busy,
        "clean": one.clean,
    }
    if one.metadata is not None and one.metadata.repository:
        row |= {"repository": one.metadata.repository, "branch": one.metadata.branch}
        row |= {"workspace": one.metadata.workspace} if one.metadata.workspace else {}
    return {**row, **(one.inside or {})}


def _render(rows: list[JsonObject]) -> str:
    if not rows:
        note("No task has left a directory.")
        return ""
    cells = [
        (row["task"], row["state"], row["role"], row.get("branch", "-"), _inside(row), row["path"])
        for row in rows
    ]
    return table(("task", "state", "role", "branch", "inside", "path"), cells)


def _inside(row: JsonObject) -> str:
    if row.get("removed"):
        return "removed"
    if row["busy"]:
        return "a worker"
    words = []
    if commits := row.get("commits"):
        words.append(counted(commits, "commit"))
    if changed := row.get("changed"):
        words.append(f"{changed} changed")
    if files := row.get("files"):
        words.append(counted(files, "file"))
    if row.get("note"):
        words.append(str(row["note"]).rstrip("."))
    return ", ".join(words) or "nothing"


COMMANDS = (worktrees,)
