"""channels list, test, log, retry: who is told what happens, and what became of it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import click

from khive_supervisor import exitcodes
from khive_supervisor.cli.connection.session import Invocation, common_options
from khive_supervisor.cli.render.output import counted, table
from khive_supervisor.cli.render.terminal import one_line
from khive_supervisor.cli.render.times import shown
from khive_supervisor.store.channels.deliveries import STATES

Answer = Mapping[str, Any]


@click.group()
def channels() -> None:
    """Who is told what happens: [[channels]] of the configuration, and what was sent."""


@channels.command("list")
@common_options
def list_channels(run: Invocation) -> None:
    """List the channels: how each is reached, and what waits, was sent, or was given up."""
    run.show("channels.list", _listed)


def _listed(answer: Answer) -> str:
    if not answer["channels"]:
        return "No channels are configured. docs/channels.md shows how: [[channels]]."
    rows = [
        (
            one["name"],
            one["kind"],
            one["waiting"] + one["gathering"],
            one["sent"],
            one["dead"],
            one_line(one["problem"]),
        )
        for one in answer["channels"]
    ]
    return table(("name", "kind", "waiting", "sent", "given up", "problem"), rows)


@channels.command("test")
@click.argument("name")
@common_options
def test_channel(run: Invocation, name: str) -> None:
    """Send a test message to the channel NAME, and say what became of it.

    Exit code 0 if it was delivered, 1 if not.
    """
    answer = run.ask("channels.test", channel=name)
    run.emit(answer, _tested)
    sys.exit(exitcodes.OK if answer["state"] == "sent" else exitcodes.FAILURE)


def _tested(answer: Answer) -> str:
    name = one_line(answer["channel"])
    if answer["state"] == "sent":
        return f"{name} has it, at attempt {answer['attempts']}."
    error = one_line(answer["error"])
    if answer["state"] == "dead":
        return f"{name} does not get it: {error}."
    return f"{name} has not got it yet: {error}. It is tried again; `channels log {name}` says how."


@channels.command("log")
@click.argument("name", required=False)
@click.option("--state", type=click.Choice(STATES), help="Only messages of this state.")
@click.option("--limit", type=click.IntRange(1, 500), help="How many at most (20).")
@common_options
def log(run: Invocation, name: str | None, state: str | None, limit: int | None) -> None:
    """Show messages, newest first: to NAME, or to all channels."""
    run.show("channels.log", _logged, channel=name, state=state, limit=limit)


def _logged(answer: Answer) -> str:
    if not answer["messages"]:
        return "Nothing."
    rows = [
        (
            shown(one["made_at"]),
            one["channel"],
            one["state"],
            one["attempts"],
            one_line(one["title"]),
            one_line(one["error"]),
        )
        for one in answer["messages"]
    ]
    return table(("at", "channel", "state", "attempts", "title", "error"), rows)


@channels.command("retry")
@click.argument("name")
@common_options
def retry(run: Invocation, name: str) -> None:
    """Send what the channel NAME has given up, or waits to try again, now."""
    run.show("channels.retry", _again, channel=name)


def _again(answer: Answer) -> str:
    return f"{counted(answer['again'], 'message')} will be sent to {one_line(answer['channel'])}."


COMMANDS = (channels,)
