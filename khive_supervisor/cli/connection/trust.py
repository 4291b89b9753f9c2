"""What this directory's project says to a command is not taken: it is not the user's word."""

from __future__ import annotations

from dataclasses import dataclass, field

import click

from khive_supervisor.cli.render.output import note
from khive_supervisor.errors import InvalidInput
from khive_supervisor.host import paths, repository


@dataclass(slots=True)
class Distrusted:
    """What one command was not to take from its environment; the object of its context.

    Attributes:
        taken_out: (name, value) of what left the environment when the process began.
        told: what the user has been told of already.
    """

    taken_out: list[tuple[str, str]] = field(default_factory=list)
    told: set[tuple[str, str]] = field(default_factory=set)


def distrust() -> Distrusted:
    """Take what this directory's project says out of the environment, before anything reads it."""
    return Distrusted(paths.distrust(None, paths.working_directory()))


def ignored(config_file: str | None) -> list[tuple[str, str]]:
    """Return (name, value) of what the running command does not take, and tell the user once."""
    command = click.get_current_context().find_root().ensure_object(Distrusted)
    found = [*command.taken_out, *paths.distrust(config_file, paths.working_directory())]
    for name, value in found:
        if (name, value) not in command.told:
            command.told.add((name, value))
            note(f"{name} was not taken: {_why(name, value)}")
    return found


def _why(name: str, value: str) -> str:
    if name == repository.URL:
        return (
            "in a project's directory it may be the project that names the server. `store.url` in "
            "your own configuration counts everywhere, as the variable does outside of projects."
        )
    return f"{value} leads into the project of this directory."


def users_file(config_file: str | None) -> str:
    """Return the user's configuration, to be written: the one in force, or their own, to be made.

    Raises:
        InvalidInput: what was named lies in a project, whose files are no configuration.
    """
    found = paths.find_config(config_file, paths.working_directory())
    if config_file and found != repository.join(paths.working_directory(), config_file):
        raise InvalidInput(
            f"{config_file} lies in the project of this directory, so it is no configuration.",
            hint="Leave --config out to change your own, or name one outside of the project.",
        )
    return found or paths.config_home() + "/khive.toml"
