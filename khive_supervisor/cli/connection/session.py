"""How a command reaches the verbs: through the supervisor, or in this process without one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import click

from khive_supervisor.access.grant import Grant, from_dict
from khive_supervisor.cli.connection import finding
from khive_supervisor.cli.connection.finding import SAY_AFTER, control, reach, socket_of
from khive_supervisor.cli.render.output import note
from khive_supervisor.config.load import LoadedConfig, load
from khive_supervisor.config.project.alone import load_alone
from khive_supervisor.config.settings.service import ENVIRONMENT_ALLOWED
from khive_supervisor.control.client import ControlClient
from khive_supervisor.errors import InvalidInput, KhiveError, NotRunning
from khive_supervisor.host import holder, paths, repository

__all__ = [
    "Verbs", "config_option", "control", "loaded", "socket_of", "start_in_background", "verbs",
    "without_daemon",
]  # fmt: skip

Progress = Callable[[dict[str, Any]], None]


#: What was taken out of this process's environment when it began; see `distrust`.
_IGNORED: list[tuple[str, str]] = []
_TOLD: set[tuple[str, str]] = set()


class Verbs(Protocol):
    """Something that runs verbs."""

    def request(
        self, operation: str, args: dict[str, Any] | None = None, progress: Progress | None = None
    ) -> dict[str, Any]:
        """Run a verb and return its answer; raises KhiveError."""


def config_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """The `--config` option, spelt the same for every command (argument `config_file`)."""
    return click.option(
        "--config", "config_file", type=click.Path(), help="The configuration file to use."
    )(function)


def distrust() -> None:
    """Take what this directory's project says out of the environment, before anything reads it."""
    _IGNORED[:] = paths.distrust(None, working_directory())


def working_directory() -> str:
    """The directory that this command was given in; "/" when it was removed."""
    try:
        return os.getcwd()
    except OSError:
        return "/"


def ignored(config_file: str | None) -> list[tuple[str, str]]:
    """What this command does not take, because its directory's project says it."""
    found = [*_IGNORED, *paths.distrust(config_file, working_directory())]
    for name, value in found:
        if (name, value) not in _TOLD:
            _TOLD.add((name, value))
            note(f"{name} {value} was not taken: it leads into the project of this directory.")
    return found


def users_file(config_file: str | None) -> str:
    """The user's configuration, to be written: the one in force, or their own, still to be made.

    Raises:
        InvalidInput: what was named lies in a project, whose files are no configuration.
    """
    found = paths.find_config(config_file, working_directory())
    if config_file and found != repository.join(working_directory(), config_file):
        raise InvalidInput(
            f"{config_file} lies in the project of this directory, so it is no configuration.",
            hint="Leave --config out to change your own, or name one outside of the project.",
        )
    return found or paths.config_home() + "/khive.toml"


def loaded(config_file: str | None) -> LoadedConfig:
    """The configuration in force here; raises ConfigError with every problem."""
    ignored(config_file)
    return load(config_file, working_directory(), os.environ)


def start_in_background(config_file: str | None, *, deliberate: bool = False) -> None:
    """Start a supervisor and wait until it is ready.

    `deliberate`: somebody wants this very release, also for a store of another environment's.

    Raises:
        SystemExit: it did not become ready; its message is on stderr, and its code is this.
    """
    line, hold = os.pipe()  # however this process ends, the start does then
    argv = [sys.executable, "-P", "-m", "khive_supervisor", "start", "--background", "--quiet"]
    argv += ["--whichever", "--lifeline-fd", str(line)]
    argv += ["--config", config_file] if config_file else []
    argv += ["--deliberate"] if deliberate else []
    # What this session is known by must not become everybody's: the supervisor serves all.
    env = {n: v for n, v in os.environ.items() if n not in ENVIRONMENT_ALLOWED}
    try:
        with subprocess.Popen(argv, stdin=subprocess.DEVNULL, env=env, pass_fds=[line]) as start:
            try:
                code = start.wait(SAY_AFTER)
            except subprocess.TimeoutExpired:
                note("Waiting for the supervisor that is being started.")
                code = start.wait()
    finally:
        for fd in (line, hold):
            os.close(fd)
    if code:
        raise SystemExit(code)  # what is wrong has been said


def replace_old(config_file: str | None) -> None:
    """Take the place of a supervisor of 0.1.0 in this environment: it serves no other release.

    Raises:
        VersionMismatch: it is another environment's.
        SystemExit: it could not be replaced; why is on stderr.
    """
    holds = finding.holder_of(config_file)
    if holds is None or holds.release is not None:
        return
    argv = [sys.executable, "-P", "-m", "khive_supervisor", "upgrade", "--in-place"]
    argv += ["--config", config_file] if config_file else []
    done = subprocess.run(argv, check=False, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    if done.returncode:
        raise SystemExit(done.returncode)


def without_daemon() -> bool:
    """Whether the user wants no supervisor."""
    return os.environ.get("KHIVE_NO_DAEMON", "").lower() not in ("", "0", "false")


@contextmanager
def verbs(config_file: str | None, count: int = 1, cwd: str | None = None) -> Iterator[list[Verbs]]:
    """`count` conversations that run verbs, as if from `cwd`; starts a supervisor if none runs."""
    here = cwd or working_directory()
    if without_daemon():
        with _local(config_file, here) as local:
            yield [local]
        return
    forwarded = {n: v for n in ("KHIVE_NAMESPACE", "KHIVE_ACTOR") if (v := os.environ.get(n))}
    fields: dict[str, Any] = {"pid": os.getpid(), "cwd": here, "env": forwarded}
    fields |= {
        "config": paths.find_config(config_file, working_directory()),
        "ignored": ignored(config_file),
        "store": holder.store_named(),
        "default_store": holder.default_store(),
    }

    def talk(path: str) -> ControlClient:
        return ControlClient(path, "verbs", **fields)

    replace_old(config_file)
    try:
        clients = [reach(config_file, talk)]
    except NotRunning:
        start_in_background(config_file)
        clients = [reach(config_file, talk)]
    try:
        clients += [talk(clients[0].path) for _ in range(count - 1)]
        yield list(clients)
    finally:
        for client in clients:
            client.close()


def seen_by_supervisor(config_file: str | None) -> Grant | None:
    """What this command may do as the supervisor sees it; None if nobody says so at once.

    Its ancestors are known there alone, so that who wants no supervisor is asked about, too.
    """
    try:
        with ControlClient(socket_of(config_file)) as client:
            return from_dict(client.request("grant"))
    except KhiveError:  # nobody, nobody who answers, or a release that does not know
        return None


class _Local:
    """Verbs in this process: KHIVE_NO_DAEMON=1."""

    def __init__(self, config_file: str | None, cwd: str) -> None:
        from khive_supervisor.access import decide
        from khive_supervisor.embed.factory import in_process
        from khive_supervisor.packs import loading
        from khive_supervisor.verbs.context import Context, SessionInfo

        config, _ = load_alone(config_file, working_directory(), ignored(config_file))
        self._registry = loading.load()
        info = SessionInfo(
            cwd=cwd,
            namespace=os.environ.get("KHIVE_NAMESPACE"),
            actor=os.environ.get("KHIVE_ACTOR", ""),
        )
        grant = decide.alone(config, "verbs", os.getcwd(), os.environ)
        seen = seen_by_supervisor(config_file)
        self.context = Context(
            config,
            info,
            socket_path=None,
            make_embedder=lambda: in_process(config.embedder),
            grant=grant.narrowed(seen) if seen is not None else grant,
        )

    def request(
        self, operation: str, args: dict[str, Any] | None = None, progress: Progress | None = None
    ) -> dict[str, Any]:
        """Run a verb here."""
        if progress is not None:
            self.context.progress = lambda done, total, text: progress(
                {"done": done, "total": total, "text": text}
            )
        return self._registry.call(self.context, operation, args)


@contextmanager
def _local(config_file: str | None, cwd: str) -> Iterator[_Local]:
    local = _Local(config_file, cwd)
    try:
        yield local
    finally:
        local.context.close()
