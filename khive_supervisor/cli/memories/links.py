"""link, unlink, neighbors and path: how entries are linked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import click

from khive_supervisor.cli.connection.session import Invocation, common_options
from khive_supervisor.cli.options.numbers import WholeNumber
from khive_supervisor.cli.render.times import asked
from khive_supervisor.graph import lines


def _walks(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that every walk takes."""
    for option in (
        click.option("--kind", "kinds", multiple=True,
                     help="Only along links that are read so, such as needed_by; repeatable."),
        click.option("--as-of", help="As it was known and held then: ISO 8601, or 7d."),
        click.option("--scope", type=click.Choice(("project", "user", "all")),
                     help="Which projects to look in (project)."),
        click.option("--namespace", help="Only within it."),
        click.option("--depth", type=WholeNumber(1, 12), help="Links to the furthest."),
    ):  # fmt: skip
        function = option(function)
    return function


@click.command()
@click.argument("start")
@click.argument("kind")
@click.argument("end")
@click.option("--from", "valid_from", help="It holds from then: ISO 8601, or 7d.")
@click.option("--until", "valid_until", help="It holds until then.")
@common_options
def link(
    run: Invocation,
    start: str,
    kind: str,
    end: str,
    valid_from: str | None,
    valid_until: str | None,
) -> None:
    """Link the entry START with END, an entry or, if it is about that, a place in code."""
    times = {"valid_from": asked(valid_from), "valid_until": asked(valid_until)}
    run.show("graph.link", _linked, **{"from": start, "kind": kind, "to": end, **times})


@click.command()
@click.argument("start")
@click.argument("kind")
@click.argument("end")
@common_options
def unlink(run: Invocation, start: str, kind: str, end: str) -> None:
    """End the link of KIND from START to END; it is kept as something that was so once."""
    run.show("graph.unlink", _linked, **{"from": start, "kind": kind, "to": end})


def _linked(answer: Mapping[str, Any]) -> str:
    said = {"linked": "Linked", "unlinked": "Unlinked", "known": "Linked already"}
    words = f"{answer['from']} {answer['kind']} {answer['to']}"
    return f"{said[answer['status']]}: {words}."


@click.command()
@click.argument("entry")
@_walks
@click.option("--limit", "-n", type=WholeNumber(1, 500), help="How many at most (50).")
@click.option("--ended", is_flag=True, help="Also links that ended, or do not hold now.")
@common_options
def neighbors(run: Invocation, entry: str, **args: Any) -> None:
    """Show what ENTRY is linked with, the nearest first."""
    args["as_of"] = asked(args["as_of"])
    run.show("graph.neighbors", lines.neighbors, of=entry, **args)


@click.command("path")
@click.argument("start")
@click.argument("end")
@_walks
@common_options
def path_between(run: Invocation, start: str, end: str, **args: Any) -> None:
    """Show a shortest way along links from START to END."""
    args["as_of"] = asked(args["as_of"])
    run.show("graph.path", lines.path, **{"from": start, "to": end, **args})


COMMANDS = (link, unlink, neighbors, path_between)
