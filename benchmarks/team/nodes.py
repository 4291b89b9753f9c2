"""A PostgreSQL of one's own, and nodes with replicators, for measurements and tests."""

from __future__ import annotations

import contextlib
import glob
import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from khive_supervisor.config import snapshot
from khive_supervisor.config.load import from_dict
from khive_supervisor.config.settings.model import Config
from khive_supervisor.host import paths
from khive_supervisor.sqlite.store import SqliteStore
from khive_supervisor.sqlite.team.sharing import SharedWrites
from khive_supervisor.sqlite.team.turn_client import TurnClient

_PROGRAMS = "/usr/lib/postgresql/*/bin"
_USER = "postgres"
_REPLICATOR = (sys.executable, "-P", "-m", "khive_workers.replicator")


class NoPostgres(Exception):
    """There is no server to be had; the message says what to install."""


def free_port() -> int:
    """Return a port of the loopback that nobody listens at."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@dataclass
class Postgres:
    """A server with a directory of its own; runs as another user if we are root."""

    directory: Path
    port: int = field(default_factory=free_port)
    #: More settings of it, as `-c name=value`.
    settings: str = ""

    @property
    def url(self) -> str:
        """Where its database is."""
        return f"postgresql://{_USER}@127.0.0.1:{self.port}/{_USER}"

    def make(self) -> None:
        """Make its files; raises NoPostgres."""
        data = self.directory / "data"
        data.mkdir(mode=0o700)
        self.directory.chmod(0o755)
        self._give(data)
        self._run("initdb", "-U", _USER, "-A", "trust")

    def put(self, name: str, text: str) -> None:
        """Write a file of its directory, such as its certificate; only it may read that."""
        path = self.directory / "data" / name
        path.write_text(text, encoding="ascii")
        path.chmod(0o600)
        self._give(path)

    def _give(self, path: Path) -> None:
        """Make it the server's own, which runs as another user if we are root."""
        if os.getuid() == 0:
            owner = pwd.getpwnam(_USER)
            os.chown(path, owner.pw_uid, owner.pw_gid)

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = f"-p {self.port} -k '' -c listen_addresses=127.0.0.1 -c max_connections=300"
        options += f" {self.settings}"
        log = str(self.directory / "data" / "log")
        self._run("pg_ctl", "-w", "-l", log, "-o", options, "start")

    def stop(self, mode: str = "immediate") -> None:
        """Stop it: `immediate` is a crash with its processes ended."""
        self._run("pg_ctl", "-w", "-m", mode, "stop")

    @property
    def pid(self) -> int:
        """The number of its first process."""
        text = (self.directory / "data" / "postmaster.pid").read_text(encoding="ascii")
        return int(text.split("\n")[0])

    def _run(self, program: str, *arguments: str) -> None:
        found = sorted(glob.glob(_PROGRAMS))
        if not found:
            raise NoPostgres("There is no PostgreSQL here: `apt-get install postgresql`.")
        other = ("setpriv", f"--reuid={_USER}", f"--regid={_USER}", "--clear-groups")
        command = [f"{found[-1]}/{program}", "-D", str(self.directory / "data"), *arguments]
        done = subprocess.run(
            [*(other if os.getuid() == 0 else ()), *command],
            cwd="/",
            stdout=subprocess.PIPE if program == "initdb" else subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=120,
        )
        if done.returncode:
            raise NoPostgres(
                f"{program} ended with {done.returncode}: {(done.stdout or '')[-300:]}"
            )


@contextmanager
def postgres() -> Iterator[Postgres]:
    """Give a running server; it and its files are gone afterwards. Raises NoPostgres."""
    directory = Path(tempfile.mkdtemp(prefix="khpg-"))
    server = Postgres(directory)
    try:
        server.make()
        server.start()
        try:
            yield server
        finally:
            with contextlib.suppress(NoPostgres):  # a test may have stopped it
                server.stop()
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@dataclass
class Node:
    """A replica with a replicator; HOME is the node's directory."""

    home: Path
    url: str
    _process: subprocess.Popen[bytes] | None = None
    _parent: socket.socket | None = None

    @property
    def config(self) -> Config:
        """What its processes get."""
        store = {"path": str(self.home / "khive.db"), "url": self.url}
        return from_dict({"store": store, "embedder": {"kind": "none"}})

    @property
    def environment(self) -> dict[str, str]:
        """The variables of its processes."""
        path = os.environ.get("PATH", "/usr/bin:/bin")
        return {
            "HOME": str(self.home),
            "PATH": path,
            snapshot.VARIABLE: snapshot.dumps(self.config),
        }

    @property
    def turns(self) -> str:
        """Where its replicator listens."""
        named = os.path.realpath(self.config.store.path).encode()
        return f"{self.home}/.local/state/khive/run/{paths.digest(named)}.team"

    def join(self) -> None:
        """Make its replica, if there is none."""
        path = Path(self.config.store.path)
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            subprocess.run(
                [*_REPLICATOR, "--do", "join"],
                env=self.environment,
                stdout=subprocess.DEVNULL,
                check=True,
                timeout=120,
            )

    def start(self) -> None:
        """Start its replicator, and wait until it has tried to reach the server."""
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [*_REPLICATOR, "--parent-fd", str(theirs.fileno())],
                env=self.environment,
                pass_fds=[theirs.fileno()],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        ours.settimeout(30)
        assert ours.recv(64), "the replicator has ended"
        self._parent = ours

    @property
    def pid(self) -> int:
        """The number of its replicator."""
        assert self._process is not None
        return self._process.pid

    def stop(self, *, kill: bool = False) -> None:
        """End its replicator; again is harmless."""
        process, self._process = self._process, None
        if process is not None:
            process.kill() if kill else process.terminate()
            process.wait(20)
        if self._parent is not None:
            self._parent.close()
            self._parent = None

    def open(self) -> SqliteStore:
        """Open its store as a writing process does."""
        sharing = SharedWrites(TurnClient(self.turns, 10.0))
        return SqliteStore(self.config.store.path, guarded=False, sharing=sharing)

    def plain(self) -> SqliteStore:
        """Open its replica to look at it, without a replicator."""
        return SqliteStore(self.config.store.path, guarded=False)


@contextmanager
def nodes(url: str, count: int, directory: Path) -> Iterator[list[Node]]:
    """Give nodes that run; they are stopped afterwards."""
    with ExitStack() as stack:
        found = []
        for number in range(count):
            home = directory / f"n{number}"
            home.mkdir()
            node = Node(home, url)
            node.join()
            node.start()
            stack.callback(node.stop)
            found.append(node)
        yield found


def wait_until(true: object, seconds: float = 60.0) -> None:
    """Wait until what is called returns something true; raises TimeoutError."""
    assert callable(true)
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            raise TimeoutError(f"it did not become so in {seconds:g} s")
        time.sleep(0.002)
