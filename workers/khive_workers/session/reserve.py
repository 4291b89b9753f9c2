"""The reserve: a session that serves itself, and forks for others that would have to.

It is its client's own process: not a supervisor, and no more than a stand-in for one. It has loaded
what a session needs, has no thread and no store, and forks one child for its own client, and one
for each that offers itself. It goes when its own client does, or a supervisor is back; the others'
children go on without it.
"""

from __future__ import annotations

import argparse
import os
import select
import socket
import time
from collections.abc import Callable
from contextlib import suppress

from khive_supervisor import __version__, exitcodes
from khive_supervisor.access import lineage
from khive_supervisor.attach import reserve
from khive_supervisor.control import protocol
from khive_supervisor.control.client import peer
from khive_supervisor.errors import KhiveError
from khive_supervisor.host import descriptors
from khive_supervisor.text.plain_json import JsonObject
from khive_workers.common import runtime
from khive_workers.common.halted import LOOK_EVERY, Halted

#: Seconds in which who connects must have sent its hello, which it does at once.
HELLO_WITHIN = 0.5
#: Who may wait for a child at once.
BACKLOG = 128
#: Bytes of a hello, and of an environment that is read.
MOST = 1 << 20
#: Own children that are lost, after which the session looks for somebody else.
MAX_LOST = 10
#: Descriptors that come with a hello: stdin, stdout, stderr, journal, inbox.
OFFERED = 5

Serve = Callable[[argparse.Namespace, list[int], str, bool], int]


class ForkReserve:
    """Forks; used by one process that has nothing else to do."""

    def __init__(self, lock: int, own: list[int], serve: Serve) -> None:
        """Args: the lock's descriptor; the own client's; what serves, and never returns to us."""
        self._lock = lock
        self._own = own
        self._serve = serve
        self._path = reserve.socket_path()
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._halted = Halted()
        self._channel: socket.socket | None = None

    def run(self, options: argparse.Namespace) -> int | None:
        """Serve until the own client is gone: the exit code; None if it is to attach again."""
        os.set_inheritable(self._lock, False)
        self._listen()
        try:
            for _ in range(MAX_LOST):
                self._channel = self._serve_own(options)
                said = self._until_end(self._channel)
                self._channel.close()
                if said:
                    return _code(said)
            return None
        finally:
            self._leave()

    def _leave(self) -> None:
        """Fork for those who have come already, and for nobody else."""
        with suppress(OSError):
            os.unlink(self._path)
        while select.select([self._listener], [], [], 0)[0]:
            self._take_next()
        self._halted.end_stopped()

    def _serve_own(self, options: argparse.Namespace) -> socket.socket:
        """Fork for our own client: our end of the channel."""
        ours, its = socket.socketpair()

        def become() -> int:
            ours.close()
            return self._serve(options, [*self._own, its.detach()], "", True)

        self._fork(become)
        its.close()
        return ours

    def _listen(self) -> None:
        """Listen for other sessions; where that is impossible, serve none of them."""
        with suppress(OSError):
            if os.path.lexists(self._path):
                os.unlink(self._path)  # of one that was killed: the lock is ours
            self._listener.bind(self._path)
            os.chmod(self._path, 0o600)
            self._listener.listen(BACKLOG)
            self._listener.setblocking(False)

    def _until_end(self, channel: socket.socket) -> bytes:
        """Serve others until the own child has ended: its last word, if it had one."""
        said = b""
        while True:
            ready, _, _ = select.select([channel, self._listener], [], [], LOOK_EVERY)
            self._halted.look(time.monotonic())
            if channel in ready:
                data = channel.recv(4096)
                said += data
                if not data:
                    return said.removeprefix(b"W\n")
            if self._listener in ready:
                self._take_next()

    def _take_next(self) -> None:
        with suppress(OSError, KhiveError, LookupError, ValueError, TypeError):
            self._take_one()

    def _take_one(self) -> None:
        """Fork for one who has connected; what is no hello is let go."""
        conn, _ = self._listener.accept()
        with conn:
            conn.settimeout(HELLO_WITHIN)
            data, fds = descriptors.receive(conn, MOST, OFFERED)
            try:
                hello = _hello(conn, data)
                pid, uid = _peer(conn)
                if uid != os.getuid() or len(fds) != OFFERED or hello["release"] != __version__:
                    return
                environment = _environment(pid)
                conn.settimeout(None)
                conn.send(b"T\n")
                session = lineage.session_name(pid) or ""
                self._fork(lambda: self._become(hello, environment, fds, conn, session))
            finally:
                for fd in fds:
                    os.close(fd)

    def _become(
        self,
        hello: JsonObject,
        environment: dict[bytes, bytes],
        fds: list[int],
        conn: socket.socket,
        session: str,
    ) -> int:
        for fd in self._own[3:]:
            os.close(fd)
        assert self._channel is not None
        self._channel.close()
        ignored = [(str(name), str(value)) for name, value in hello.get("ignored", [])]
        os.environb.clear()
        os.environb.update(environment)
        for name, _ in ignored:
            os.environ.pop(name, None)
        os.chdir(hello["cwd"])
        options = argparse.Namespace(
            config=hello["config"], ignored=[f"{name}={value}" for name, value in ignored]
        )
        return self._serve(options, [*fds, conn.detach()], session, False)

    def _fork(self, work: Callable[[], int]) -> None:
        if os.fork():
            return
        code = exitcodes.FAILURE
        try:
            os.setsid()
            os.close(self._lock)
            self._listener.close()
            code = work()
        finally:
            # Whatever happened: a forked child never runs on into its parent's loop.
            os._exit(code)


def _code(said: bytes) -> int | None:
    """Return the exit code that the own child has said; None if it has said that it comes over."""
    for line in said.splitlines():
        if line.startswith(b"X "):
            return int(line[2:])
    return None


def _hello(conn: socket.socket, data: bytes) -> JsonObject:
    decoder = protocol.FrameDecoder()
    while not (messages := decoder.feed(data)):
        data = conn.recv(MOST)
        if not data or decoder.pending > MOST:
            raise ValueError("no hello")
    return messages[0]


def _peer(conn: socket.socket) -> tuple[int, int]:
    pid, uid = peer(conn)
    return pid or 0, -1 if uid is None else uid


def _environment(pid: int) -> dict[bytes, bytes]:
    """The environment of a process as it was started: the one that its own interpreter would have.

    Raises OSError.
    """
    with open(f"/proc/{pid}/environ", "rb") as file:
        pairs = (line.partition(b"=") for line in file.read(MOST).split(b"\0"))
        return {name: value for name, mark, value in pairs if mark}


def run(options: argparse.Namespace, serve: Serve) -> int | None:
    """Serve the own client and fork for others, until the own one is gone; return the exit code.

    None: attach again. The caller has loaded what a session needs, and has no thread.
    """
    runtime.name_process("khive-reserve")
    own = [0, 1, 2, options.journal, options.inbox]
    return ForkReserve(options.reserve, own, serve).run(options)
