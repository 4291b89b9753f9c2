"""Starting workers: forked by the zygote, or as fresh interpreters.

A request carries what the worker is for, and descriptors: for a session the client's stdin, stdout,
stderr and the channel to `attach`; for verbs only the connection itself; for a role the queue.
Descriptors stay the caller's.
"""

from __future__ import annotations

import asyncio
import collections
import json
import os
import select
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from khive_supervisor import logs
from khive_supervisor.config import snapshot
from khive_supervisor.config.settings.model import Config
from khive_supervisor.control.protocol import MAX_FDS
from khive_supervisor.errors import KhiveError, StoreUnavailable
from khive_supervisor.supervision.processes.child import SINGLE_THREADED, Child, describe_exit
from khive_supervisor.supervision.processes.restart import ChildState

log = logs.get("khive.spawner")

#: Bytes of one request to the zygote; well below a sequenced packet's limit (208 KiB on Linux).
MAX_REQUEST = 128 * 1024
#: Requests that may wait for a zygote that is being restarted.
MAX_WAITING = 256

#: Seconds after which a client that acknowledges is told that it waits for a worker, and after
#: which a request that waits for a zygote is served by a fresh interpreter, which takes one more.
TELL_AFTER, WAIT_AT_MOST = 2.0, 4.0

#: The kind of a message that is no request: sessions' own are "attach" and "verbs".
CONFIGURE = "config"
#: What runs a request of a kind, when it is started as a fresh interpreter; sessions otherwise.
MODULES = {"role": "khive_workers.role"}


@dataclass(frozen=True, slots=True)
class Exit:
    """A worker has ended: its process, its exit code (negative: a signal), who it was."""

    pid: int
    code: int
    #: The "worker" of its request; empty for a session's.
    worker: str = ""

    @property
    def how(self) -> str:
        """The same for people."""
        return describe_exit(self.code)


OnExit = Callable[[Exit], None]


@dataclass(frozen=True, slots=True)
class Begin:
    """A process has taken up a request: of a session or a worker, for a client's process if any."""

    pid: int
    session: str = ""
    worker: str = ""
    client: int = 0


OnBegin = Callable[[Begin], None]


def _begin_of(pid: int, request: Mapping[str, Any]) -> Begin:
    client = request.get("pid")
    return Begin(
        pid,
        str(request.get("session", "")),
        str(request.get("worker", "")),
        client if isinstance(client, int) else 0,
    )


class Spawner(Protocol):
    """Something that starts workers."""

    def spawn(self, request: dict[str, Any], fds: Sequence[int]) -> None:
        """Start a worker for a request; raises KhiveError when that is impossible now."""

    def configure(self, config: Config) -> None:
        """Start workers by another configuration from now on."""

    def reap(self) -> None:
        """Notice workers that have ended."""

    def look(self) -> None:
        """See to requests that wait for long."""


@dataclass(slots=True)
class Waiting:
    """A request that the zygote has not got yet, with descriptors of its own."""

    data: bytes
    fds: list[int]
    since: float

    @property
    def request(self) -> dict[str, Any]:
        """What is asked for."""
        request: dict[str, Any] = json.loads(self.data)
        return request


@dataclass(slots=True)
class Unbegun:
    """A client that no worker has taken up yet, by a descriptor of its channel."""

    request: dict[str, Any]
    channel: int
    since: float
    told: bool = False


@dataclass(slots=True)
class ForkSpawner:
    """Ask the zygote to fork; requests wait while it is being restarted.

    What a zygote had not read when it ended is given to the next one: we hold its end as well.
    """

    on_exit: OnExit
    fallback: Spawner
    zygote: Child | None = None
    on_begin: OnBegin = lambda _begin: None
    clock: Callable[[], float] = time.monotonic
    _channel: socket.socket | None = None
    _theirs: socket.socket | None = None
    _unbegun: dict[str, Unbegun] = field(default_factory=dict)
    _waiting: collections.deque[Waiting] = field(default_factory=collections.deque)

    def open_channels(self) -> dict[str, socket.socket]:
        """A fresh channel for a zygote that is about to start."""
        self._drop()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        self._channel, self._theirs = ours, theirs.dup()
        asyncio.get_running_loop().add_reader(ours, self._on_message)
        return {"requests": theirs}

    def spawn(self, request: dict[str, Any], fds: Sequence[int]) -> None:
        """Pass a request on, now or as soon as there is a zygote."""
        if self.zygote is not None and (
            self.zygote.state is ChildState.FATAL or not self.zygote.well
        ):
            self.zygote.try_again()
            self.fallback.spawn(request, fds)
            return
        data = json.dumps(request).encode()
        if len(data) > MAX_REQUEST:
            raise KhiveError(
                f"The worker's request has {len(data)} bytes; at most {MAX_REQUEST} are allowed.",
                hint="Forward fewer or shorter environment variables.",
            )
        if len(self._waiting) >= MAX_WAITING:
            raise StoreUnavailable(
                f"{MAX_WAITING} sessions already wait for a worker.",
                hint="Try again; `khive-supervisor status` shows the state of the zygote.",
            )
        self._waiting.append(Waiting(data, [os.dup(fd) for fd in fds], self.clock()))
        if request.get("kind") == "attach" and request.get("acks"):
            channel = os.dup(fds[-1])
            self._unbegun[str(request["session"])] = Unbegun(request, channel, self.clock())
        self.flush()

    def configure(self, config: Config) -> None:
        """Give the zygote another configuration, for workers that are asked for after this.

        Raises:
            ConfigError: it is too long to be passed on; nothing was changed.
        """
        data = f'{{"kind": "{CONFIGURE}", "config": {snapshot.dumps(config)}}}'.encode()
        self._waiting.append(Waiting(data, [], self.clock()))
        self.flush()

    def flush(self) -> None:
        """Send what waits, unless the zygote starts: it calls this when it is ready.

        What it has not got yet can still be served otherwise.
        """
        if self.zygote is not None and self.zygote.state is not ChildState.READY:
            return
        loop = asyncio.get_running_loop()
        while self._waiting and self._channel is not None:
            request = self._waiting[0]
            try:
                if request.fds:
                    socket.send_fds(self._channel, [request.data], request.fds)
                else:
                    self._channel.send(request.data)
            except BlockingIOError:
                loop.add_writer(self._channel, self._on_writable)
                return
            except OSError:
                return  # the zygote has died; its successor gets the request
            self._waiting.popleft()
            _close(request.fds)

    def _on_writable(self) -> None:
        if self._channel is not None:
            asyncio.get_running_loop().remove_writer(self._channel)
        self.flush()

    def _on_message(self) -> None:
        assert self._channel is not None
        try:
            data = self._channel.recv(4096)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._drop()
            return
        message = json.loads(data)
        if "exited" in message:
            worker = str(message.get("worker", ""))
            self.on_exit(Exit(message["exited"], message["code"], worker))
        if "began" in message:
            self._forget(str(message.get("session", "")))
            self.on_begin(_begin_of(message["began"], message))

    def zygote_ended(self) -> None:
        """Hear what it said last, and take back what it had not read."""
        while self._channel is not None and _readable(self._channel):
            self._on_message()
        unread = self._unread()
        self._drop()
        self._waiting.extendleft(reversed(unread))
        kept = {str(one.request.get("session", "")) for one in self._waiting}
        for session in set(self._unbegun) - kept:
            self._forget(session)  # its worker has it, or attach sees that it is lost

    def _unread(self) -> list[Waiting]:
        found: list[Waiting] = []
        while self._theirs is not None and _readable(self._theirs):
            data, fds, _, _ = socket.recv_fds(
                self._theirs, MAX_REQUEST, MAX_FDS, getattr(socket, "MSG_CMSG_CLOEXEC", 0)
            )
            if not data:
                break
            found.append(Waiting(data, list(fds), self.clock()))
        return found

    def look(self) -> None:
        """Tell clients that wait for what, and let nobody wait for a zygote for long."""
        now = self.clock()
        for client in self._unbegun.values():
            if not client.told and now - client.since >= TELL_AFTER:
                client.told = True
                _tell(client.channel, self._why())
        while self._waiting and now - self._waiting[0].since >= WAIT_AT_MOST:
            self._serve_otherwise(self._waiting.popleft())

    def _why(self) -> str:
        assert self.zygote is not None
        pid = f" (pid {self.zygote.pid})" if self.zygote.pid else ""
        how = "does not answer and is being replaced" if not self.zygote.well else "is not ready"
        return f"the process that starts sessions' workers{pid} {how}; waiting for another"

    def _forget(self, session: str) -> None:
        client = self._unbegun.pop(session, None)
        if client is not None:
            os.close(client.channel)

    def _drop(self) -> None:
        if self._theirs is not None:
            self._theirs.close()
            self._theirs = None
        if self._channel is not None:
            loop = asyncio.get_running_loop()
            loop.remove_reader(self._channel)
            loop.remove_writer(self._channel)
            self._channel.close()
            self._channel = None

    def reap(self) -> None:
        """The zygote reaps its own; the fallback's are ours, and its work if there is none left."""
        self.fallback.reap()
        while self._waiting and self.zygote is not None and self.zygote.state is ChildState.FATAL:
            self._serve_otherwise(self._waiting.popleft())

    def _serve_otherwise(self, waiting: Waiting) -> None:
        """Let a fresh interpreter serve a request."""
        request = waiting.request
        if _has_left(request, waiting.fds):
            self._forget(str(request["session"]))  # an interpreter would begin with nobody
        elif request.get("kind") != CONFIGURE:  # fresh interpreters get it with their environment
            self._forget(str(request.get("session", "")))
            try:
                self.fallback.spawn(request, waiting.fds)
            except OSError as error:
                log.error("spawner.failed", error=str(error))
        _close(waiting.fds)

    def close(self) -> None:
        """Let go of everything; the zygote ends when it sees that."""
        self._drop()
        for session in list(self._unbegun):
            self._forget(session)
        while self._waiting:
            _close(self._waiting.popleft().fds)


def _close(fds: Sequence[int]) -> None:
    for fd in fds:
        os.close(fd)


def _readable(sock: socket.socket) -> bool:
    return bool(select.select([sock], [], [], 0)[0])


def _has_left(request: Mapping[str, Any], fds: Sequence[int]) -> bool:
    """Return whether the client of a request has shut its channel: it serves itself by now."""
    if request.get("kind") != "attach" or not request.get("acks"):
        return False
    poll = select.poll()
    poll.register(fds[-1], 0)  # the end is always reported
    return bool(poll.poll(0))


def _tell(channel: int, text: str) -> None:
    """Say something to a client that waits for its worker; see docs/protocol.md, attach."""
    copy = socket.socket(fileno=os.dup(channel))
    with copy:
        try:
            copy.send(f"M 0 {text}\n".encode(), socket.MSG_DONTWAIT)
        except OSError as error:
            log.debug("spawner.untold", error=str(error))


@dataclass(slots=True)
class ExecSpawner:
    """Start each worker as a fresh interpreter: slower and larger, and safe everywhere."""

    on_exit: OnExit
    environment: dict[str, str]
    module: str
    modules: Mapping[str, str] = field(default_factory=lambda: MODULES)
    on_begin: OnBegin = lambda _begin: None
    _workers: dict[int, tuple[subprocess.Popen[bytes], str]] = field(default_factory=dict)

    def spawn(self, request: dict[str, Any], fds: Sequence[int]) -> None:
        """Start one worker that owns copies of the descriptors."""
        numbers = ",".join(str(fd) for fd in fds)
        module = self.modules.get(str(request.get("kind")), self.module)
        argv = [sys.executable, "-P", "-m", module, "--fds", numbers]
        # A file, since a pipe that is full would make the supervisor wait for the worker.
        with tempfile.TemporaryFile() as file:
            file.write(json.dumps(request).encode())
            file.seek(0)
            process = subprocess.Popen(
                argv,
                stdin=file,
                stdout=subprocess.DEVNULL,
                pass_fds=tuple(fds),
                start_new_session=True,
                cwd="/",
                env={**SINGLE_THREADED, **self.environment},
            )
        self._workers[process.pid] = process, str(request.get("worker", ""))
        self.on_begin(_begin_of(process.pid, request))

    def configure(self, config: Config) -> None:
        """Nothing is kept here: each worker gets the environment as it is when it starts."""

    def look(self) -> None:
        """Nothing waits here."""

    def reap(self) -> None:
        """Forget workers that have ended."""
        for pid, (process, worker) in list(self._workers.items()):
            if process.poll() is not None:
                del self._workers[pid]
                self.on_exit(Exit(pid, process.returncode, worker))
