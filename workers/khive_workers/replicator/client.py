"""One connection of a process that writes."""

from __future__ import annotations

import select
import socket
import time

from khive_supervisor.team.messages import Garbled, MessageReader, TurnMessage

_RECEIVE_BYTES = 1 << 20
#: Seconds that a writer may take to read its answer.
_SEND_DEADLINE = 2.0


class WriterConnection:
    """Reads and writes whole messages; None and False stand for the other side's end.

    Attributes:
        ahead: the turn that it is served is one that it was given ahead, and has taken so.
    """

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self.sock = sock
        self.ahead = False
        self._reader = MessageReader()
        self._waiting: list[TurnMessage] = []

    def fileno(self) -> int:
        """Return its descriptor."""
        return self.sock.fileno()

    def read(self) -> bool:
        """Take what has arrived; return False at the other side's end."""
        try:
            data = self.sock.recv(_RECEIVE_BYTES)
        except BlockingIOError:
            return True
        except OSError:
            return False
        try:
            self._waiting += self._reader.feed(data)
        except Garbled:
            return False
        return bool(data)

    def next(self) -> TurnMessage | None:
        """Return the next message that is there, if any."""
        return self._waiting.pop(0) if self._waiting else None

    def put_back(self, message: TurnMessage) -> None:
        """Have a message be the next one again."""
        self._waiting.insert(0, message)

    def wait(self, seconds: float) -> TurnMessage | None:
        """Return the next message, waiting for it.

        Raises:
            TimeoutError: none came in time.
            ConnectionError: none will come.
        """
        until = time.monotonic() + seconds
        while not self._waiting:
            left = until - time.monotonic()
            if left <= 0 or not select.select([self.sock], [], [], left)[0]:
                raise TimeoutError
            if not self.read():
                raise ConnectionResetError
        return self._waiting.pop(0)

    def send(self, message: TurnMessage) -> bool:
        """Send a message; return False if nobody reads it."""
        try:
            self.sock.settimeout(_SEND_DEADLINE)
            self.sock.sendall(message.encode())
            self.sock.setblocking(False)
        except OSError:
            return False
        return True

    def close(self) -> None:
        """Close it."""
        self.sock.close()
