"""An installation of the benchmark's own: a HOME with a store, and all that runs in it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.core.prepare import Prepared
from benchmarks.core.processes import DEADLINE, command_of, kill, processes_of, wait_until
from benchmarks.core.session import Server
from khive_supervisor.control.client import ControlClient
from khive_supervisor.host import paths

#: The console script of the installation that runs this, as clients start it.
COMMAND = str(Path(sys.executable).with_name("khive-supervisor"))


def clean_environment(home: Path) -> dict[str, str]:
    """This process's environment without anything that would make results differ."""
    foreign = ("KHIVE_", "XDG_", "CLAUDE", "PYTHON")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(foreign)}
    return {**kept, "HOME": str(home)}


class Installation:
    """Commands, and the supervisor that they start."""

    def __init__(self, home: Path, command: str = COMMAND) -> None:
        self.home = home
        self.command = command
        self.environment = clean_environment(home)
        self.socket = str(home / ".local/state/khive/run/supervisor.sock")
        self.store = home / ".local/share/khive/khive.db"
        if len(self.socket) > paths.SOCKET_PATH_LIMIT - 8:
            sys.exit(f"--work is too long a path for a socket below it: {home.parent}")

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command; CalledProcessError unless it exits with 0."""
        return subprocess.run(
            [self.command, *words],
            env=self.environment,
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=True,
            timeout=DEADLINE * 5,
        )

    def start(self) -> None:
        """Start the supervisor in the background; returns when it is ready."""
        self.run("start", "--background", "--quiet")

    def stop(self) -> None:
        """End everything, and wait until it is gone."""
        subprocess.run(
            [self.command, "stop", "--sessions"],
            env=self.environment,
            cwd=self.home,
            capture_output=True,
            check=False,
        )
        try:
            wait_until(lambda: not processes_of(self.home), "all processes are gone", 30)
        except RuntimeError as error:
            left = [f"{pid} ({command_of(pid)})" for pid in processes_of(self.home)]
            raise RuntimeError(f"{error} Left: {', '.join(left)}") from error

    def status(self) -> dict[str, Any]:
        """The supervisor's status."""
        with ControlClient(self.socket) as client:
            return client.request("status")

    def workers(self, count: int) -> dict[int, int]:
        """The pids of the session workers by those of their clients, once `count` are there."""

        def found() -> dict[int, int] | None:
            sessions = [s for s in self.status()["sessions"] if s["kind"] == "session"]
            pids = {int(s["client_pid"]): int(s["pid"]) for s in sessions}
            return pids if len(pids) == count else None

        workers = wait_until(found, f"{count} sessions are registered")
        assert workers is not None
        return workers

    def settle(self) -> None:
        """Wait until the index has been looked at and nothing is being built."""

        def settled() -> bool:
            status = self.status()
            known = status["index"]["state"] != "unknown"
            return known and not status["builder"]["running"] and status["state"] == "ready"

        wait_until(settled, "the supervisor has looked at its store")

    def verbs(self) -> ControlClient:
        """A conversation that runs verbs."""
        fields: Mapping[str, Any] = {"pid": os.getpid(), "cwd": str(self.home), "env": {}}
        return ControlClient(self.socket, "verbs", **fields)

    def attach(self) -> Server:
        """How a client attaches, and searches what was learned."""
        return Server(
            name="khive attach",
            command=(self.command, "attach"),
            environment=self.environment,
            directory=self.home,
            search_tool="knowledge_search",
            search_arguments={"limit": 10, "explain": True},
        )

    def write_configuration(self, text: str) -> None:
        """Write the user's configuration."""
        file = self.home / ".config/khive/khive.toml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")


@contextmanager
def installed(
    work: Path, prepared: Prepared | None = None, command: str = COMMAND
) -> Iterator[Installation]:
    """A fresh installation, with a copy of the prepared store or an empty one; gone afterwards."""
    home = work / "home"
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    installation = Installation(home, command)
    if prepared is not None:
        _copy(prepared, installation.store)
    try:
        yield installation
    finally:
        try:
            installation.stop()
        finally:
            for pid in processes_of(home):
                kill(pid)
            shutil.rmtree(home, ignore_errors=True)


def _copy(prepared: Prepared, store: Path) -> None:
    """The database is copied; its index files, which never change, are linked."""
    store.parent.mkdir(parents=True, mode=0o700)
    shutil.copy2(prepared.store, store)
    index = store.parent / "index"
    index.mkdir(mode=0o700)
    for file in prepared.index.parent.glob("[0-9]*"):
        os.link(file, index / file.name)


def as_json(done: subprocess.CompletedProcess[str]) -> Any:
    """What a command with --json printed."""
    return json.loads(done.stdout)
