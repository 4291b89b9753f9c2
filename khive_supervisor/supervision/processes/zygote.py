"""Workers that are forked by the zygote, which has imported everything; it is asked over a channel.

Requests wait while it is being restarted. What a zygote had not read when it ended is given to the
next one: we hold its end as well. Nobody waits for long: a fresh interpreter serves then.
"""

from __future__ import annotations

import collections
import json
import os
import select
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from khive_supervisor import logs
from khive_supervisor.config import snapshot
from khive_supervisor.config.settings.model import Config
from khive_supervisor.control.protocol import MAX_FDS
from khive_supervisor.errors import KhiveError, StoreUnavailable
from khive_supervisor.host import descriptors
from khive_supervisor.supervision.processes.child import Child
from khive_supervisor.supervision.processes.liveness import HangLimits
from khive_supervisor.supervision.processes.process import ProcessLink
from khive_supervisor.supervision.processes.restart import RestartPolicy
from khive_supervisor.supervision.processes.spawner import Spawner, WorkerNews, WorkerRequest
from khive_supervisor.supervision.processes.states import ProcessState

log = logs.get("khive.spawner")

#: It only forks: what it does takes milliseconds.
LIMITS = HangLimits(silent=5.0)
#: Bytes of one request to the zygote; well below a sequenced packet's limit (208 KiB on Linux).
MAX_REQUEST = 128 * 1024
#: Requests that may wait for a zygote that is being restarted.
MAX_WAITING = 256
#: Seconds after which a client that acknowledges is told that it waits for a worker, and after
#: which a request that waits for a zygote is served by a fresh interpreter, which takes one more.
TELL_AFTER, WAIT_AT_MOST = 2.0, 4.0
#: The kind of a message that is no request.
CONFIGURE = "config"


@dataclass(slots=True)
class Waiting:
    """A request that the zygote has not got yet, with descriptors of its own."""

    data: bytes
    fds: list[int]
    since: float

    @property
    def request(self) -> WorkerRequest:
        """Return what is asked for."""
        request: WorkerRequest = json.loads(self.data)
        return request


@dataclass(slots=True)
class Unbegun:
    """A client that no worker has taken up yet, by a descriptor of its channel."""

    channel: int
    since: float
    told: bool = False


class ForkSpawner(Spawner):
    """Asks the zygote, which is its child, to fork; what that cannot serve gets an interpreter."""

    how = "fork"

    def __init__(
        self,
        news: WorkerNews,
        environment: Mapping[str, str],
        policy: RestartPolicy,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`policy` says how the zygote is started again."""
        super().__init__(news, environment)
        self.zygote = Child(
            "zygote",
            "khive_workers.zygote",
            policy,
            environment,
            channels=self._open_channels,
            on_ready=self._flush,
            on_exit=self._zygote_ended,
            limits=LIMITS,
            clock=clock,
        )
        self.children = (self.zygote,)
        self._clock = clock
        self._channel: ProcessLink | None = None
        self._unbegun: dict[str, Unbegun] = {}
        self._waiting: collections.deque[Waiting] = collections.deque()

    def _open_channels(self) -> dict[str, socket.socket]:
        """Return a fresh channel for a zygote that is about to start."""
        self._drop()
        self._channel = ProcessLink(self._take, kind=socket.SOCK_SEQPACKET)
        return {"requests": self._channel.theirs.dup()}

    def spawn(self, request: WorkerRequest, fds: Sequence[int]) -> None:
        """Pass a request on, now or as soon as there is a zygote."""
        if self.zygote.state is ProcessState.FATAL or not self.zygote.well:
            self.zygote.try_again()
            super().spawn(request, fds)
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
        self._waiting.append(Waiting(data, [os.dup(fd) for fd in fds], self._clock()))
        if request.get("kind") == "attach" and request.get("acks"):
            channel = os.dup(fds[-1])
            self._unbegun[str(request["session"])] = Unbegun(channel, self._clock())
        self._flush()

    def configure(self, config: Config) -> None:
        """Give the zygote another configuration, for workers that are asked for after this.

        Raises:
            ConfigError: it is too long to be passed on; nothing was changed.
        """
        data = f'{{"kind": "{CONFIGURE}", "config": {snapshot.dumps(config)}}}'.encode()
        self._waiting.append(Waiting(data, [], self._clock()))
        self._flush()

    def _flush(self) -> None:
        """Send what waits, unless the zygote starts: it calls this when it is ready.

        What does not fit now is sent when it has read more, or at the next look. What it has not
        got yet can still be served otherwise.
        """
        if self.zygote.state is not ProcessState.READY or self._channel is None:
            return
        while self._waiting and self._channel.send(self._waiting[0].data, self._waiting[0].fds):
            _close(self._waiting.popleft().fds)

    def _take(self, data: bytes) -> None:
        if not data:
            return
        message = json.loads(data)
        if "exited" in message:
            worker = str(message.get("worker", ""))
            self._news.worker_exited(message["exited"], message["code"], worker)
        if "began" in message:
            self._forget(str(message.get("session", "")))
            self._news.worker_began(message["began"], message)
            self._flush()

    def _zygote_ended(self) -> None:
        """Hear what it said last, and take back what it had not read."""
        while self._channel is not None and self._channel.read():
            continue
        unread = self._unread()
        self._drop()
        self._waiting.extendleft(reversed(unread))
        kept = {str(one.request.get("session", "")) for one in self._waiting}
        for session in set(self._unbegun) - kept:
            self._forget(session)  # its worker has it, or attach sees that it is lost

    def _unread(self) -> list[Waiting]:
        found: list[Waiting] = []
        while self._channel is not None:
            try:
                theirs = self._channel.theirs
                data, fds = descriptors.receive(theirs, MAX_REQUEST, MAX_FDS, wait=False)
            except BlockingIOError:
                break
            if not data:  # our end is closed
                break
            found.append(Waiting(data, fds, self._clock()))
        return found

    def look(self) -> None:
        """Tell clients that wait for what, and let nobody wait for a zygote for long."""
        now = self._clock()
        self._flush()
        for client in self._unbegun.values():
            if not client.told and now - client.since >= TELL_AFTER:
                client.told = True
                _tell(client.channel, self._why())
        while self._waiting and now - self._waiting[0].since >= WAIT_AT_MOST:
            self._serve_otherwise(self._waiting.popleft())

    def _why(self) -> str:
        pid = f" (pid {self.zygote.pid})" if self.zygote.pid else ""
        how = "does not answer and is being replaced" if not self.zygote.well else "is not ready"
        return f"the process that starts sessions' workers{pid} {how}; waiting for another"

    def _forget(self, session: str) -> None:
        client = self._unbegun.pop(session, None)
        if client is not None:
            os.close(client.channel)

    def _drop(self) -> None:
        if self._channel is not None:
            self._channel.theirs.close()
            self._channel.close()
            self._channel = None

    def reap(self) -> None:
        """Notice interpreters that have ended; serve what waits if no zygote will be had."""
        super().reap()
        while self._waiting and self.zygote.state is ProcessState.FATAL:
            self._serve_otherwise(self._waiting.popleft())

    def _serve_otherwise(self, waiting: Waiting) -> None:
        """Let a fresh interpreter serve a request."""
        request = waiting.request
        if _has_left(request, waiting.fds):
            self._forget(str(request["session"]))  # an interpreter would begin with nobody
        elif request.get("kind") != CONFIGURE:  # fresh interpreters get it with their environment
            self._forget(str(request.get("session", "")))
            try:
                super().spawn(request, waiting.fds)
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


def _has_left(request: WorkerRequest, fds: Sequence[int]) -> bool:
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
