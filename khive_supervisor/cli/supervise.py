"""start, stop, status, logs: the life of the supervisor."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import click

from khive_supervisor import exitcodes
from khive_supervisor.cli.output import as_json_option, counted, emit, note, style, table
from khive_supervisor.cli.role_text import roles_text
from khive_supervisor.cli.session import config_option, control, loaded, socket_of
from khive_supervisor.client import ControlClient, owner
from khive_supervisor.errors import (
    KhiveError,
    NotFound,
    NotRunning,
    ProtocolError,
    VersionMismatch,
)
from khive_supervisor.processes import alive

#: Seconds that a background start may take until it is ready.
START_DEADLINE = 60.0
#: How often one is started that is killed before it answers.
START_ATTEMPTS = 3
#: Seconds that another start gets to listen, before it is looked whether it still has the lock.
WINNER_PATIENCE = 2.0
#: Seconds that a stop may take.
STOP_DEADLINE = 30.0
#: Seconds between looks at a file or socket that gives no event.
LOOK_AGAIN = 0.1


@click.command()
@click.option("--background", is_flag=True, help="Return as soon as it is ready.")
@click.option("--quiet", is_flag=True, help="Print nothing when all is well.")
@click.option("--http", is_flag=True, help="Serve HTTP, too, whatever http.enabled says.")
@click.option("--ready-fd", type=int, hidden=True, help="Write a line there when ready.")
@config_option
@as_json_option
def start(
    background: bool,
    quiet: bool,
    http: bool,
    ready_fd: int | None,
    config_file: str | None,
    as_json: bool,
) -> None:
    """Start the supervisor; in the foreground this process is it, and takes the signals."""
    configuration = loaded(config_file)
    path = socket_of(config_file)
    if background:
        _start_in_background(config_file, path, quiet, as_json, http=http)
        return
    from khive_supervisor.supervision.app import Supervisor

    def announce(status: dict[str, Any]) -> None:
        if ready_fd is not None:
            _let_go_of_starter(ready_fd)
        elif not quiet:
            emit(status, as_json, _ready_text)

    async def run() -> None:
        await Supervisor(configuration, path, http=http).run(announce)

    asyncio.run(run())


def _start_in_background(
    config_file: str | None, path: str, quiet: bool, as_json: bool, *, http: bool
) -> None:
    status = _status_or_none(path)
    if status is not None and not quiet:
        note("A supervisor is running already.")
    attempts = 0
    deadline = time.monotonic() + START_DEADLINE
    while status is None:
        # One that was killed while it started, or just after, is no reason to give up at once.
        if attempts == START_ATTEMPTS or time.monotonic() > deadline:
            raise NotRunning(
                f"A supervisor was started, but nobody answers at {path}.",
                hint="`khive-supervisor logs` says why; `khive-supervisor doctor` looks for it.",
            )
        attempts += _launch(config_file, path, http=http)
        status = _status_or_none(path)
    if not quiet:
        emit(status, as_json, _ready_text)


def _launch(config_file: str | None, path: str, *, http: bool) -> bool:
    """Start one in a session of its own and wait for its announcement, or its end.

    SIGHUP is blocked in it from the first instant, as it is here: see entry.main.
    Returns whether it was the one; otherwise another start was before it.
    """
    ours, theirs = os.pipe()
    argv = [sys.executable, "-P", "-m", "khive_supervisor", "start", "--ready-fd", str(theirs)]
    argv += ["--config", os.path.abspath(config_file)] if config_file else []
    argv += ["--http"] if http else []
    child = subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
        pass_fds=[theirs],
        # A service manager that listens to whoever runs this does not mean the supervisor.
        env={name: value for name, value in os.environ.items() if name != "NOTIFY_SOCKET"},
    )
    os.close(theirs)
    with os.fdopen(ours, "rb") as ready:
        if ready.read(1):
            assert child.stderr is not None
            child.stderr.close()
            return True
    _, complaint = child.communicate()
    if child.returncode == exitcodes.ALREADY_RUNNING:
        _wait_for_winner(path)
        return False
    if child.returncode < 0:
        return True
    sys.stderr.write(complaint.decode("utf-8", "replace"))
    if child.returncode == exitcodes.OK:
        raise NotRunning("The supervisor was stopped before it was ready.")
    raise SystemExit(child.returncode or exitcodes.FAILURE)


def _let_go_of_starter(ready_fd: int) -> None:
    """Tell who started this that it is ready, and keep nothing of its terminal."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    os.close(null)
    os.write(ready_fd, b"ready\n")
    os.close(ready_fd)


def _status_or_none(path: str) -> dict[str, Any] | None:
    try:
        with ControlClient(path) as client:
            return client.request("status")
    except VersionMismatch:
        raise
    except (NotRunning, ProtocolError):  # nobody, or somebody who is ending
        return None


def _wait_for_winner(path: str) -> None:
    """Another start holds the lock but may not listen yet: give it a while."""
    deadline = time.monotonic() + WINNER_PATIENCE
    while _status_or_none(path) is None and time.monotonic() < deadline:
        time.sleep(LOOK_AGAIN)


def _ready_text(status: dict[str, Any]) -> str:
    return "\n".join(
        (
            f"khive-supervisor {status['version']} is {status['state']} (pid {status['pid']}).",
            f"  store   {status['store']}",
            f"  socket  {status['socket']}",
            f"  log     {status['log']}",
            *_http_lines(status["http"], "  http    "),
            "Connect a client with `khive-supervisor connect CLIENT`: claude-code, codex, ...",
        )
    )


@click.command()
@click.option("--sessions", is_flag=True, help="End the open sessions, too.")
@config_option
@as_json_option
def stop(sessions: bool, config_file: str | None, as_json: bool) -> None:
    """Stop the supervisor. Open sessions go on by themselves, unless --sessions ends them."""
    try:
        answer = _ask_to_stop(config_file, sessions)
    except NotRunning:
        emit({"stopped": False}, as_json, lambda _: "No supervisor is running.")
        return
    _wait_until_gone(int(answer["pid"]), socket_of(config_file))
    emit({"stopped": True, **answer}, as_json, lambda a: f"Stopped (pid {a['pid']}).")


def _ask_to_stop(config_file: str | None, sessions: bool) -> dict[str, Any]:
    try:
        with control(config_file) as client:
            return client.request("stop", {"sessions": sessions})
    except VersionMismatch:
        # It speaks another protocol; a signal means the same in all of them.
        pid = owner(socket_of(config_file))
        if pid is None:
            raise
        os.kill(pid, signal.SIGTERM)
        return {"pid": pid}


def _wait_until_gone(pid: int, path: str) -> None:
    deadline = time.monotonic() + STOP_DEADLINE
    while os.path.exists(path) or alive(pid):
        if time.monotonic() > deadline:
            raise KhiveError(
                f"The supervisor (pid {pid}) is still stopping after {STOP_DEADLINE:g} s.",
                hint="`khive-supervisor logs` says what it waits for.",
            )
        time.sleep(LOOK_AGAIN)


@click.command()
@config_option
@as_json_option
def status(config_file: str | None, as_json: bool) -> None:
    """Show the supervisor, its processes, the index and the open sessions."""
    with control(config_file) as client:
        emit(client.request("status"), as_json, _status_text)


def _status_text(status: dict[str, Any]) -> str:
    return "\n\n".join(
        part
        for part in (
            _head(status),
            _index_line(status["index"], status["builder"]),
            _freshness_line(status["freshness"]),
            table(
                ("process", "state", "pid", "restarts", "last exit"),
                [
                    (c["name"], c["state"], c["pid"] or "-", c["restarts"], c["last_exit"] or "-")
                    for c in status["children"]
                ],
            ),
            roles_text(status["roles"], status["unserved"]),
            _sessions_text(status["sessions"]),
            _ignored_text(status.get("ignored", [])),
        )
        if part
    )


def _head(status: dict[str, Any]) -> str:
    colour = {"ready": "green", "degraded": "red"}.get(status["state"], "yellow")
    return "\n".join(
        (
            f"khive-supervisor {status['version']}: {style(status['state'], colour)}",
            f"pid     {status['pid']}, up {duration(status['uptime_seconds'])}",
            f"store   {status['store']}",
            f"config  {status['config_file'] or 'defaults (no file)'}",
            f"log     {status['log']}",
            *_http_lines(status.get("http", {}), "http    "),
        )
    )


def _http_lines(http: dict[str, Any], head: str) -> list[str]:
    """Where HTTP is served, or why it is not; nothing while it is off."""
    if http.get("state", "off") == "off":
        return []
    problem = f" ({http['state']}: {http['problem']})" if http["problem"] else ""
    return [f"{head}{http['url'] or 'not served'}{problem}"]


def _index_line(index: dict[str, Any], builder: dict[str, Any]) -> str:
    if index["state"] in ("off", "unknown"):
        return f"index   {index['state']}"
    line = f"index   {index['state']}: {index['vectors']} vectors of {index['model']}"
    if index["generation"]:
        line += f", generation {index['generation']} holds {index['items']}"
    if index["waiting_to_be_embedded"]:
        line += f", {index['waiting_to_be_embedded']} entries wait to be embedded"
    if index["problem"]:
        line += f"\n        {index['problem']}"
    if builder["running"]:
        line += f"\n        being built: {json.dumps(builder['progress'])}"
    elif builder["failures"]:
        times = counted(builder["failures"], "time")
        line += f"\n        the builder failed {times} ({builder['last_exit']})"
    return line


def _freshness_line(freshness: dict[str, Any]) -> str:
    line = f"changes are seen by {freshness['path']}, told {counted(freshness['pushes'], 'time')}"
    if freshness["reason"]:
        line += f"\n        {freshness['reason']}"
    if freshness["rebuilds"]:
        line += f"\n        watched anew {counted(freshness['rebuilds'], 'time')}"
        line += f", last because {freshness['last_rebuild_reason']}"
    return line


def _sessions_text(sessions: list[dict[str, Any]]) -> str:
    if not sessions:
        return "No sessions are open."
    return table(
        ("session", "pid", "kind", "client", "namespace", "age", "directory"),
        [
            (
                s["id"],
                s["pid"],
                s["kind"],
                s.get("client", "-"),
                s.get("namespace", "-"),
                duration(s["seconds"]),
                s.get("cwd", "-"),
            )
            for s in sessions
        ],
    )


def _ignored_text(ignored: list[dict[str, str]]) -> str:
    """What sessions' projects and environments said and was not taken."""
    if not ignored:
        return ""
    lines = [f"  {one['place']}: {one['key']}: {one['why']}" for one in ignored]
    return "\n".join(["Not taken, as it is not your word:", *lines])


def duration(seconds: float) -> str:
    """Seconds, for people."""
    whole = int(seconds)
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if whole >= size:
            return f"{whole // size}{unit}"
    return f"{whole}s"


@click.command()
@click.option("--follow", "-f", is_flag=True, help="Go on as lines arrive.")
@click.option("--lines", "-n", default=50, show_default=True, help="How many of the last lines.")
@config_option
@as_json_option
def logs(follow: bool, lines: int, config_file: str | None, as_json: bool) -> None:
    """Show the log of the supervisor and all its processes."""
    path = loaded(config_file).config.log.file
    if not os.path.exists(path):
        raise NotFound(f"There is no log at {path}.", hint="It begins with the first start.")
    for line in _tail(path, lines, follow):
        click.echo(line if as_json else _log_text(line))


def _tail(path: str, count: int, follow: bool) -> Iterator[str]:
    """The last lines of a file, then new ones; survives rotation."""
    file = open(path, encoding="utf-8", errors="replace")  # noqa: SIM115 - replaced on rotation
    try:
        yield from [line.rstrip("\n") for line in file][-count:]
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


def _log_text(line: str) -> str:
    try:
        data = json.loads(line)
    except ValueError:
        return line
    if not isinstance(data, dict):
        return line
    head = [str(data.pop(k, "-")) for k in ("ts", "level", "process", "pid", "event")]
    data.pop("logger", None)
    rest = " ".join(f"{k}={v}" for k, v in data.items())
    return f"{head[0]} {head[1]:7} {head[2]}[{head[3]}] {head[4]} {rest}".rstrip()


COMMANDS = (start, stop, status, logs)
