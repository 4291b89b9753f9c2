"""projects: what memories are about; merge, rename and move put right what was not seen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from khive_supervisor.cli.connection.session import Invocation, common_options
from khive_supervisor.cli.options.filters import filters, property_options
from khive_supervisor.cli.render.output import table
from khive_supervisor.cli.render.terminal import one_line


@click.group("projects")
def projects() -> None:
    """What memories are about: the projects that something is stored for."""


@projects.command("list")
@click.option("--namespace", help="Only entries of this namespace.")
@common_options
def listing(run: Invocation, namespace: str | None) -> None:
    """List the projects, with how many entries they have and the directories they are found by."""
    run.show("projects.list", _listed, namespace=namespace)


def _listed(answer: Mapping[str, Any]) -> str:
    rows = [
        (
            one.get("project", ""),
            one_line(one["name"]) + (" (here)" if one.get("here") else ""),
            one["entries"],
            ", ".join(map(one_line, one["places"])),
        )
        for one in answer["projects"]
    ]
    lines = [table(("", "project", "entries", "places"), rows)] if rows else []
    return "\n".join([*lines, f"For every project: {answer['everywhere']}."])


@projects.command()
@click.argument("into")
@click.argument("project")
@common_options
def merge(run: Invocation, into: str, project: str) -> None:
    """Make PROJECT a part of INTO: entries of both are found in both."""
    run.show("projects.merge", _merged, into=into, project=project)


def _merged(answer: Mapping[str, Any]) -> str:
    return f"{one_line(answer['merged'])} is a part of {one_line(answer['name'])} now."


@projects.command()
@click.argument("project")
@click.argument("name")
@common_options
def rename(run: Invocation, project: str, name: str) -> None:
    """Call PROJECT by another NAME."""
    run.show("projects.rename", _renamed, project=project, name=name)


def _renamed(answer: Mapping[str, Any]) -> str:
    return f"{one_line(answer['was'])} is called {one_line(answer['name'])} now."


@projects.command()
@click.argument("to")
@click.argument("ids", nargs=-1)
@click.option("--from", "old", help="Only entries of this project, or of everywhere.")
@property_options
@click.option("--dry-run", is_flag=True, help="Say how many would move, and move nothing.")
@common_options
def move(run: Invocation, to: str, old: str | None, dry_run: bool, **given: Any) -> None:
    """Move entries TO a project, or to everywhere: those with IDS, or all that pass the filters."""
    named = {"to": to, "from": old, "dry_run": dry_run or None}
    run.show("projects.move", _would_move if dry_run else _moved, **filters(given), **named)


def _moved(answer: Mapping[str, Any]) -> str:
    return f"{answer['moved']} of {answer['matched']} moved to {one_line(answer['to'])}."


def _would_move(answer: Mapping[str, Any]) -> str:
    return f"{answer['matched']} would move to {one_line(answer['to'])}."


COMMANDS = (projects,)
