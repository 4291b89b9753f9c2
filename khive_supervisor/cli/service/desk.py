"""open: the page, in a browser or as a link."""

from __future__ import annotations

import html
import os
import webbrowser
from pathlib import Path

import click

from khive_supervisor.cli.connection.finding import control, socket_of
from khive_supervisor.cli.connection.session import Invocation, common_options
from khive_supervisor.cli.connection.starting import start_in_background
from khive_supervisor.cli.render.answers import Shown
from khive_supervisor.control.client import ControlClient
from khive_supervisor.errors import NotRunning
from khive_supervisor.host import durable
from khive_supervisor.host.paths import login_page


@click.command("open")
@click.option("--print", "only_print", is_flag=True, help="Print the link, and open nothing.")
@common_options
def open_page(run: Invocation, only_print: bool) -> None:
    """Open the page: what runs, what waits for you, and what is known.

    The link lets one browser in, once, within a minute. HTTP is served for it on a free port of
    this machine alone, unless it is served already.
    """
    with _supervisor(run.config_file) as client:
        answer = client.request("desk.open")
    if only_print or run.as_json:
        run.emit(answer, lambda found: str(found["link"]), exact=True)
    elif _browse(str(answer["link"]), login_page(socket_of(run.config_file))):
        run.emit(answer, _opened)
    else:
        run.emit(answer, _by_hand)


def _supervisor(config_file: str | None) -> ControlClient:
    """Return a conversation with the supervisor, which is started if there is none."""
    try:
        return control(config_file)
    except NotRunning:
        start_in_background(config_file)
        return control(config_file)


def _browse(link: str, file: str) -> bool:
    """Have a browser follow a link that no list of processes shows; return False without one.

    The browser is given a file that is ours alone, and leads it on.
    """
    target = html.escape(link, quote=True)
    text = (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>khive</title>'
        f'<meta http-equiv="refresh" content="0; url={target}">'
        f'<p><a href="{target}">Go on to the page</a></p></html>\n'
    )
    durable.write_private(file, text.encode())
    try:
        return webbrowser.open(Path(os.path.realpath(file)).as_uri())
    except webbrowser.Error:
        return False


def _opened(answer: Shown) -> str:
    return f"The page is at {answer['url']}; your browser has been asked to open it."


def _by_hand(answer: Shown) -> str:
    return (
        "No browser was found. This link lets one in, once, within "
        f"{answer['expires_seconds']:g} seconds:\n{answer['link']}"
    )


COMMANDS = (open_page,)
