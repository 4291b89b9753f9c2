"""What entries are chosen by on a command line: for searches, lists, and changes to many."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import click

from khive_supervisor.cli.options.numbers import Number, WholeNumber
from khive_supervisor.cli.render.times import asked

Command = Callable[..., Any]
_COLLECTIONS = ("memory", "knowledge", "all")
_HOW = ("said", "captured", "learned", "imported")
_STATES = ("live", "forgotten", "superseded", "pinned", "all")


def property_options(function: Command) -> Command:
    """What an entry has of its own: what is done to many at once can be told by it."""
    for option in (
        click.option("--source", help="Only entries whose source begins so."),
        click.option("--role", help="Only what workers of this role have stored."),
        click.option("--from-task", help="Only what was stored in this task, such as t3."),
        click.option("--session", help="Only what this session has stored."),
        click.option("--how", type=click.Choice(_HOW), help="Only what came so."),
        click.option("--client", help="Only what was stored by this client."),
        click.option("--actor", help="Only what this actor has stored."),
        click.option(
            "--by",
            type=click.Choice(("person", "agent", "tool")),
            help="Only what a person, an agent or a tool has stored.",
        ),
        click.option("--namespace", help="Where to search; the configured one by default."),
        click.option("--kind", help="Only entries of this kind."),
        click.option("--tag", "tags", multiple=True, help="Only with this tag; repeatable."),
        click.option("--until", help="Only entries made before then (same forms)."),
        click.option(
            "--since", help="Only entries made since then (7d, 12h, today, a local time)."
        ),
    ):
        function = option(function)
    return function


def filter_options(function: Command) -> Command:
    """What entries are chosen by: their properties, and in which projects is looked."""
    project = click.option(
        "--project", help="Only of this project, or everywhere: for every project."
    )
    scope = click.option(
        "--scope",
        type=click.Choice(("project", "user", "all")),
        help="This project and what is for every one (default), only the latter, or all.",
    )
    return project(scope(property_options(function)))


#: How many are shown of what was found or listed.
limit_option = click.option(
    "--limit", "-n", type=WholeNumber(1, 100), help="How many results (10)."
)


def in_option(default: str) -> Callable[[Command], Command]:
    """Return the option for the collection that is looked among, by default `default`."""
    return click.option(
        "--in", "where", type=click.Choice(_COLLECTIONS), help=f"What to look among ({default})."
    )


def state_option(default: str) -> Callable[[Command], Command]:
    """Return the option for the state of what is chosen, by default `default`."""
    return click.option("--state", type=click.Choice(_STATES), help=f"Of which state ({default}).")


def search_options(function: Command) -> Command:
    """The filters of a search, and how much of what it finds is shown."""
    pinned = click.option("--pinned", is_flag=True, default=None, help="Only pinned ones.")
    floor = click.option("--floor", type=Number(), help="How well a result must fit, 0 to 1.")
    return floor(limit_option(pinned(filter_options(function))))


def filters(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the filters of a command line as a verb takes them; times as people write them."""
    taken = dict(given)
    if "where" in taken:
        taken["in"] = taken.pop("where")
    return taken | {name: asked(given[name]) for name in ("since", "until")}
