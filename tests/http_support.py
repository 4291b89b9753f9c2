"""HTTP by hand: what no well-behaved client would send, and requests with and without a token."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import mcp
from mcp.client.streamable_http import streamable_http_client
from support import DEADLINE, Installation


@dataclass(frozen=True, slots=True)
class Answer:
    """A response that was read whole."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def data(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


class HttpBench:
    """An installation that serves HTTP."""

    def __init__(self, khive: Installation) -> None:
        status = khive.status()["http"]
        self.khive = khive
        self.url: str = status["url"]
        self.token = Path(status["token_file"]).read_text().strip()
        parts = urlsplit(self.url)
        assert parts.hostname is not None
        assert parts.port is not None
        self.address = (parts.hostname, parts.port)

    @property
    def pid(self) -> int:
        """The worker's process."""
        return int(self.khive.child("http")["pid"])

    def ask(
        self, method: str, path: str, body: object = None, token: str | None = "", **headers: str
    ) -> Answer:
        """One request on a connection of its own; the right token unless another is given."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if token is not None:
            named["Authorization"] = f"Bearer {token or self.token}"
        data = body if isinstance(body, bytes | type(None)) else json.dumps(body).encode()
        connection = http.client.HTTPConnection(*self.address, timeout=DEADLINE)
        with contextlib.closing(connection):
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                connection.request(method, path, data, named)
            response = connection.getresponse()
            return Answer(response.status, dict(response.getheaders()), response.read())

    def raw(self, data: bytes = b"") -> socket.socket:
        """A connection on which some bytes were sent."""
        sock = socket.create_connection(self.address, timeout=DEADLINE)
        sock.sendall(data)
        return sock

    @contextlib.asynccontextmanager
    async def session(self, mode: str = "auto", **headers: str) -> AsyncIterator[mcp.Client]:
        """An MCP session by the official client."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        named["Authorization"] = f"Bearer {self.token}"
        async with httpx2.AsyncClient(headers=named, timeout=DEADLINE) as client:
            transport = streamable_http_client(self.url + "/mcp", http_client=client)
            async with mcp.Client(transport, mode=mode) as session:  # type: ignore[arg-type]  # a literal
                yield session


def ended(sock: socket.socket) -> bool:
    """Whether the other side ends the connection, whatever it says before."""
    try:
        while sock.recv(65536):
            pass
    except ConnectionResetError:
        return True
    return True
