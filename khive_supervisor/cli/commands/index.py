"""index status, build, verify."""

from __future__ import annotations

import click

from khive_supervisor import exitcodes
from khive_supervisor.cli.connection.session import Invocation, common_options
from khive_supervisor.cli.render.answers import Shown


@click.group()
def index() -> None:
    """The vector index: its state, a new generation, its checksum."""


def _lines(data: Shown) -> str:
    return "\n".join(f"{key.replace('_', ' ')}: {value}" for key, value in data.items())


@index.command("status")
@common_options
def status(run: Invocation) -> None:
    """Show the generation in force and what is newer."""
    run.show("index.status", _lines)


@index.command("build")
@common_options
def build(run: Invocation) -> None:
    """Build a new generation now, in the background."""
    answer = run.ask("index.build")
    started = "Building; `khive-supervisor status` follows it."
    run.emit(answer, lambda a: started if a["running"] else "Not started.")


@index.command("verify")
@common_options
def verify(run: Invocation) -> None:
    """Compare the current generation's file with its checksum."""
    answer = run.ask("index.verify")
    run.emit(answer, _lines)
    if not answer["ok"]:
        raise SystemExit(exitcodes.UNHEALTHY)


COMMANDS = (index,)
