"""MCP sessions by hand, so that what is measured is the server and not a client library."""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from benchmarks.core.processes import DEADLINE, kill

_INITIALIZE = {
    "protocolVersion": "2025-06-18",
    "capabilities": {},
    "clientInfo": {"name": "bench", "version": "1"},
}
_INITIALIZED = b'{"jsonrpc":"2.0","method":"notifications/initialized"}\n'


@dataclass(frozen=True, slots=True)
class Server:
    """How a client starts a server, and how it asks it to search."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    directory: Path
    search_tool: str
    search_arguments: Mapping[str, Any]

    def question(self, query: str) -> dict[str, Any]:
        """The parameters of a search call."""
        return {"name": self.search_tool, "arguments": {"query": query, **self.search_arguments}}


class Session:
    """One client's process; `began` is the moment before it was started (perf_counter).

    `errors` is where its stderr goes, by a descriptor; a file of the server's directory by default.
    """

    def __init__(self, server: Server, errors: int | None = None) -> None:
        self.server = server
        self._errors = open(server.directory / "stderr.log", "ab")  # noqa: SIM115 - the session's
        self.began = time.perf_counter()
        self.process = subprocess.Popen(
            server.command,
            env=dict(server.environment),
            cwd=server.directory,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors if errors is None else errors,
            bufsize=0,
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self._to, self.descriptor = self.process.stdin.fileno(), self.process.stdout.fileno()
        self._buffer = b""
        self._next = 0

    def since_start(self) -> float:
        """Milliseconds since before the process was started."""
        return (time.perf_counter() - self.began) * 1000

    # --- the handshake --------------------------------------------------------------------------

    def ask_to_initialize(self) -> None:
        """Send the first request without waiting for its answer."""
        self.send("initialize", _INITIALIZE)

    def notify_initialized(self) -> None:
        """Say that its answer has come: the session begins."""
        self._write(_INITIALIZED)

    def initialize(self) -> float:
        """The handshake; milliseconds from before the process's start to its answer."""
        self.ask_to_initialize()
        self.answer()
        milliseconds = self.since_start()
        self.notify_initialized()
        return milliseconds

    # --- calls ----------------------------------------------------------------------------------

    def search(self, query: str) -> tuple[float, dict[str, Any]]:
        """Search; milliseconds from the request to its answer, and the answer."""
        began = time.perf_counter()
        self.send("tools/call", self.server.question(query))
        line = self.line()
        return (time.perf_counter() - began) * 1000, self._result(line)

    def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """Call a tool; its structured answer."""
        self.send("tools/call", {"name": tool, "arguments": arguments})
        return self.answer()

    def send(self, method: str, params: Mapping[str, Any]) -> None:
        """Send a request."""
        self._next += 1
        message = {"jsonrpc": "2.0", "id": self._next, "method": method, "params": params}
        self._write(json.dumps(message).encode() + b"\n")

    @property
    def sent(self) -> int:
        """The id of the last request."""
        return self._next

    def has_line(self) -> bool:
        """Whether a line has been read that nobody has taken yet."""
        return b"\n" in self._buffer

    def answer(self) -> dict[str, Any]:
        """Read until the answer to the last request."""
        return self._result(self.line())

    def line(self) -> bytes:
        """The next line that is an answer to the last request, whole and not yet parsed."""
        marks = (f'"id":{self._next}'.encode(), f'"id": {self._next}'.encode())
        while True:
            line = self.next_line()
            if any(mark in line for mark in marks) and json.loads(line).get("id") == self._next:
                return line

    def _result(self, line: bytes) -> dict[str, Any]:
        message = json.loads(line)
        result = message.get("result", {})
        if "error" in message or result.get("isError"):
            raise RuntimeError(f"{self.server.name} answered with an error: {line[:500]!r}")
        return dict(result.get("structuredContent") or {})

    def next_line(self) -> bytes:
        """The next line, whatever it is."""
        while b"\n" not in self._buffer:
            data = os.read(self.descriptor, 1 << 18)
            if not data:
                raise RuntimeError(
                    f"{self.server.name} ended; see {self.server.directory / 'stderr.log'}"
                )
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line

    def _write(self, data: bytes) -> None:
        while data:
            data = data[os.write(self._to, data) :]

    # --- the end --------------------------------------------------------------------------------

    def end(self) -> None:
        """Close the pipes as a client that leaves, and wait until the process is gone."""
        for stream in (self.process.stdin, self.process.stdout):
            with suppress(OSError):
                assert stream is not None
                stream.close()
        try:
            self.process.wait(DEADLINE)
        finally:
            kill(self.process.pid)
            self.process.wait()
            self._errors.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.end()


@contextmanager
def opened(server: Server, count: int) -> Iterator[list[Session]]:
    """`count` sessions that have made their handshake, one after another."""
    sessions: list[Session] = []
    try:
        for _ in range(count):
            sessions.append(Session(server))  # one at a time: each must be closed if one fails
            sessions[-1].initialize()
        yield sessions
    finally:
        for session in sessions:
            session.end()


def at_once(server: Server, count: int) -> list[float]:
    """Start `count` at once; for each the milliseconds from its own start to its answer."""
    sessions: list[Session] = []
    found: list[float] = []
    with selectors.DefaultSelector() as selector:
        try:
            for _ in range(count):
                session = Session(server)
                sessions.append(session)
                session.ask_to_initialize()
                selector.register(session.descriptor, selectors.EVENT_READ, session)
                found += _answered(selector, 0)
            while len(found) < count:
                found += _answered(selector, DEADLINE)
            return found
        finally:
            for session in sessions:
                session.end()


def _answered(selector: selectors.BaseSelector, patience: float) -> list[float]:
    """The times of those sessions whose answer has come; none is waited for longer than that."""
    ready = selector.select(patience)
    if patience and not ready:
        raise RuntimeError(f"No server answered within {patience:g} s.")
    found = []
    for key, _ in ready:
        session: Session = key.data
        selector.unregister(session.descriptor)
        session.answer()
        found.append(session.since_start())
        session.notify_initialized()
    return found
