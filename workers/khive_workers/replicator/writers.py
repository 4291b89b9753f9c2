"""The connections of this node's processes: who asks for a turn, and who something of the log."""

from __future__ import annotations

import os
import select
import selectors
import socket
import time
from collections import deque
from collections.abc import Callable

from khive_supervisor import logs
from khive_supervisor.control.client import peer
from khive_supervisor.team.messages import Garbled, MessageKind, MessageReader, TurnMessage
from khive_supervisor.team.turns import LONGEST_TURN

log = logs.get("khive.replicator")

_RECEIVE_BYTES = 1 << 16
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
        data = message.encode()
        try:
            if (sent := self._sent(data)) < len(data):
                self.sock.settimeout(_SEND_DEADLINE)
                self.sock.sendall(data[sent:])
                self.sock.setblocking(False)
        except OSError:
            return False
        return True

    def _sent(self, data: bytes) -> int:
        """Send what can be sent without waiting; return how much that is."""
        try:
            return self.sock.send(data)
        except BlockingIOError:
            return 0

    def close(self) -> None:
        """Close it."""
        self.sock.close()


class Writers:
    """Those that are connected, and what they have asked for, in their order.

    Attributes:
        asking: those whose turn is to be served.
        readers: those that want to know something of the log, and what.
        promised: who was given the next turn ahead: what it says may be of that turn.
    """

    def __init__(self, selector: selectors.BaseSelector) -> None:
        self.asking: deque[WriterConnection] = deque()
        self.readers: list[tuple[WriterConnection, TurnMessage]] = []
        self.promised: WriterConnection | None = None
        self._selector = selector
        self._connected: set[WriterConnection] = set()

    def __len__(self) -> int:
        return len(self._connected)

    def accept(self, listening: socket.socket) -> None:
        """Take a connection, if it is one of this user's."""
        try:
            sock, _ = listening.accept()
        except OSError as error:
            log.warning("team.not_accepted", error=str(error))
            return
        if peer(sock)[1] not in (None, os.getuid()):
            sock.close()
            return
        writer = WriterConnection(sock)
        self._connected.add(writer)
        self._selector.register(
            writer, selectors.EVENT_READ, lambda: self.take(writer, alive=writer.read())
        )

    def take(self, writer: WriterConnection, *, alive: bool) -> None:
        """Take what a writer has said outside of a turn; not `alive`: it will say nothing more."""
        while (message := writer.next()) is not None:
            if message.kind is MessageKind.TAKE:
                writer.ahead = False
                self.asking.append(writer)
            elif message.kind in (MessageKind.CATCH_UP, MessageKind.FIND):
                self.readers.append((writer, message))
            elif writer is self.promised:
                writer.ahead = True
                writer.put_back(message)
                self.asking.append(writer)
                break
            elif message.kind is not MessageKind.GIVE_BACK:  # of a turn that was over already
                alive = False
        if not alive:
            self._drop(writer)

    def take_arrived(self) -> None:
        """Take what has arrived by now; never waits."""
        for key, _ in self._selector.select(0):
            if key.fileobj in self._connected:
                key.data()

    def wait(self, until: float) -> bool:
        """Wait until somebody asks for a turn, or a moment; return whether anybody does."""
        self._wait(lambda: bool(self.asking), until)
        return bool(self.asking)

    def keep_for(self, writer: WriterConnection, until: float, taken: Callable[[], bool]) -> None:
        """Wait for a writer that was given the turn ahead; it has it before all others then.

        It has to have taken it at the moment `until`, of which `taken` tells.
        """
        self.promised = writer
        self._wait(lambda: self._has_come(writer), until)
        if not self._has_come(writer) and taken():
            self._wait(lambda: self._has_come(writer), until + LONGEST_TURN)
            if not self._has_come(writer):
                self._drop(writer)  # whatever it hands over is nothing then
        self.promised = None
        if writer in self.asking:
            self.asking.remove(writer)
            self.asking.appendleft(writer)

    def _has_come(self, writer: WriterConnection) -> bool:
        return writer in self.asking or writer not in self._connected

    def _wait(self, done: Callable[[], bool], until: float) -> None:
        self.take_arrived()
        while not done() and (left := until - time.monotonic()) > 0:
            poll, by_number = select.poll(), {one.fileno(): one for one in self._connected}
            for number in by_number:
                poll.register(number, select.POLLIN)
            for number, _ in poll.poll(left * 1000):
                writer = by_number[number]
                self.take(writer, alive=writer.read())

    def close(self) -> None:
        """Close all connections."""
        for writer in list(self._connected):
            self._drop(writer)

    def _drop(self, writer: WriterConnection) -> None:
        if writer in self._connected:
            self._connected.discard(writer)
            self.asking = deque(one for one in self.asking if one is not writer)
            self.readers = [one for one in self.readers if one[0] is not writer]
            self._selector.unregister(writer)
            writer.close()
