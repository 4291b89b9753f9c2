"""A session worker: serves one client, over MCP on its pipes or with verbs on its connection.

Forked by the zygote, started by exec, or alone without a supervisor (`--standalone`): the same
code serves in all three. It ends when its client does, in well under a second, and outlives the
supervisor: it goes on with its own connection to the store, and registers again when one is back.
"""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import sys
import time
from typing import Any

import anyio

from khive_supervisor import exitcodes, logs
from khive_supervisor.attach.channel import shown
from khive_supervisor.config.project.text import overlay
from khive_supervisor.config.settings.model import Config
from khive_supervisor.control import measured, protocol
from khive_supervisor.control.requests import SessionRequest
from khive_supervisor.errors import KhiveError
from khive_supervisor.host import paths
from khive_supervisor.packs import loading
from khive_supervisor.verbs.context import Context
from khive_supervisor.verbs.registry import Registry
from khive_workers.common import runtime
from khive_workers.common.halted import StandIn, end_stopped_siblings
from khive_workers.common.hints import HintReceiver
from khive_workers.common.link import Counting, Link, make_context, session_info
from khive_workers.common.verb_thread import VerbThread
from khive_workers.mcp.fd_transport import FdTransport, TrafficObserver
from khive_workers.mcp.inbox import Inbox
from khive_workers.mcp.server import McpServer
from khive_workers.session.coming_over import Starter, become_attach, come_over
from khive_workers.session.hooks import HookServer
from khive_workers.session.journal import Journal, make_file
from khive_workers.session.verbs import serve_command

log = logs.get("khive.session")

#: Seconds after which a session registers whose client has asked nothing yet.
REGISTER_AFTER = 0.1
#: Seconds between attempts to find a supervisor that has gone; doubled up to the second number.
FIND_AGAIN, FIND_AGAIN_MAX = 1.0, 5.0
#: Seconds that closing the store may take, a verb that still runs included; a crash is safe, too.
CLOSE_DEADLINE = 1.0

#: Seconds after which a thread that runs Python gives way to one that waits.
SWITCH_INTERVAL = 0.001

#: Objects from which on garbage is looked for: at Python's own 700, several times in each search.
COLLECT_AFTER = 2000

#: What a session that serves itself says on its channel when it comes over; attach passes it over.
COMES_OVER = b"O\n"

#: Descriptors of an attached session: stdin, stdout, stderr, journal, inbox, the channel.
ATTACHED = 6
#: The same without the channel: a session that serves itself until there is a supervisor.
MEMORY = 5

#: What a client says in the warm-up.
_REHEARSAL = (
    b'{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18",'
    b'"capabilities":{},"clientInfo":{"name":"rehearsal","version":"0"}}}\n'
    b'{"jsonrpc":"2.0","method":"notifications/initialized"}\n'
    b'{"jsonrpc":"2.0","id":2,"method":"tools/list"}\n'
    b'{"jsonrpc":"2.0","id":3,"method":"resources/list"}\n'
)

_registry: Registry | None = None
_server: McpServer | None = None


def prepared() -> tuple[Registry, McpServer]:
    """Return the registry and server of this process; made by the zygote before it forks."""
    global _registry, _server
    if _registry is None or _server is None:
        _registry = loading.load()
        _server = McpServer(_registry)
    return _registry, _server


def warm() -> None:
    """Import and build everything a session needs, and serve one session, before any fork.

    The rehearsal makes pages that every session would dirty part of what is shared.
    """
    registry, server = prepared()
    registry.warm()
    asyncio.run(_warm_up(server))
    server.resources.forget()


async def _warm_up(server: McpServer) -> None:
    """Serve one handshake and one listing of the tools, over pipes, without store or supervisor."""
    to_server, from_server = os.pipe(), os.pipe()
    memory = make_file()
    inbox = Inbox(memory, 1 << 16)
    transport = FdTransport(
        to_server[0], from_server[1], inbox, 1 << 16, TrafficObserver(_no, _no, _no)
    )
    os.write(to_server[1], _REHEARSAL)
    os.close(to_server[1])
    await _run_server(server, transport)
    inbox.close()
    for fd in (to_server[0], *from_server, memory):
        os.close(fd)


def _no(_: Any) -> None:
    """Do nothing: nobody observes the warm-up."""


async def _run_server(server: McpServer, transport: FdTransport) -> None:
    """Serve until the client closes its stdin or is gone."""
    with anyio.CancelScope() as scope:
        transport.when_gone(scope.cancel)
        await server.server.run(transport.incoming, transport.outgoing, server.options())


# --- one client ------------------------------------------------------------------------------


def serve(config: Config, request: SessionRequest, fds: list[int]) -> int:
    """Serve the client of a request until it ends; the exit code. Owns the descriptors."""
    # A search runs in two threads: with Python's own 5 ms, one may wait for the other to give way
    # for as long as the whole search takes.
    sys.setswitchinterval(SWITCH_INTERVAL)
    gc.set_threshold(COLLECT_AFTER)
    if request["kind"] == "verbs":
        runtime.name_process("khive-verbs")
        if request.get("acks") and not runtime.begin(fds[0], protocol.encode({"begun": True})):
            return exitcodes.OK
        return _serve_verbs(config, request, fds)
    config = overlay(config, request.get("settings") or {})
    runtime.name_process("khive-session")
    if request.get("acks") and not runtime.begin(fds[-1], b"W\n"):
        return exitcodes.OK  # nobody waits for us: another serves the client's pipes
    return SessionWorker(config, request, fds).run()


def _serve_verbs(config: Config, request: SessionRequest, fds: list[int]) -> int:
    """Serve a command, or hooks: the first one of those comes with the channel for the next."""
    registry = prepared()[0]
    if len(fds) == 1:
        own = overlay(config, request.get("settings") or {})
        return serve_command(own, registry, request, fds[0])
    return HookServer(config, registry, str(request.get("session", "")), fds[1]).run(
        request, fds[0]
    )


class SessionWorker:
    """MCP on the client's own pipes."""

    def __init__(self, config: Config, request: SessionRequest, fds: list[int]) -> None:
        self._config = config
        self._request = request
        self._read_fd, self._write_fd = _take_pipes(fds[:3])
        attached = len(fds) == ATTACHED
        # A session that serves itself for a while keeps the originals for when it comes over.
        self._again: list[str] | None = request.get("again")
        journal, inbox = fds[3:5] if len(fds) >= MEMORY else (make_file(), make_file())
        self._journal = Journal(journal)
        self._inbox = Inbox(inbox, config.session.max_line_bytes)
        self._channel = socket.socket(fileno=fds[5]) if attached else None
        served = self._channel is not None and self._again is None
        self._socket_path = paths.env("KHIVE_SOCKET") if served else None
        self._link: Link | None = None
        self._hints: HintReceiver | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._has_answered = asyncio.Event()
        #: When the client came; None once it was served by another worker, or nobody says.
        self._arrived = None if self._journal.handshake else request.get("arrived")
        self._moving = False
        self._stand_in: StandIn | None = None
        self._transport: FdTransport
        self._thread: VerbThread
        self._context: Context

    def run(self) -> int:
        """Serve until the client ends; returns the exit code, which attach has got by then."""
        try:
            os.chdir(self._request.get("cwd") or "/")
        except OSError:
            log.debug("session.no_cwd", cwd=self._request.get("cwd"))
        os.environ.update(session_info(self._request).environment)
        if notice := self._request.get("notice"):
            sys.stderr.write(f"khive-supervisor: {shown(str(notice))}\n")
            sys.stderr.flush()
        asyncio.run(self._serve())
        return exitcodes.OK

    async def _serve(self) -> None:
        _, server = prepared()
        context = self._context = make_context(self._config, self._request, self._socket_path)
        server.runtime.context = context
        server.runtime.make_context = self._another_context
        server.runtime.thread = thread = VerbThread()
        server.tools.roles = bool(self._config.roles)
        self._hints = HintReceiver(context, thread, server.resources.changed)
        journal = self._journal
        observer = TrafficObserver(
            journal.shake_hands, journal.receive, self._answered, journal.subscribe
        )
        transport = FdTransport(
            self._read_fd,
            self._write_fd,
            self._inbox,
            self._config.session.max_line_bytes,
            observer,
            journal.handshake,
            journal.owed,
            journal.standing,
        )
        self._transport, self._thread, self._context = transport, thread, context
        self._watch_channel()
        if self._socket_path is not None:
            self._link = Link(self._config, self._request, "session", self._socket_path)
            server.runtime.on_client = self._link.update
            context.hint = self._link.hint
            self._stand_in = StandIn(self._socket_path, self._link.supervisor)
            self._start(self._stay_registered())
            server.runtime.on_call = Counting(self._link, context.counts).called
        if self._again is not None:
            self._start(self._come_over(transport, context, thread))
        await _run_server(server, transport)
        self._let_go()
        if self._link is not None:
            self._link.count(context.counts())
        with anyio.move_on_after(CLOSE_DEADLINE):
            await thread.end(context.close)

    async def _come_over(
        self, transport: FdTransport, context: Context, thread: VerbThread
    ) -> None:
        start = Starter(self._request.get("config_file"), others=self._request.get("reserved"))

        async def leave() -> None:
            transport.close()
            start.close()
            with anyio.move_on_after(CLOSE_DEADLINE):
                await thread.end(context.close)
            if self._channel is not None:  # attach waits at its other end, and attaches again
                self._journal.rest()
                self._channel.send(COMES_OVER)
                os._exit(exitcodes.OK)
            become_attach(self._read_fd, self._write_fd, self._again or [])

        await come_over(self._config.store.path, start, lambda: transport.idle, leave)

    def _another_context(self) -> Context:
        """Return a context for a call that waits beside the others."""
        context = make_context(self._config, self._request, self._socket_path)
        if self._link is not None:
            context.hint = self._link.hint
        return context

    def _start(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # --- the channel to attach ------------------------------------------------------------------

    def _let_go(self) -> None:
        """Give the client's pipes back and let attach exit: nobody waits for what is left to do."""
        null = os.open(os.devnull, os.O_RDWR)
        for fd in (1, 2, self._read_fd, self._write_fd):
            os.dup2(null, fd)
        if self._channel is None:
            return
        asyncio.get_running_loop().remove_reader(self._channel)
        try:
            self._channel.sendall(f"X {exitcodes.OK}\n".encode())
        except OSError:
            os._exit(exitcodes.OK)  # attach is gone, and so is the client
        self._channel.close()

    def _watch_channel(self) -> None:
        if self._channel is not None:
            asyncio.get_running_loop().add_reader(self._channel, self._channel_ended)

    def _channel_ended(self) -> None:
        # attach was killed: let go of the client's pipes at once. Unwinding could take a second,
        # and a transaction under way is rolled back by the store, as after any crash.
        os._exit(exitcodes.OK)

    # --- moving to another worker ---------------------------------------------------------------

    def _move(self) -> None:
        """Give the session to a worker of the release that runs now, as soon as no call is at work.

        Without a word on the channel: attach then attaches again, with the journal and the inbox.
        """
        self._moving = True
        self._move_if_quiet()

    def _move_if_quiet(self) -> None:
        if self._moving and self._channel is not None and self._transport.quiet:
            self._moving = False
            self._transport.close()  # what comes from now on is for the next worker
            self._start(self._leave())

    async def _leave(self) -> None:
        log.info("session.moves_on")
        if self._link is not None:
            self._link.count(self._context.counts())
        with anyio.move_on_after(CLOSE_DEADLINE):
            await self._thread.end(self._context.close)
        self._journal.rest()
        os._exit(exitcodes.OK)

    # --- the link to the supervisor -------------------------------------------------------------

    def _answered(self, identifier: Any) -> None:
        self._journal.answer(identifier)
        self._has_answered.set()
        if self._arrived is not None:
            measured.observe(measured.ATTACH, "", max(0.0, time.monotonic() - self._arrived))
            self._arrived = None
        if self._stand_in is not None and self._stand_in.is_due(time.monotonic()):
            self._start(self._stand_in.run())
        if self._moving:
            # After the transport has noted it, too.
            asyncio.get_running_loop().call_soon(self._move_if_quiet)

    async def _stay_registered(self) -> None:
        assert self._link is not None
        # The client waits for its first answer; the supervisor does not wait for this.
        with anyio.move_on_after(REGISTER_AFTER):
            await self._has_answered.wait()
        delay = FIND_AGAIN
        while True:
            if self._link.connect() and await self._follow_hints(self._link.sock):
                delay = FIND_AGAIN
            # Who has looked at them is gone with what it had seen, or there is nobody yet.
            await end_stopped_siblings(self._link.path)
            await asyncio.sleep(delay)
            delay = min(FIND_AGAIN_MAX, delay * 2)

    async def _follow_hints(self, sock: socket.socket | None) -> bool:
        """Act on what the supervisor says, until it is gone; False if it is of another release."""
        assert sock is not None
        assert self._link is not None
        sock.setblocking(False)
        loop = asyncio.get_running_loop()
        decoder = protocol.FrameDecoder()
        try:
            while data := await loop.sock_recv(sock, 65536):
                for message in decoder.feed(data):
                    if message.get("hint") == "end":
                        self._let_go()
                        os._exit(exitcodes.OK)
                    if message.get("hint") == "ping":
                        self._link.hint({"hint": "alive"})
                    if message.get("hint") == "move":
                        self._move()
                    if message.get("hint") == "embedder":
                        self._context.suspect_embedder()
                    if message.get("hint") == "roles":
                        prepared()[1].roles_are(message.get("configured"))
                    if message.get("hint") == "changed" and self._hints is not None:
                        self._hints.changed(message.get("kinds"))
                    if "error" in message:
                        return False
        except KhiveError:
            return False
        except OSError:
            return True
        finally:
            sock.close()
        return True


def _take_pipes(fds: list[int]) -> tuple[int, int]:
    """Make the client's pipes ours: the wire on private numbers, 0 and 1 harmless, 2 its stderr.

    Whatever prints to stdout by accident reaches the client's stderr, never the protocol.
    """
    read_fd, write_fd = os.dup(fds[0]), os.dup(fds[1])
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(fds[2], 2)
    os.dup2(2, 1)
    for fd in {null, *fds} - {0, 1, 2}:
        os.close(fd)
    return read_fd, write_fd
