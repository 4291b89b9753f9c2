"""The HTTP worker: MCP, metrics and the operator's routes on the loopback.

    python -P -m khive_workers.http --parent-fd N --listen-fd N --token-file PATH

The listening socket is the supervisor's, so that clients wait while this is started again. It says
`ready` on the parent's descriptor, and ends when that reports the end, or on SIGTERM. When nobody
asks, everything sleeps.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import os
import signal
import socket
import sys
import time
from typing import Any

from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from uvicorn import Config as UvicornConfig

from khive_supervisor import exitcodes, logs
from khive_supervisor.config import snapshot
from khive_supervisor.config.settings.model import Config
from khive_supervisor.control import protocol
from khive_supervisor.errors import BootFailure, KhiveError
from khive_supervisor.host import paths
from khive_supervisor.packs import loading
from khive_workers.common import runtime
from khive_workers.common.hints import HintReceiver
from khive_workers.common.link import Counting, Link
from khive_workers.desk.app import DeskApp
from khive_workers.desk.pages import Pages
from khive_workers.desk.sessions import PageSessions
from khive_workers.http.app import Application, numbers_of
from khive_workers.http.connection import KEEP_ALIVE, MAX_HEAD, Connections
from khive_workers.http.desk import Desk
from khive_workers.http.gate import Gate, GateRules, hosts_of
from khive_workers.http.limits import FailureLimit
from khive_workers.http.mcp import HttpMcpServer
from khive_workers.http.service import Service
from khive_workers.http.sessions import HttpSessions

log = logs.get("khive.http")

#: Seconds in which wrong tokens are counted against http.wrong_tokens.
WINDOW = 60.0
#: Seconds that requests at work get at the end.
END_PATIENCE = 1.0
#: Seconds after which a thread that runs Python gives way to one that waits; as in sessions.
SWITCH_INTERVAL = 0.001


#: What is needed of uvicorn, and nothing else.
_UVICORN: dict[str, Any] = {
    "interface": "asgi3", "http": "h11", "ws": "none", "lifespan": "off", "log_config": None,
    "access_log": False, "proxy_headers": False, "server_header": False, "date_header": False,
    "timeout_keep_alive": KEEP_ALIVE, "h11_max_incomplete_event_size": MAX_HEAD,
}  # fmt: skip


class HttpWorker:
    """One run of the worker."""

    def __init__(self, config: Config, listener: socket.socket, token: str, path: str) -> None:
        self._config = config
        self._listener = listener
        self._token = token
        host, port = listener.getsockname()[:2]
        self._hosts = hosts_of(host, port, config.http.allowed_hosts)
        self._link = Link(config, {"kind": "http", "session": f"http-{os.getpid()}"}, "http", path)
        self._service = Service(config, loading.load(), self._link, path)
        counting = Counting(self._link, self._service.counts)
        self._server = HttpMcpServer(self._service, counting.called)
        self._server.tools.roles = bool(config.roles)
        self._stop = asyncio.Event()
        self._decoder = protocol.FrameDecoder()
        self._hints: list[HintReceiver] = []

    async def run(self, parent: int) -> None:
        """Serve until told to stop."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        loop.add_reader(parent, self._parent_spoke, parent)
        self._follow_link()
        settings = self._config.http
        manager = StreamableHTTPSessionManager(
            self._server.server,
            max_request_body_size=settings.max_body,
            max_sessions=settings.max_sessions,
            session_idle_timeout=settings.session_timeout,
        )
        sessions = HttpSessions(manager.handle_request, settings.max_sessions)
        page = DeskApp(Desk(self._service), PageSessions(time.monotonic), Pages())
        application = Application(self._service, sessions, page)
        connections, gate = self._guarded(application)
        application.numbers = numbers_of(gate.refused, connections)
        async with manager.run():
            server = await loop.create_server(connections.make, sock=self._listener)
            gc.collect()
            gc.freeze()
            os.write(parent, b"ready\n")
            await self._stop.wait()
            server.close()
            await connections.end(END_PATIENCE)

    def _guarded(self, application: Application) -> tuple[Connections, Gate]:
        settings = self._config.http
        failures = FailureLimit(settings.wrong_tokens, WINDOW, time.monotonic)
        origins = settings.allowed_origins
        gate = Gate(
            application, GateRules(self._token, self._hosts, origins, settings.max_body, failures)
        )
        config = UvicornConfig(gate, **_UVICORN)
        config.load()
        return Connections(config, settings.max_connections, settings.request_timeout), gate

    # --- the supervisor -------------------------------------------------------------------------

    def _parent_spoke(self, parent: int) -> None:
        """Answer it; its end is ours."""
        if not runtime.answer_parent(parent):
            os._exit(exitcodes.OK)

    def _follow_link(self) -> None:
        """Register, and act on hints; without it, requests are served all the same."""
        if not self._link.connect() or self._link.sock is None:
            return
        lanes = self._service.lanes
        first = [HintReceiver(lanes[0].context, lanes[0].thread, self._server.resources.changed)]
        self._hints = first + [
            HintReceiver(lane.context, lane.thread, _untold) for lane in lanes[1:]
        ]
        self._link.sock.setblocking(False)
        asyncio.get_running_loop().add_reader(self._link.sock, self._hinted, self._link.sock)

    def _hinted(self, sock: socket.socket) -> None:
        try:
            data = sock.recv(65536)
            messages = self._decoder.feed(data)
        except BlockingIOError:
            return
        except (OSError, KhiveError):
            data, messages = b"", []
        for message in messages:
            if message.get("hint") == "embedder":
                for lane in (self._service.routes, *self._service.lanes):
                    lane.context.suspect_embedder()
            if message.get("hint") == "roles":
                self._server.roles_are(message.get("configured"))
            if message.get("hint") == "changed":
                for hints in self._hints:
                    hints.changed(message.get("kinds"))
        if not data:
            asyncio.get_running_loop().remove_reader(sock)
            self._link.close()


async def _untold(_kinds: object) -> None:
    """Do nothing: one of the lanes tells clients, and that is enough."""


def read_token(path: str) -> str:
    """Return the token in a file.

    Raises:
        BootFailure: it cannot be read.
    """
    try:
        with open(path, encoding="ascii") as file:
            token = file.read(4096).strip()
    except (OSError, ValueError) as error:
        raise BootFailure(f"The token in {path} cannot be read: {error}.") from None
    if not token:
        raise BootFailure(f"The token in {path} is empty.", hint="Remove the file.")
    return token


def _parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--parent-fd", type=int, required=True)
    parser.add_argument("--listen-fd", type=int, required=True)
    parser.add_argument("--token-file", required=True)
    return parser.parse_args(argv)


def main(argv: list[str]) -> int:
    """Return the process; returns its exit code."""
    options = _parse(argv)
    runtime.reset_signals()
    runtime.name_process("khive-http")
    sys.setswitchinterval(SWITCH_INTERVAL)
    logs.to_stderr("warning")
    # uvicorn warns of every request that is no HTTP: whoever can connect could fill the log.
    logging.getLogger("uvicorn").setLevel(logging.ERROR)
    logging.getLogger("mcp").setLevel(logging.ERROR)
    try:
        config = snapshot.from_environment()
        token = read_token(options.token_file)
        listener = socket.socket(fileno=options.listen_fd)
        listener.setblocking(False)
        os.set_blocking(options.parent_fd, False)
        asyncio.run(_run(config, listener, token, options.parent_fd))
    except KhiveError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return exitcodes.OK


async def _run(config: Config, listener: socket.socket, token: str, parent: int) -> None:
    await HttpWorker(config, listener, token, paths.socket_path(None)).run(parent)
