"""What tests of whole processes share: an installation in a directory of its own.

Nothing here sleeps for a fixed time: every wait is for a condition, with a deadline.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any, Self

import mcp
from mcp.client.stdio import StdioServerParameters, stdio_client

from khive_supervisor.control.client import ControlClient
from khive_supervisor.errors import KhiveError
from khive_supervisor.sqlite.store import SqliteStore

ROOT = Path(__file__).parents[1]
#: Seconds for anything that should take milliseconds; a machine that is busy gets its time.
DEADLINE = 60.0


def wait_until(condition: Callable[[], Any], what: str, deadline: float = DEADLINE) -> Any:
    """Wait until a condition holds and return what it returned; fail with `what` otherwise."""
    end = time.monotonic() + deadline
    pause = __import__("threading").Event()
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > end:
            raise AssertionError(f"waited {deadline:g} s in vain until {what}")
        pause.wait(0.01)


class Clock:
    """A clock that the test moves."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def alive(pid: int) -> bool:
    """Whether a process exists and is no zombie."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return False
    return text.rpartition(")")[2].split()[0] != "Z"


def kill(pid: int, number: signal.Signals = signal.SIGKILL) -> None:
    """Signal a process that the test started; one that is gone already is fine."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def write_distribution(
    directory: Path, name: str, source: str, attribute: str = "pack", group: str = "khive.packs"
) -> None:
    """An installed distribution with one module that offers something; put it on the path."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / f"{name}.py").write_text(source, encoding="utf-8")
    information = directory / f"{name}-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    entry = f"[{group}]\n{name} = {name}:{attribute}\n"
    (information / "entry_points.txt").write_text(entry)


def limited(argv: list[str], limit: str, value: int) -> list[str]:
    """A command that runs with a (soft) resource limit, such as RLIMIT_NOFILE."""
    program = (
        "import os, resource, sys; "
        f"_, hard = resource.getrlimit(resource.{limit}); "
        f"resource.setrlimit(resource.{limit}, ({value}, hard)); "
        "os.execv(sys.argv[1], sys.argv[1:])"
    )
    return [sys.executable, "-c", program, *argv]


class Installation:
    """A HOME of its own with everything that runs in it."""

    def __init__(self, home: Path, **environment: str) -> None:
        self.home = home
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("KHIVE_", "XDG_", "CLAUDE"))
        }
        self.env = {
            **inherited,
            "HOME": str(home),
            "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "workers"))),
            "PYTHONWARNINGS": "default",
            **environment,
        }
        self.argv = [sys.executable, "-P", "-m", "khive_supervisor"]

    # --- paths ----------------------------------------------------------------------------------

    @property
    def socket(self) -> str:
        """The control socket."""
        return self.env.get("KHIVE_SOCKET") or str(
            self.home / ".local/state/khive/run/supervisor.sock"
        )

    @property
    def store(self) -> Path:
        """The database."""
        return self.home / ".local/share/khive/khive.db"

    @property
    def log(self) -> Path:
        """The log file."""
        return self.home / ".local/state/khive/khive.log"

    def configure(self, text: str) -> None:
        """Write the user's configuration."""
        file = self.home / ".config/khive/khive.toml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")

    # --- commands -------------------------------------------------------------------------------

    def run(
        self, *words: str, code: int | None = 0, stdin: str = "", **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a command; fails unless it exits with `code` (None: any)."""
        done = subprocess.run(
            [*self.argv, *words],
            env={**self.env, **environment},
            cwd=self.home,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=DEADLINE,
        )
        if code is not None and done.returncode != code:
            raise AssertionError(
                f"{words} exited with {done.returncode}, not {code}\n{done.stdout}\n{done.stderr}"
                f"\n{self.log_tail()}"
            )
        return done

    def json(self, *words: str, **environment: str) -> Any:
        """Run a command with --json and parse what it prints."""
        return json.loads(self.run(*words, "--json", **environment).stdout)

    def log_tail(self, lines: int = 40) -> str:
        """The end of the log, for a failure's message."""
        try:
            return "\n".join(self.log.read_text(encoding="utf-8").splitlines()[-lines:])
        except OSError:
            return "(no log)"

    def events(self, name: str) -> list[dict[str, Any]]:
        """The log's events of a name."""
        lines = self.log.read_text(encoding="utf-8").splitlines() if self.log.exists() else []
        return [event for event in map(json.loads, lines) if event["event"] == name]

    # --- the supervisor -------------------------------------------------------------------------

    def start(self) -> None:
        """Start the supervisor in the background and wait until it is ready."""
        self.run("start", "--background", "--quiet")

    def stop(self) -> None:
        """Stop the supervisor and end the sessions, if there are any."""
        self.run("stop", "--sessions", code=None)

    def status(self) -> dict[str, Any]:
        """The supervisor's status."""
        with ControlClient(self.socket) as client:
            return client.request("status")

    def status_or_none(self) -> dict[str, Any] | None:
        """The status, or None while nobody answers."""
        try:
            return self.status()
        except (KhiveError, OSError):
            return None

    def child(self, name: str) -> dict[str, Any]:
        """One supervised child's status."""
        return next(c for c in self.status()["children"] if c["name"] == name)

    def call(self, verb: str, **args: Any) -> dict[str, Any]:
        """Run a verb over the control socket."""
        return self.call_from("/", verb, **args)

    def call_from(self, directory: str, verb: str, **args: Any) -> dict[str, Any]:
        """The same, as a session in a directory."""
        with ControlClient(self.socket, "verbs", pid=os.getpid(), cwd=directory, env={}) as client:
            return client.request(verb, args)

    def processes(self) -> list[int]:
        """Every living process that works in this installation, attach included."""
        mark = f"HOME={self.home}".encode()
        found = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit() or int(entry.name) == os.getpid():
                continue
            try:
                environ = (entry / "environ").read_bytes().split(b"\0")
            except OSError:
                continue
            if mark in environ and alive(int(entry.name)):
                found.append(int(entry.name))
        return found

    def gone(self) -> bool:
        """Whether nothing runs in this installation any more."""
        return not self.processes()

    def clean_up(self) -> None:
        """Stop everything, and fail if something stays behind."""
        if self.gone():
            return
        self.stop()
        try:
            wait_until(self.gone, "every process of the installation is gone")
        finally:
            for pid in self.processes():
                kill(pid)

    # --- MCP ------------------------------------------------------------------------------------

    def parameters(self, **environment: str) -> StdioServerParameters:
        """What an MCP client needs to start a session."""
        return StdioServerParameters(
            command=self.argv[0],
            args=[*self.argv[1:], "attach"],
            env={**self.env, **environment},
            cwd=str(self.home),
        )

    @contextlib.asynccontextmanager
    async def session(self, mode: str = "auto", **environment: str) -> AsyncIterator[mcp.Client]:
        """An MCP session by the official client."""
        transport = stdio_client(self.parameters(**environment))
        async with mcp.Client(transport, mode=mode) as client:  # type: ignore[arg-type]  # a literal
            yield client


class RawSession:
    """An MCP session by hand, to send what no client would."""

    def __init__(
        self,
        installation: Installation,
        *words: str,
        cwd: Path | None = None,
        **environment: str,
    ) -> None:
        self.process = subprocess.Popen(
            [*installation.argv, "attach", *words],
            env={**installation.env, **environment},
            cwd=cwd or installation.home,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.stdin, self.stdout = self.process.stdin, self.process.stdout
        self._next = 0
        self._unread = b""

    def send(self, data: bytes) -> None:
        """Write raw bytes, all of them."""
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self.stdin.fileno(), rest) :]

    def read(self) -> dict[str, Any]:
        """The next line, parsed."""
        while b"\n" not in self._unread:
            ready, _, _ = select.select([self.stdout], [], [], DEADLINE)
            assert ready, f"nothing was said within {DEADLINE:g} s"
            data = os.read(self.stdout.fileno(), 1 << 16)
            assert data, (
                f"the session ended: {self.process.stderr and self.process.stderr.read()!r}"
            )
            self._unread += data
        line, _, self._unread = self._unread.partition(b"\n")
        return dict(json.loads(line))

    def request(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        """Send a request and read until its answer."""
        self._next += 1
        message = {"jsonrpc": "2.0", "id": self._next, "method": method, "params": params}
        self.send(json.dumps(message).encode() + b"\n")
        while True:
            answer = self.read()
            if answer.get("id") == self._next:
                return answer

    def initialize(self) -> dict[str, Any]:
        """Make the handshake."""
        answer = self.request(
            "initialize",
            {
                "protocolVersion": "2025-06-18",
                "capabilities": {},
                "clientInfo": {"name": "raw", "version": "1"},
            },
        )
        self.send(b'{"jsonrpc":"2.0","method":"notifications/initialized"}\n')
        return answer

    def tool(self, name: str, **args: Any) -> dict[str, Any]:
        """Call a tool; its result."""
        answer = self.request("tools/call", {"name": name, "arguments": args})
        return dict(answer["result"])

    def close(self) -> int:
        """Close stdin and wait for the end; the exit code."""
        self.stdin.close()
        try:
            code = self.process.wait(DEADLINE)
        finally:
            self.stdout.close()
            assert self.process.stderr is not None
            self.process.stderr.close()
        return code

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        kill(self.process.pid)
        self.process.wait(DEADLINE)
        for stream in (self.stdin, self.stdout, self.process.stderr):
            with contextlib.suppress(OSError, ValueError):
                assert stream is not None
                stream.close()


def run(main: Any) -> Any:
    """Run a coroutine, with a deadline for the whole."""

    async def bounded() -> Any:
        return await asyncio.wait_for(main, DEADLINE * 3)

    return asyncio.run(bounded())


@contextlib.contextmanager
def store_of(installation: Installation) -> Iterator[SqliteStore]:
    """The store of an installation whose supervisor runs: what its roles' workers would see."""
    with SqliteStore(str(installation.store), guarded=False) as store:
        yield store


@contextlib.contextmanager
def installed(home: Path, **environment: str) -> Iterator[Installation]:
    """An installation that is cleaned up at the end."""
    home.mkdir(parents=True, exist_ok=True)
    installation = Installation(home, **environment)
    try:
        yield installation
    finally:
        installation.clean_up()


@contextlib.contextmanager
def foreground(khive: Installation, *words: str) -> Iterator[subprocess.Popen[str]]:
    """A supervisor in the foreground; killed at the end if it is still there."""
    process = subprocess.Popen(
        [*khive.argv, "start", *words],
        env=khive.env,
        cwd=khive.home,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        kill(process.pid)
        process.communicate(timeout=DEADLINE)


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    """How a process ended, and what it complained of."""
    _, complaint = process.communicate(timeout=DEADLINE)
    return process.returncode, complaint


# --- what waits for clients ---------------------------------------------------------------------


def spares(khive: Installation) -> list[int]:
    """Return the children of the zygote that wait for a client."""
    zygote = khive.child("zygote")["pid"]
    children = Path(f"/proc/{zygote}/task/{zygote}/children").read_text().split()
    return [int(pid) for pid in children if process_name(int(pid)) == "khive-spare"]


def process_name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def spare(khive: Installation) -> int:
    """Return the spare, once there is one; it has its name from when it is ready on."""
    (pid,) = wait_until(lambda: spares(khive), "there is a spare")
    return int(pid)
