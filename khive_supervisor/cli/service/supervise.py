"""start, stop, status, logs: the life of the supervisor."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import click

from khive_supervisor.cli.connection.finding import LOOK_AGAIN, SAY_AFTER, holder_of, reach
from khive_supervisor.cli.connection.permission import not_confined
from khive_supervisor.cli.connection.session import config_option, control, loaded, socket_of
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
from khive_supervisor.cli.render.numbers import WholeNumber
from khive_supervisor.cli.render.output import (
    as_json_option,
    counted,
    emit,
    exactly,
    note,
    style,
    table,
)
from khive_supervisor.cli.render.role_text import roles_text
from khive_supervisor.cli.render.terminal import json_text, one_line
from khive_supervisor.cli.render.times import shown
from khive_supervisor.config.load import LoadedConfig
from khive_supervisor.control.client import ControlClient, owner
from khive_supervisor.errors import KhiveError, NotFound, NotRunning, Unresponsive, VersionMismatch
from khive_supervisor.host.processes import alive, stopped
from khive_supervisor.supervision.upgrade.inherited import Inherited

#: Seconds that a stop may take.
STOP_DEADLINE = 30.0


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
@config_option
@as_json_option
def start(
    background: bool,
    quiet: bool,
    http: bool,
    take_over: str | None,
    deliberate: bool,
    ready_fd: int | None,
    tell_fd: int | None,
    lifeline_fd: int | None,
    whichever: bool,
    config_file: str | None,
    as_json: bool,
) -> None:
    """Start the supervisor; in the foreground this process is it, and takes the signals."""
    try:
        configuration = loaded(config_file)
        inherited = Inherited.parse(take_over) if take_over is not None else None
        path = (
            inherited.socket
            if inherited is not None
            else place_to_listen(configuration.file, configuration.config.store.path)
        )
    except KhiveError as error:
        tell_end(tell_fd, error)
        raise
    wanted = Start(configuration, config_file, path, http, deliberate)
    who = RunSettings(configuration, path, http, inherited, deliberate)
    if tell_fd is not None:
        serve_or_find(
            wanted, tell_fd, lambda starter: _run(who, starter, quiet=True, as_json=False)
        )
        return
    if not background:
        if not inherited:
            refuse_if_served(path, configuration.config.store.path)
        starter = Announcement(ready_fd) if ready_fd is not None else None
        _run(who, starter, quiet=quiet, as_json=as_json)
        return
    status, ran_before = start_or_find(wanted, lifeline_fd)
    if ran_before and not whichever:
        check_same(status, wanted)
        if not quiet:
            note("A supervisor is running already.")
    if not quiet:
        emit(status, as_json, _ready_text)


@dataclass(frozen=True, slots=True)
class RunSettings:
    """What a supervisor goes by; `inherited` is what this process kept when it was replaced."""

    configuration: LoadedConfig
    path: str
    http: bool
    inherited: Inherited | None
    deliberate: bool


def _run(who: RunSettings, starter: Announcement | None, *, quiet: bool, as_json: bool) -> None:
    """Be the supervisor, until it ends or becomes another release."""
    from khive_supervisor.supervision.app import Supervisor
    from khive_supervisor.supervision.upgrade.handover import become

    def announce(status: dict[str, Any]) -> None:
        if not quiet:
            emit(status, as_json, _ready_text)

    def nothing() -> None:
        """Nobody waits for a supervisor in the foreground."""

    if starter is not None:
        starter.check()

    async def run() -> Supervisor:
        supervisor = Supervisor(
            who.configuration,
            who.path,
            http=who.http,
            inherited=who.inherited,
            deliberate=who.deliberate,
        )
        if starter is None:
            await supervisor.run(announce, nothing)
        else:
            await supervisor.run(starter.ready, starter.listening)
        return supervisor

    supervisor = asyncio.run(run())
    if supervisor.successor is not None:
        kept = supervisor.kept()
        become(supervisor.successor, kept, supervisor.config_file, http=who.http)


def _ready_text(status: dict[str, Any]) -> str:
    return "\n".join(
        (
            f"khive-supervisor {status['version']} is {status['state']} (pid {status['pid']}).",
            f"  store   {status['store']}",
            *(f"          {text}" for text in _about_store(status)),
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
    _wait_until_gone(int(answer["pid"]))
    emit({"stopped": True, **answer}, as_json, lambda a: f"Stopped (pid {a['pid']}).")


def _ask_to_stop(config_file: str | None, sessions: bool) -> dict[str, Any]:
    path = socket_of(config_file)
    try:
        with ControlClient(path) as client:
            return client.request("stop", {"sessions": sessions})
    except VersionMismatch:
        # It speaks another protocol; a signal means the same in all of them.
        pid = owner(path)
        if pid is None:
            raise
    except NotRunning:
        # Nobody at the socket, which may have been removed: the lock says who it is.
        holds = holder_of(config_file)
        if holds is None:
            raise
        if sessions or stopped(holds.pid):
            with reach(config_file, ControlClient) as client:
                return client.request("stop", {"sessions": sessions})
        pid = holds.pid
    os.kill(pid, signal.SIGTERM)
    return {"pid": pid}


def _wait_until_gone(pid: int) -> None:
    began, said = time.monotonic(), False
    while alive(pid):
        waited = time.monotonic() - began
        if waited > STOP_DEADLINE:
            raise Unresponsive(
                f"The supervisor (pid {pid}) is still stopping after {STOP_DEADLINE:g} s.",
                hint="`khive-supervisor logs` says what it waits for; "
                f"`kill -9 {pid}` ends one that hangs.",
            )
        if waited > SAY_AFTER and not said:
            note(f"Waiting for the supervisor (pid {pid}) to end.")
            said = True
        time.sleep(LOOK_AGAIN)


@click.command()
@config_option
@as_json_option
def status(config_file: str | None, as_json: bool) -> None:
    """Show the supervisor, its processes, the index and the open sessions."""
    with control(config_file) as client:
        emit(client.request("status"), as_json, _status_text)


def _status_text(status: dict[str, Any]) -> str:
    if "children" not in status:  # to a command of a confined session
        return "\n\n".join(filter(None, (_head(status), _sessions_text(status["sessions"]))))
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
            *(f"        {text}" for text in _about_store(status)),
            f"config  {status['config_file'] or 'defaults (no file)'}",
            *([f"log     {status['log']}"] if "log" in status else []),
            *_upgrade_lines(status.get("upgrade", {})),
            *_http_lines(status.get("http", {}), "http    "),
        )
    )


def _upgrade_lines(upgrade: dict[str, Any]) -> list[str]:
    """Another release that is installed, and why it does not run; nothing while there is none."""
    if upgrade.get("state", "current") == "current":
        return []
    problem = f": {upgrade['problem']}" if upgrade["problem"] else ""
    return [f"upgrade {upgrade['release']} is {upgrade['state']}{problem}"]


def _about_store(status: dict[str, Any]) -> list[str]:
    """What has become of the database's file, if anything."""
    return [status[key] for key in ("store_problem", "store_note") if status.get(key)]


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
        line += f"\n        being built{_progress_words(builder['progress'])}"
    elif builder["failures"]:
        times = counted(builder["failures"], "time")
        line += f"\n        the builder failed {times} ({builder['last_exit']})"
    return line


def _progress_words(progress: dict[str, Any] | None) -> str:
    """How far the index builder is, in words; it tells them as events with numbers."""
    told = dict(progress or {})
    event = str(told.pop("event", "")).replace("_", " ")
    if "total" in told:
        told = {"of": f"{told.get('done', 0)} of {told['total']}"}
    numbers = [f"{value} {name}" if name == "items" else str(value) for name, value in told.items()]
    return ": " + ", ".join([event, *numbers]) if event else ""


def _freshness_line(freshness: dict[str, Any]) -> str:
    told = counted(freshness["pushes"], "time")
    if freshness["path"] == "inotify":
        line = f"changes of the store are noticed at once (inotify); sessions were told {told}"
    else:
        line = f"changes of the store are looked for (no inotify); sessions were told {told}"
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
@click.option(
    "--lines",
    "-n",
    type=WholeNumber(0),
    default=50,
    show_default=True,
    help="How many of the last lines.",
)
@config_option
@as_json_option
def logs(follow: bool, lines: int, config_file: str | None, as_json: bool) -> None:
    """Show the log of the supervisor and all its processes."""
    not_confined(config_file, "logs")
    path = loaded(config_file).config.log.file
    if not os.path.exists(path):
        raise NotFound(f"There is no log at {path}.", hint="It begins with the first start.")
    for line in _tail(path, lines, follow):
        exactly(json_text(line) if as_json else _log_text(line))


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
        return one_line(line)
    if not isinstance(data, dict):
        return one_line(line)
    head = [one_line(data.pop(k, "-")) for k in ("ts", "level", "process", "pid", "event")]
    data.pop("logger", None)
    rest = " ".join(f"{one_line(k)}={one_line(v)}" for k, v in data.items())
    return f"{shown(head[0])} {head[1]:7} {head[2]}[{head[3]}] {head[4]} {rest}".rstrip()


COMMANDS = (start, stop, status, logs)
