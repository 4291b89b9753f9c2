"""An MCP session over HTTP by hand, so that what is measured is the server and not a library."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from benchmarks.core.installation import Installation
from benchmarks.core.processes import DEADLINE

CONFIGURATION = "[http]\nenabled = true\nport = 0\n"

_WORDS = (
    "release", "deploy", "schema", "index", "worker", "socket", "token", "profile", "reviewer",
    "budget", "cache", "parser", "timeout", "retry", "migration", "ledger", "branch", "kernel",
    "container", "metric", "alarm", "backup", "restore", "merge",
)  # fmt: skip


def fill(khive: Installation, count: int) -> list[str]:
    """Learn entries of plain words; as many queries about them, no two the same."""
    texts = [_text(number) for number in range(count)]
    with khive.verbs() as verbs:
        for at in range(0, count, 250):
            entries = [{"content": text} for text in texts[at : at + 250]]
            verbs.request("knowledge.learn", {"entries": entries})
    khive.settle()
    return [f"what of {text}" for text in texts]


def _text(number: int) -> str:
    chosen = [_WORDS[(number * step + step) % len(_WORDS)] for step in (1, 5, 7, 11)]
    return f"{' '.join(chosen)} number {number}"


class HttpSession:
    """One connection, kept; one session of the handshake era on it."""

    def __init__(self, khive: Installation) -> None:
        status = khive.status()["http"]
        parts = urlsplit(status["url"])
        assert parts.hostname is not None
        self.address = (parts.hostname, parts.port)
        self.token = Path(status["token_file"]).read_text(encoding="ascii").strip()
        self._connection = http.client.HTTPConnection(*self.address, timeout=DEADLINE)
        self._headers = {
            "Authorization": f"Bearer {self.token}",
            "Accept": "application/json, text/event-stream",
            "Content-Type": "application/json",
        }
        self._next = 0

    def initialize(self) -> None:
        """The handshake."""
        info = {"name": "bench", "version": "1"}
        params = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": info}
        self._request("initialize", params)
        self._post({"jsonrpc": "2.0", "method": "notifications/initialized"})

    def search(self, query: str, limit: int = 10) -> tuple[float, dict[str, Any]]:
        """Search; milliseconds from the request to its answer, and the answer."""
        arguments = {"query": query, "limit": limit, "explain": True}
        began = time.perf_counter()
        body = self._send("tools/call", {"name": "knowledge_search", "arguments": arguments})
        milliseconds = (time.perf_counter() - began) * 1000
        return milliseconds, dict(_result(body)["structuredContent"])

    def _request(self, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
        return _result(self._send(method, params))

    def _send(self, method: str, params: Mapping[str, Any]) -> bytes:
        self._next += 1
        message = {"jsonrpc": "2.0", "id": self._next, "method": method, "params": params}
        return self._post(message)

    def _post(self, message: dict[str, Any]) -> bytes:
        self._connection.request("POST", "/mcp", json.dumps(message), self._headers)
        response = self._connection.getresponse()
        body = response.read()
        if response.status not in (200, 202):
            raise RuntimeError(f"HTTP {response.status}: {body[:300]!r}")
        session = response.getheader("mcp-session-id")
        if session:
            self._headers["Mcp-Session-Id"] = session
        return body

    def close(self) -> None:
        """Let go of the connection."""
        self._connection.close()


def _result(body: bytes) -> dict[str, Any]:
    """The result in a body: JSON, or one event."""
    lines = [line for line in body.splitlines() if line.startswith(b"data: {")]
    message = json.loads(lines[-1].removeprefix(b"data: ") if lines else body)
    if "error" in message or message["result"].get("isError"):
        raise RuntimeError(f"It answered with an error: {body[:300]!r}")
    return dict(message["result"])
