"""start: be the supervisor, or start one; and attach, which entry.py runs without this."""

from __future__ import annotations

import asyncio
from typing import Any

import click

from khive_supervisor.cli.connection.session import (
    Invocation,
    common_options,
    config_option,
    loaded,
)
from khive_supervisor.cli.connection.starting import (
    Announcement,
    Start,
    check_same,
    place_to_listen,
    refuse_if_served,
    serve_or_find,
    start_or_find,
    tell_end,
)
from khive_supervisor.cli.render.output import emit, note
from khive_supervisor.cli.render.status_text import ready_text
from khive_supervisor.errors import KhiveError
from khive_supervisor.supervision.upgrade.inherited import Inherited, StartOptions


@click.command()
@click.option("--background", is_flag=True, help="Return as soon as it is ready.")
@click.option("--quiet", is_flag=True, help="Print nothing when all is well.")
@click.option("--http", is_flag=True, help="Serve HTTP, too, whatever http.enabled says.")
@click.option("--take-over", hidden=True, help="What a supervisor has kept that was replaced.")
@click.option("--deliberate", is_flag=True, hidden=True, help="Another environment's store, too.")
@click.option("--ready-fd", type=int, hidden=True, help="Say there how far it is.")
@click.option("--tell-fd", type=int, hidden=True, help="Be it, and say there where it listens.")
@click.option("--lifeline-fd", type=int, hidden=True, help="End with this pipe.")
@click.option("--whichever", is_flag=True, hidden=True, help="Another configuration's will do.")
@common_options
def start(
    run: Invocation,
    background: bool,
    quiet: bool,
    http: bool,
    take_over: str | None,
    deliberate: bool,
    ready_fd: int | None,
    tell_fd: int | None,
    lifeline_fd: int | None,
    whichever: bool,
) -> None:
    """Start the supervisor; in the foreground this process is it, and takes the signals."""
    try:
        configuration = loaded(run.config_file)
        inherited = Inherited.parse(take_over) if take_over is not None else None
        path = (
            inherited.socket
            if inherited is not None
            else place_to_listen(configuration.file, configuration.config.store.path)
        )
    except KhiveError as error:
        tell_end(tell_fd, error)
        raise
    wanted = Start(configuration, run.config_file, path, http, deliberate)
    who = StartOptions(configuration, path, http, inherited, deliberate)
    if tell_fd is not None:
        serve_or_find(
            wanted, tell_fd, lambda starter: _run(who, starter, quiet=True, as_json=False)
        )
        return
    if not background:
        if not inherited:
            refuse_if_served(path, configuration.config.store.path)
        starter = Announcement(ready_fd) if ready_fd is not None else None
        _run(who, starter, quiet=quiet, as_json=run.as_json)
        return
    status, ran_before = start_or_find(wanted, lifeline_fd)
    if ran_before and not whichever:
        check_same(status, wanted)
        if not quiet:
            note("A supervisor is running already.")
    if not quiet:
        run.emit(status, ready_text)


def _run(who: StartOptions, starter: Announcement | None, *, quiet: bool, as_json: bool) -> None:
    """Be the supervisor, until it ends or becomes another release."""
    from khive_supervisor.supervision.app import Supervisor
    from khive_supervisor.supervision.upgrade.handover import become

    def announce(status: Any) -> None:
        if not quiet:
            emit(status, as_json, ready_text)

    def nothing() -> None:
        """Nobody waits for a supervisor in the foreground."""

    if starter is not None:
        starter.check()

    async def run() -> Supervisor:
        supervisor = Supervisor(who)
        if starter is None:
            await supervisor.run(announce, nothing)
        else:
            await supervisor.run(starter.ready, starter.listening)
        return supervisor

    supervisor = asyncio.run(run())
    if supervisor.successor is not None:
        kept = supervisor.kept()
        become(supervisor.successor, kept, who.loaded.file, http=who.http)


@click.command()
@config_option
def attach(config_file: str | None) -> None:  # noqa: ARG001 - declared for the help
    """Serve one MCP session on stdin and stdout (MCP clients run this).

    Starts a supervisor if none runs. KHIVE_NO_DAEMON=1 serves the session without one.
    """
    raise AssertionError("entry.main runs attach before this module is imported")


@click.command("hook")
@click.argument("name", metavar="NAME")
@click.option("--client", default="claude-code", show_default=True, help="Whose hook it is.")
def run_hook(name: str, client: str) -> None:  # noqa: ARG001 - declared for the help
    """Take a hook's event on stdin, and print what its client wants (clients run this).

    NAME is session-start, user-prompt-submit, post-tool-use, post-tool-use-failure, pre-compact,
    stop or session-end. It never fails and never takes long; `connect --hooks` sets it up.
    """
    raise AssertionError("entry.main runs hook before this module is imported")


COMMANDS = (start, attach, run_hook)
