"""`top`: what runs now, in a terminal."""

from __future__ import annotations

import os
import sys

import click

from khive_supervisor.cli.connection.permission import not_confined
from khive_supervisor.cli.connection.session import Invocation, common_options, loaded
from khive_supervisor.cli.render.output import emit, exactly
from khive_supervisor.cli.top.frame import TopScreen, whole
from khive_supervisor.cli.top.screen import size
from khive_supervisor.cli.top.source import OverviewSource
from khive_supervisor.overview.asked import Page

#: Columns of what is printed once into a pipe.
WIDE = 160


@click.command()
@click.option("--once", is_flag=True, help="Print what runs now, once, and end.")
@click.option(
    "--every",
    type=click.FloatRange(0.1, 60.0),
    default=1.0,
    show_default=True,
    help="Seconds between two looks.",
)
@common_options
def top(run: Invocation, once: bool, every: float) -> None:
    """Watch what runs now: sessions, roles, tasks and processes; ? shows the keys.

    Looks into a session or task, follows the log, drains and resumes roles, cancels tasks. It
    starts no supervisor, and waits for one that went. A pipe, and --json, get one look.
    """
    not_confined(run.config_file, "top")
    if once or run.as_json or not _screen():
        _once(run)
        return
    from khive_supervisor.cli.top.live import LiveTop

    LiveTop(run.config_file, loaded(run.config_file).config.log.file, every).run()


def _screen() -> bool:
    """Return True if there is a terminal that can be drawn on."""
    return sys.stdin.isatty() and sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


def _once(run: Invocation) -> None:
    source = OverviewSource(run.config_file)
    try:
        page = source.page()
    finally:
        source.close()
    if run.as_json:
        emit(page, True, str)
        return
    exactly(_printed(page, size()[0] if sys.stdout.isatty() else WIDE))


def _printed(page: Page, width: int) -> str:
    lines = whole(TopScreen(page=page), width)
    return "\n".join("".join(span.text for span in line).rstrip() for line in lines)


COMMANDS = (top,)
