"""config show, config schema: what is in force, and what can be."""

from __future__ import annotations

import click

from khive_supervisor.cli.connection.session import Invocation, common_options, loaded
from khive_supervisor.cli.render.output import as_json_text, exactly
from khive_supervisor.config.show import as_toml, loaded_as_dict


@click.group()
def config() -> None:
    """The configuration: what is in force, and what it can be."""


@config.command("show")
@common_options
def show(run: Invocation) -> None:
    """Show every setting with its value, and where that comes from."""
    found = loaded(run.config_file)
    text = as_toml(found.config, found.origins).rstrip()
    head = f"# file: {found.file or 'none; these are the defaults'}"
    run.emit(loaded_as_dict(found), lambda _: f"{head}\n\n{text}", exact=True)


@config.command("schema")
def schema() -> None:
    """Print the configuration's JSON Schema (draft 2020-12), for editors and checkers."""
    from khive_supervisor.catalogue.config_schema import config_schema  # no other command needs it

    exactly(as_json_text(config_schema(), indent=2))


COMMANDS = (config,)
