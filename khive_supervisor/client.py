"""The client's side of the control socket: used by the command line and by workers."""

from __future__ import annotations

import contextlib
import socket
import struct
import sys
from collections.abc import Callable
from typing import Any, Self

from khive_supervisor import paths, protocol
from khive_supervisor.errors import KhiveError, NotRunning, ProtocolError, from_dict

#: Seconds to wait for an answer of the supervisor's own (status, stop): it never blocks on work.
CONTROL_DEADLINE = 30.0
#: The same of those that wait for tasks at work: the longest drain_deadline, and a little.
WORK_DEADLINE = 86_400.0 + 600.0
_WAITING = frozenset({"reload", "roles.drain", "roles.resume"})
#: Seconds to wait for one step of a verb (an answer or a progress report).
VERB_DEADLINE = 600.0

Progress = Callable[[dict[str, Any]], None]


def connect(path: str, *, deadline: float = CONTROL_DEADLINE) -> socket.socket:
    """A connected socket to the supervisor.

    Raises:
        NotRunning: nobody listens there.
    """
    check_socket_path(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.settimeout(deadline)
    try:
        sock.connect(path)
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
    """The process that listens at a socket, where the kernel tells; raises NotRunning."""
    with connect(path) as sock:
        if sys.platform != "linux":
            return None
        credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        pid: int = struct.unpack("3i", credentials)[0]
        return pid


class ControlClient:
    """One conversation with the supervisor, or with a worker that it hands the connection to."""

    def __init__(self, path: str, kind: str = "control", **fields: Any) -> None:
        deadline = CONTROL_DEADLINE if kind == "control" else VERB_DEADLINE
        self._connection = protocol.Connection(connect(path, deadline=deadline))
        self._send(protocol.hello(kind, **fields))
        self._next = 0

    def _send(self, frame: bytes) -> None:
        """Send a frame; if the other side has ended already, what it said is still to be read."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._connection.sock.sendall(frame)

    def request(
        self, operation: str, args: dict[str, Any] | None = None, progress: Progress | None = None
    ) -> dict[str, Any]:
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
                result: dict[str, Any] = message["result"]
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
