"""The command line: one group; each module adds its commands."""

from __future__ import annotations

import sys

import click

from khive_supervisor import __version__, exitcodes
from khive_supervisor.cli import (
    backup,
    index,
    learn,
    memory,
    reload,
    settings,
    supervise,
    tasks,
    verbs,
)
from khive_supervisor.cli.connect import connect
from khive_supervisor.cli.doctor import doctor
from khive_supervisor.cli.output import fail
from khive_supervisor.cli.session import config_option
from khive_supervisor.errors import KhiveError


@click.group(
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


@cli.command()
@config_option
def attach(config_file: str | None) -> None:  # noqa: ARG001 - declared for the help
    """Serve one MCP session on stdin and stdout (MCP clients run this).

    Starts a supervisor if none runs. KHIVE_NO_DAEMON=1 serves the session without one.
    """
    raise AssertionError("entry.main runs attach before this module is imported")


for command in (
    *supervise.COMMANDS,
    *reload.COMMANDS,
    *memory.COMMANDS,
    *learn.COMMANDS,
    *tasks.COMMANDS,
    *index.COMMANDS,
    *backup.COMMANDS,
    *verbs.COMMANDS,
    *settings.COMMANDS,
    connect,
    doctor,
):
    cli.add_command(command)


def main() -> None:
    """Run the command line; errors become messages and exit codes, never tracebacks."""
    try:
        # Named so that completion works however the command was started.
        cli.main(prog_name="khive-supervisor")
    except KhiveError as error:
        fail(error, as_json="--json" in sys.argv)
    except KeyboardInterrupt:
        sys.exit(exitcodes.FAILURE)
