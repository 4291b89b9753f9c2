"""The client's side of the control socket: used by the command line and by workers."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import sys
import time
from collections.abc import Callable
from typing import Any, Self

from khive_supervisor.control import protocol
from khive_supervisor.errors import (
    Denied,
    KhiveError,
    NotRunning,
    OtherStore,
    ProtocolError,
    Unresponsive,
    VersionMismatch,
    from_dict,
)
from khive_supervisor.host import holder, paths
from khive_supervisor.host.processes import stopped
from khive_supervisor.text.plain_json import JsonObject

#: Seconds to wait for an answer of the supervisor's own (status, stop): it never blocks on work.
CONTROL_DEADLINE = 30.0
#: The same of those that wait for tasks at work: the longest drain_deadline, and a little.
WORK_DEADLINE = 86_400.0 + 600.0
_WAITING = frozenset({"reload", "roles.drain", "roles.resume", "upgrade"})
#: Seconds to wait for one step of a verb (an answer or a progress report).
VERB_DEADLINE = 600.0

#: Seconds in which whoever listens says that he is there: he never does anything else meanwhile.
ANSWER_DEADLINE = 4.0
#: Seconds of silence after which one that is stopped is not waited for any longer.
SUSPECT_AFTER = 1.0
#: Seconds between two attempts while the supervisor's queue is full.
TRY_AGAIN = 0.05
_OTHERS_SOCKET = "Set KHIVE_SOCKET to a path in a directory of yours."

Progress = Callable[[JsonObject], None]


def connect(path: str, *, deadline: float = CONTROL_DEADLINE) -> socket.socket:
    """Return a connected socket to the supervisor, which is a process of our own user.

    Raises:
        NotRunning: nobody listens there.
        Unresponsive: so many wait there already that it must hang.
        Denied: the socket is somebody else's, or others could replace it.
    """
    check_socket_path(path)
    if why := holder.unsafe(path):
        raise Denied(f"Nothing is sent there: {why}.", hint=_OTHERS_SOCKET)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.settimeout(ANSWER_DEADLINE)
    try:
        _connect(sock, path)
        check_peer(sock, path)
        sock.settimeout(deadline)
    except KhiveError:
        sock.close()
        raise
    except (FileNotFoundError, ConnectionRefusedError):
        sock.close()
        raise NotRunning(
            f"No supervisor is running at {path}.",
            hint="Start one with `khive-supervisor start --background`.",
        ) from None
    except OSError as error:
        sock.close()
        raise NotRunning(
            f"The supervisor's socket {path} cannot be reached: {error.strerror or error}.",
            hint="Run `khive-supervisor doctor`; in a sandbox, set KHIVE_NO_DAEMON=1.",
        ) from error
    return sock


def _connect(sock: socket.socket, path: str) -> None:
    until = time.monotonic() + ANSWER_DEADLINE
    while True:
        try:
            sock.connect(path)
        except BlockingIOError:  # its queue is full: of many who come at once, or for good
            if time.monotonic() > until:
                raise unresponsive(None, path) from None
            time.sleep(TRY_AGAIN)
        else:
            return


def check_peer(sock: socket.socket, path: str) -> None:
    """Refuse another user's process at the other end, before anything is sent.

    Raises:
        Denied: it is one.
    """
    _, uid = peer(sock)
    if uid is not None and uid != os.getuid():
        raise Denied(f"The socket {path} belongs to another user (uid {uid}).", hint=_OTHERS_SOCKET)


def peer(sock: socket.socket) -> tuple[int | None, int | None]:
    """Return the process and the user at the other end, where the kernel tells."""
    if sys.platform != "linux":
        return None, None
    pid, uid, _ = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return pid, uid


def unresponsive(pid: int | None, path: str) -> Unresponsive:
    """Return the error of a supervisor that does not answer, with what to do about it."""
    state = " (it is stopped)" if pid is not None and stopped(pid) else ""
    who = f"The supervisor (pid {pid})" if pid is not None else "The supervisor"
    number = pid if pid is not None else "PID"
    return Unresponsive(
        f"{who} at {path} does not answer{state}.",
        hint=f"`kill -CONT {number}` lets one go on that was stopped; `kill -9 {number}` ends one "
        "that hangs. Nothing that was acknowledged is lost, and the next attach starts another.",
    )


def check_socket_path(path: str) -> None:
    """Refuse a path that the kernel would.

    Raises:
        KhiveError: longer than a Unix socket's path may be.
    """
    length = len(path.encode("utf-8", "surrogateescape"))
    if length > paths.SOCKET_PATH_LIMIT:
        raise KhiveError(
            f"The socket path has {length} bytes; {paths.SOCKET_PATH_LIMIT} are allowed: {path}",
            hint="Set KHIVE_SOCKET to a shorter path, the same for every client.",
        )


def owner(path: str) -> int | None:
    """Return the process that listens at a socket, where the kernel tells; raises NotRunning."""
    with connect(path) as sock:
        return peer(sock)[0]


class ControlClient:
    """One conversation with the supervisor, or with a worker that it hands the connection to.

    Raises:
        OtherStore: who listens serves another store.
        Unresponsive: somebody listens and does not answer. That is known in seconds, whatever the
            requests may take.
    """

    def __init__(self, path: str, kind: str = "control", **fields: Any) -> None:
        deadline = CONTROL_DEADLINE if kind == "control" else VERB_DEADLINE
        self.path = path
        self._connection = protocol.Connection(connect(path, deadline=deadline))
        self._next = 0
        if kind == "control":
            self._send(protocol.hello(kind, **fields) + protocol.encode({"id": 0, "op": "ping"}))
        else:
            self._send(protocol.hello(kind, acks=True, **fields))
        try:
            first = self._first()
        except TimeoutError:
            pid = peer(self._connection.sock)[0]
            self.close()
            raise unresponsive(pid, path) from None
        except VersionMismatch:
            self.close()
            raise
        except (ConnectionError, ProtocolError):
            return  # what it said, or did not say, is the answer to the request
        if first is not None and (first.get("error") or {}).get("code") == OtherStore.code:
            self.close()
            raise from_dict(first["error"])

    def _first(self) -> JsonObject | None:
        """Return what the other side says first; raises TimeoutError if it says nothing."""
        try:
            return self._connection.peek(SUSPECT_AFTER)
        except TimeoutError:
            pid = peer(self._connection.sock)[0]
            if pid is not None and stopped(pid):
                raise
        return self._connection.peek(ANSWER_DEADLINE - SUSPECT_AFTER)

    def _send(self, frame: bytes) -> None:
        """Send a frame; if the other side has ended already, what it said is still to be read."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._connection.sock.sendall(frame)

    def request(
        self, operation: str, args: JsonObject | None = None, progress: Progress | None = None
    ) -> JsonObject:
        """Ask and wait for the answer; progress reports go to `progress`.

        Raises:
            KhiveError: what the other side answered, with its own type.
            ProtocolError: the connection ended before the answer. The request may have taken
                effect: it is never sent again by itself.
        """
        self._next += 1
        if operation in _WAITING:
            self._connection.sock.settimeout(WORK_DEADLINE)
        try:
            self._send(protocol.encode({"id": self._next, "op": operation, "args": args or {}}))
            while (message := self._connection.receive()) is not None:
                if "error" in message:
                    raise from_dict(message["error"])
                if message.get("id") != self._next:
                    continue
                if "progress" in message:
                    if progress is not None:
                        progress(message["progress"])
                    continue
                result: JsonObject = message["result"]
                return result
        except TimeoutError:
            raise ProtocolError(
                f"The supervisor did not answer `{operation}` in time.",
                hint="It may still be at it; look with `khive-supervisor status`.",
            ) from None
        except ConnectionError as error:
            raise self._lost(operation, error) from error
        raise self._lost(operation, None)

    @staticmethod
    def _lost(operation: str, error: OSError | None) -> ProtocolError:
        why = f" ({error})" if error else ""
        return ProtocolError(
            f"The connection ended before `{operation}` was answered{why}.",
            hint="It may or may not have taken effect; look before you repeat it.",
        )

    def close(self) -> None:
        """Close the connection; idempotent."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
