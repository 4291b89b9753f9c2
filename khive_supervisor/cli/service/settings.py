"""config show, config schema: what is in force, and what can be."""

from __future__ import annotations

import datetime as dt

import click

from khive_supervisor.cli.connection.session import Invocation, common_options, loaded
from khive_supervisor.cli.render.output import as_json_text, exactly
from khive_supervisor.config.settings.model import Config
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
    head = f"# file: {found.file or 'none; these are the defaults'}" + _prices(found.config)
    run.emit(loaded_as_dict(found), lambda _: f"{head}\n\n{text}", exact=True)


def _prices(config: Config) -> str:
    """Return how old the oldest prices are, as a line of comment; empty without any."""
    if not config.prices:
        return ""
    today = dt.datetime.now(dt.UTC).astimezone().date()
    oldest = max(config.prices, key=lambda price: price.age(today))
    return (
        f"\n# prices: the oldest are {oldest.age(today)} days old ({oldest.model}, {oldest.as_of})"
    )


@config.command("schema")
def schema() -> None:
    """Print the configuration's JSON Schema (draft 2020-12), for editors and checkers."""
    from khive_supervisor.catalogue.config_schema import config_schema  # no other command needs it

    exactly(as_json_text(config_schema(), indent=2))


COMMANDS = (config,)
