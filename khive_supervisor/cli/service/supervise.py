"""stop, status, logs: what the supervisor that runs is asked."""

from __future__ import annotations

import collections
import os
import signal
import sys
import time
from collections.abc import Iterator

import click

from khive_supervisor.cli.connection.finding import control, holder_of, reach, socket_of, status_of
from khive_supervisor.cli.connection.permission import not_confined
from khive_supervisor.cli.connection.session import Invocation, common_options, loaded
from khive_supervisor.cli.connection.waiting import LOOK_AGAIN, Wait
from khive_supervisor.cli.options.numbers import WholeNumber
from khive_supervisor.cli.render.log_text import log_text
from khive_supervisor.cli.render.output import exactly
from khive_supervisor.cli.render.status_text import status_text
from khive_supervisor.cli.render.terminal import json_text
from khive_supervisor.control.client import ControlClient, owner
from khive_supervisor.errors import NotFound, NotRunning, Unresponsive, VersionMismatch
from khive_supervisor.host.processes import alive, end_group, stopped, stopped_workers

#: Seconds that a stop may take.
STOP_DEADLINE = 30.0


@click.command()
@click.option("--sessions", is_flag=True, help="End the open sessions, too.")
@common_options
def stop(run: Invocation, sessions: bool) -> None:
    """Stop the supervisor. Open sessions go on by themselves, unless --sessions ends them."""
    pid = end_supervisor(run.config_file, sessions=sessions)
    if pid is None:
        run.emit({"stopped": False}, lambda _: "No supervisor is running.")
    else:
        run.emit({"stopped": True, "pid": pid}, lambda a: f"Stopped (pid {a['pid']}).")


def end_supervisor(config_file: str | None, *, sessions: bool = False) -> int | None:
    """Stop the supervisor and wait for its end; return its pid, or None where there was none.

    Raises:
        Unresponsive: it does not end.
    """
    try:
        pid = _ask_to_stop(config_file, sessions)["pid"]
    except NotRunning:
        _end_stopped(config_file)
        return None
    _wait_until_gone(pid)
    _end_stopped(config_file)
    return pid


def _end_stopped(config_file: str | None) -> None:
    """End workers that a signal has stopped: nobody is left who would see it, nor do they."""
    for pid in stopped_workers(socket_of(config_file)):
        end_group(pid)


def _ask_to_stop(config_file: str | None, sessions: bool) -> dict[str, int]:
    path = socket_of(config_file)
    try:
        with ControlClient(path) as client:
            return client.request("stop", {"sessions": sessions})
    except VersionMismatch:
        # It speaks another protocol; a signal means the same in all of them.
        if (pid := owner(path)) is None:
            raise
    except NotRunning:
        # Nobody at the socket, which may have been removed: the lock says who it is.
        if (holds := holder_of(config_file)) is None:
            raise
        if sessions or stopped(holds.pid):
            with reach(config_file, ControlClient) as client:
                return client.request("stop", {"sessions": sessions})
        pid = holds.pid
    os.kill(pid, signal.SIGTERM)
    return {"pid": pid}


def _wait_until_gone(pid: int) -> None:
    wait = Wait(STOP_DEADLINE)
    while alive(pid):
        if not wait.goes_on(f"Waiting for the supervisor (pid {pid}) to end."):
            raise Unresponsive(
                f"The supervisor (pid {pid}) is still stopping after {STOP_DEADLINE:g} s.",
                hint="`khive-supervisor logs` says what it waits for; "
                f"`kill -9 {pid}` ends one that hangs.",
            )


@click.command()
@common_options
def status(run: Invocation) -> None:
    """Show the supervisor, its processes, the index and the open sessions."""
    with control(run.config_file) as client:
        run.emit(status_of(client), status_text)


@click.command()
@click.option("--follow", "-f", is_flag=True, help="Go on as lines arrive.")
@click.option(
    "--lines",
    "-n",
    type=WholeNumber(0),
    default=50,
    show_default=True,
    help="How many of the last lines.",
)
@common_options
def logs(run: Invocation, follow: bool, lines: int) -> None:
    """Show the log of the supervisor and all its processes."""
    not_confined(run.config_file, "logs")
    path = loaded(run.config_file).config.log.file
    if not os.path.exists(path):
        raise NotFound(f"There is no log at {path}.", hint="It begins with the first start.")
    for line in _tail(path, lines, follow):
        exactly(json_text(line) if run.as_json else log_text(line))


def _tail(path: str, count: int, follow: bool) -> Iterator[str]:
    """The last lines of a file, then new ones; survives rotation."""
    file = open(path, encoding="utf-8", errors="replace")  # noqa: SIM115 - replaced on rotation
    try:
        yield from [line.rstrip("\n") for line in collections.deque(file, min(count, sys.maxsize))]
        while follow:
            line = file.readline()
            if line:
                yield line.rstrip("\n")
                continue
            if os.fstat(file.fileno()).st_ino != _inode(path):
                file.close()
                file = open(path, encoding="utf-8", errors="replace")  # noqa: SIM115 - as above
            time.sleep(LOOK_AGAIN)
    finally:
        file.close()


def _inode(path: str) -> int:
    try:
        return os.stat(path).st_ino
    except FileNotFoundError:
        return -1


COMMANDS = (stop, status, logs)
