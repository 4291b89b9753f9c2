"""config show: what is in force, and where each value comes from."""

from __future__ import annotations

import click

from khive_supervisor.cli.connection.session import config_option, loaded
from khive_supervisor.cli.render.output import as_json_option, emit
from khive_supervisor.config.show import as_toml, loaded_as_dict


@click.group()
def config() -> None:
    """The configuration: what is in force."""


@config.command("show")
@config_option
@as_json_option
def show(config_file: str | None, as_json: bool) -> None:
    """Show every setting with its value, and where that comes from."""
    found = loaded(config_file)
    text = as_toml(found.config, found.origins).rstrip()
    head = f"# file: {found.file or 'none; these are the defaults'}"
    emit(loaded_as_dict(found), as_json, lambda _: f"{head}\n\n{text}", exact=True)


COMMANDS = (config,)
