"""The part of the catalogue that is the command line: commands, their arguments and options."""

from __future__ import annotations

import inspect

import click

from khive_supervisor.cli.reference import commands, value_of
from khive_supervisor.text.plain_json import JsonObject


def listed(group: click.Group) -> JsonObject:
    """Return all commands of a group by their whole names, groups with theirs."""
    return {path: _command(command) for path, command in commands(group)}


def _command(command: click.Command) -> JsonObject:
    options = [one for one in command.params if isinstance(one, click.Option) and not one.hidden]
    return {
        "summary": inspect.cleandoc(command.help or "").partition("\n")[0],
        "arguments": [
            one.make_metavar(click.Context(command))
            for one in command.params
            if isinstance(one, click.Argument)
        ],
        "options": {name: _option(one) for one in options for name in _names(one)},
    }


def _names(option: click.Option) -> list[str]:
    return [*option.opts, *option.secondary_opts]


def _option(option: click.Option) -> JsonObject:
    shown: JsonObject = {"value": value_of(option).replace("`", ""), "meaning": option.help or ""}
    return shown | ({"required": True} if option.required else {})
