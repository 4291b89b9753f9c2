"""The command line: one group, whose commands are loaded when they are run."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from khive_supervisor import __version__, exitcodes
from khive_supervisor.cli.command_table import CommandTable
from khive_supervisor.cli.connection.trust import distrust
from khive_supervisor.cli.render.output import fail
from khive_supervisor.cli.render.terminal import guard
from khive_supervisor.errors import BootFailure, KhiveError
from khive_supervisor.host import paths


@click.group(
    cls=CommandTable,
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
        distrusted = distrust()
        # Named so that completion works however the command was started.
        cli.main(prog_name="khive-supervisor", obj=distrusted)
    except KhiveError as error:
        fail(error, as_json="--json" in sys.argv)
    except KeyboardInterrupt:
        sys.exit(exitcodes.FAILURE)
