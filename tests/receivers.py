"""A receiver on the loopback: it answers as it is told, and remembers what it was sent."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import StreamRequestHandler, ThreadingTCPServer
from typing import Any

#: Says how the request of a number is answered: a status and headers; None: not at all.
Plan = Callable[[int], tuple[int, dict[str, str]] | None]


def well(_number: int) -> tuple[int, dict[str, str]]:
    return 200, {}


@dataclass
class Receiver:
    """What came in: all requests, and those that were taken, each with headers and JSON."""

    port: int = 0
    plan: Plan = well
    requests: list[dict[str, Any]] = field(default_factory=list)
    taken: list[dict[str, Any]] = field(default_factory=list)
    let_go: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, request: dict[str, Any]) -> tuple[int, dict[str, str]] | None:
        with self.lock:
            self.requests.append(request)
            answer = self.plan(len(self.requests))
            if answer is not None and answer[0] < 300:
                self.taken.append(request)
        return answer

    def kinds(self) -> list[str]:
        return [str(one["body"].get("type")) for one in self.taken]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"


def _parsed(body: bytes) -> Any:
    """JSON, or what came as it is: other services speak XML, or send forms."""
    try:
        return json.loads(body)
    except ValueError:
        return {"type": None, "text": body.decode("utf-8", "replace")}


@contextmanager
def receiver(plan: Plan = well) -> Iterator[Receiver]:
    found = Receiver(plan=plan)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = {"path": self.path, "headers": headers, "raw": body}
            answer = found.take({**request, "body": _parsed(body)})
            if answer is None:
                found.let_go.wait()
                answer = 500, {}
            self.send_response(answer[0])
            for name, value in (answer[1] | {"Content-Length": "0"}).items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *args: object) -> None:
            """Say nothing: whoever hangs up was killed."""

    with Server(("127.0.0.1", 0), Handler) as server:
        found.port = server.server_port
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield found
        finally:
            found.let_go.set()
            server.shutdown()


@dataclass
class Mailbox:
    """Letters as they came in over SMTP."""

    port: int = 0
    letters: list[str] = field(default_factory=list)


@contextmanager
def mailbox() -> Iterator[Mailbox]:
    """An SMTP server on the loopback that takes every letter."""
    found = Mailbox()

    class Session(StreamRequestHandler):
        timeout = 30

        def handle(self) -> None:
            self._say("220 ready")
            while line := self.rfile.readline():
                word = line.decode("utf-8", "replace").strip().upper()
                if word == "DATA":
                    self._say("354 go on")
                    lines = iter(self.rfile.readline, b".\r\n")
                    found.letters.append(b"".join(lines).decode("utf-8", "replace"))
                self._say("221 bye" if word == "QUIT" else "250 fine")
                if word == "QUIT":
                    return

        def _say(self, text: str) -> None:
            self.wfile.write(f"{text}\r\n".encode())

    class Server(ThreadingTCPServer):
        daemon_threads = True

        def handle_error(self, *args: object) -> None:
            """Say nothing: whoever hangs up was killed."""

    with Server(("127.0.0.1", 0), Session) as server:
        found.port = server.server_address[1]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield found
        finally:
            server.shutdown()
