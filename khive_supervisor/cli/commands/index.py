"""index status, build, verify."""

from __future__ import annotations

import click

from khive_supervisor import exitcodes
from khive_supervisor.cli.connection.session import ask, config_option
from khive_supervisor.cli.render.answers import Shown
from khive_supervisor.cli.render.output import as_json_option, emit


@click.group()
def index() -> None:
    """The vector index: its state, a new generation, its checksum."""


def _lines(data: Shown) -> str:
    return "\n".join(f"{key.replace('_', ' ')}: {value}" for key, value in data.items())


@index.command("status")
@config_option
@as_json_option
def status(config_file: str | None, as_json: bool) -> None:
    """Show the generation in force and what is newer."""
    emit(ask(config_file, "index.status"), as_json, _lines)


@index.command("build")
@config_option
@as_json_option
def build(config_file: str | None, as_json: bool) -> None:
    """Build a new generation now, in the background."""
    answer = ask(config_file, "index.build")
    started = "Building; `khive-supervisor status` follows it."
    emit(answer, as_json, lambda a: started if a["running"] else "Not started.")


@index.command("verify")
@config_option
@as_json_option
def verify(config_file: str | None, as_json: bool) -> None:
    """Compare the current generation's file with its checksum."""
    answer = ask(config_file, "index.verify")
    emit(answer, as_json, _lines)
    if not answer["ok"]:
        raise SystemExit(exitcodes.UNHEALTHY)


COMMANDS = (index,)
