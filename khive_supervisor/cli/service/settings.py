"""config show: what is in force, and where each value comes from."""

from __future__ import annotations

import click

from khive_supervisor.cli.connection.session import Invocation, common_options, loaded
from khive_supervisor.config.show import as_toml, loaded_as_dict


@click.group()
def config() -> None:
    """The configuration: what is in force."""


@config.command("show")
@common_options
def show(run: Invocation) -> None:
    """Show every setting with its value, and where that comes from."""
    found = loaded(run.config_file)
    text = as_toml(found.config, found.origins).rstrip()
    head = f"# file: {found.file or 'none; these are the defaults'}"
    run.emit(loaded_as_dict(found), lambda _: f"{head}\n\n{text}", exact=True)


COMMANDS = (config,)
