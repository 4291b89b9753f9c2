"""The command line: one group; each module adds its commands."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import click

from khive_supervisor import __version__, exitcodes
from khive_supervisor.cli import verbs
from khive_supervisor.cli.clients.connect import connect
from khive_supervisor.cli.commands import (
    audit,
    backup,
    budget,
    capabilities,
    index,
    learn,
    memory,
    profiles,
    tasks,
    worktrees,
)
from khive_supervisor.cli.connection.session import config_option, distrust
from khive_supervisor.cli.doctor.doctor import doctor
from khive_supervisor.cli.render.output import fail
from khive_supervisor.cli.render.terminal import guard
from khive_supervisor.cli.service import http, reload, settings, supervise, upgrade
from khive_supervisor.errors import BootFailure, KhiveError
from khive_supervisor.host import paths


def _summary(command: click.Command) -> str:
    """The first sentence of a command's help, whole: the formatter wraps it."""
    return command.get_short_help_str(limit=1000)


class Sections(click.Group):
    """A group whose help lists its commands under headings."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._sections: dict[str, list[str]] = {}

    def add_section(self, title: str, commands: Sequence[click.Command]) -> None:
        """Add commands under a heading."""
        for command in commands:
            self.add_command(command)
            assert command.name is not None
            self._sections.setdefault(title, []).append(command.name)

    def format_commands(
        self,
        ctx: click.Context,  # noqa: ARG002 - click calls it so
        formatter: click.HelpFormatter,
    ) -> None:
        """See click; each section has its own heading, and one width is for all."""
        width = max(map(len, self.commands))
        for title, names in self._sections.items():
            with formatter.section(title):
                formatter.write_dl([(n.ljust(width), _summary(self.commands[n])) for n in names])


@click.group(
    cls=Sections,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Start with:  khive-supervisor start --background,  then  khive-supervisor connect "
    "CLIENT.  `khive-supervisor doctor` finds what is wrong.",
)
@click.version_option(__version__, prog_name="khive-supervisor")
def cli() -> None:
    """One durable memory, shared at once by all your coding-agent sessions.

    The supervisor owns the store, the index and every process; each MCP client attaches to it in
    milliseconds.
    """


@click.command()
@config_option
def attach(config_file: str | None) -> None:  # noqa: ARG001 - declared for the help
    """Serve one MCP session on stdin and stdout (MCP clients run this).

    Starts a supervisor if none runs. KHIVE_NO_DAEMON=1 serves the session without one.
    """
    raise AssertionError("entry.main runs attach before this module is imported")


cli.add_section("Supervisor", (*supervise.COMMANDS, *upgrade.COMMANDS, doctor, *settings.COMMANDS))
cli.add_section("Clients", (connect, attach, *http.COMMANDS))
cli.add_section("Memories and documents", (*memory.COMMANDS, *learn.COMMANDS))
cli.add_section(
    "Roles and their tasks",
    (
        *tasks.COMMANDS,
        *budget.COMMANDS,
        *worktrees.COMMANDS,
        *reload.COMMANDS,
        *capabilities.COMMANDS,
    ),
)
cli.add_section("Profiles, which learn what to rank first", profiles.COMMANDS)
cli.add_section(
    "Store, index and all the rest",
    (*backup.COMMANDS, *audit.COMMANDS, *index.COMMANDS, *verbs.COMMANDS),
)


def _check_home(words: Sequence[str]) -> None:
    """Refuse to be root in another user's home; help is for everybody, and doctor tells of it."""
    if words and words[0] != "doctor" and not {"--help", "-h", "--version"} & set(words):
        foreign = paths.foreign_home()
        if foreign is not None:
            why, _, hint = foreign.partition(" Use ")
            raise BootFailure(why, hint=f"Use {hint}")


def main() -> None:
    """Run the command line; errors become messages and exit codes, never tracebacks."""
    guard()
    try:
        _check_home(sys.argv[1:])
        distrust()
        # Named so that completion works however the command was started.
        cli.main(prog_name="khive-supervisor")
    except KhiveError as error:
        fail(error, as_json="--json" in sys.argv)
    except KeyboardInterrupt:
        sys.exit(exitcodes.FAILURE)
