"""What entries are chosen by: the same words at each command, and at each verb behind them."""

from __future__ import annotations

from collections.abc import Iterator

import click
import pytest

from khive_supervisor.cli.main import cli
from khive_supervisor.packs import loading

REGISTRY = loading.load()
#: Of each search, and of each command that lists or changes what a filter lets through.
PROPERTIES = frozenset(
    (
        "--namespace",
        "--kind",
        "--tag",
        "--since",
        "--until",
        "--by",
        "--actor",
        "--client",
        "--source",
    )
)
SEARCHED = PROPERTIES | {"--scope", "--project"}
FILTERING = ("list", "tags", "export", "prune", "forget", "purge")
SEARCHING = ("recall", "search", "suggest")


def options(command: click.Command) -> set[str]:
    return {name for one in command.params for name in one.opts}


def commands(group: click.Group, path: str = "") -> Iterator[tuple[str, click.Command]]:
    for name in group.list_commands(click.Context(group)):
        command = group.get_command(click.Context(group), name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from commands(command, f"{path}{name} ")
        else:
            yield path + name, command


ALL = dict(commands(cli))


@pytest.mark.parametrize("name", [*SEARCHING, *FILTERING])
def test_each_command_takes_every_filter(name: str) -> None:
    assert SEARCHED | ({"--pinned"} if name in SEARCHING else set()) <= options(ALL[name])


def test_no_other_command_has_a_part_of_them() -> None:
    partly = {name for name, command in ALL.items() if {"--tag", "--since"} <= options(command)}
    assert partly == {*SEARCHING, *FILTERING, "projects move"}
    assert PROPERTIES | {"--from"} <= options(ALL["projects move"])


@pytest.mark.parametrize(
    "name", ["forget", "purge", "prune", "tidy", "undo", "import", "projects move"]
)
def test_what_changes_many_at_once_can_be_looked_at_before(name: str) -> None:
    assert "--dry-run" in options(ALL[name])


def test_verbs_with_a_filter_take_all_of_it() -> None:
    filters = {"namespace", "kind", "tags", "since", "until", "scope", "source"}
    more = {"project", "by", "actor", "client"}
    wanting = {
        verb.name: sorted(more - set(verb.properties))
        for verb in REGISTRY
        if filters <= set(verb.properties) and not more <= set(verb.properties)
    }
    assert wanting == {}
