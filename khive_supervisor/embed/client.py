"""The embedder for every process but one: asks the embedder process over its Unix socket.

Cheap to make and to import: it connects when it is first asked, and onnxruntime is never loaded
here. What crosses the socket is described in `khive_supervisor.embed.wire`.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from khive_supervisor.control.client import check_peer
from khive_supervisor.control.protocol import Frames
from khive_supervisor.embed import wire
from khive_supervisor.embed.base import TEXT_LIMIT, Vectors
from khive_supervisor.errors import EmbedderUnavailable, KhiveError, ProtocolError
from khive_supervisor.host import holder

#: Seconds that a connection may take to be accepted and greeted.
CONNECT_DEADLINE = 1.0
#: Texts of one request: 0.2 s of work at most, so that the deadline holds in a crowd, too.
PART_TEXTS = 16
#: Seconds for one request, waiting behind others included.
REQUEST_DEADLINE = 10.0
#: Seconds for a single text, which takes 1 ms: a search would rather answer without vectors.
QUERY_DEADLINE = 1.0
#: Seconds for the first look at whether an embedder that did not answer is back, which takes 2 ms,
#: and for each further one: a hung embedder delays one search and not every one.
FIRST_LOOK, LOOK = 0.05, 0.001
#: What is asked to see that.
_PROBE = "back?"
_RECEIVE_BYTES = 1 << 16
_HINT = "Search goes on with full text. `khive-supervisor status` says how the embedder is."


class EmbedderClient:
    """An Embedder that asks the embedder process; see `khive_supervisor.embed.base.Embedder`.

    Threads may share one: each request in flight has a connection of its own. A forked child that
    inherits one makes its own connections. A process that runs another model than `model_id` counts
    as away: vectors of two models must not meet.
    """

    def __init__(
        self,
        path: str,
        model_id: str,
        dimensions: int,
        *,
        deadline: float = REQUEST_DEADLINE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.model_id = model_id
        self.dimensions = dimensions
        self._path = path
        self._deadline = deadline
        self._clock = clock
        self._pid = os.getpid()
        self._idle: list[_Connection] = []
        self._lock = threading.Lock()
        self._away = False
        self._probe: _Connection | None = None

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return unit vectors of the texts as any `Embedder`, in 1-2 ms for one short text.

        Raises:
            EmbedderUnavailable: nobody answers at the socket, or not in time.
            EmbedderBusy: too much is waiting there (a subclass of EmbedderUnavailable).
        """
        parts = [self._ask(part) for part in _parts(texts)]
        return np.concatenate(parts) if parts else np.empty((0, self.dimensions), np.float32)

    def begin(self, text: str) -> Callable[[], Vectors]:
        """Send a text now, if a connection is at hand, and return what waits for its vector.

        This waits for nothing; what it returns is called once, and raises what `embed` does.
        """
        idle = self._take() if len(text) <= TEXT_LIMIT else None
        if idle is None:
            return lambda: self.embed([text])
        connection = idle
        if not connection.ask_at_once(wire.request([text])):
            connection.close()
            return lambda: self.embed([text])
        return lambda: self._wait_for(connection, text)

    def _wait_for(self, connection: _Connection, text: str) -> Vectors:
        """Return the vector of a text that was sent."""
        try:
            answer, *_ = connection.receive(self._deadline_of(1))
        except ConnectionError:  # it has ended meanwhile, so this counts as not asked
            connection.close()
            return self.embed([text])
        except (OSError, ProtocolError) as error:
            raise self._lost(connection, error, 1) from None
        return self._understood(connection, answer, 1)

    def close(self) -> None:
        """Close the idle connections; the next request opens one again."""
        with self._lock:
            idle, self._idle = self._idle, []
            if self._probe is not None:
                idle.append(self._probe)
                self._probe = None
        for connection in idle:
            connection.close()

    def _ask(self, texts: list[str]) -> Vectors:
        connection = self._take() or self._connect()
        deadline = self._deadline_of(len(texts))
        try:
            connection.send(wire.request(texts), deadline)
            answer, *_ = connection.receive(deadline)
        except (OSError, ProtocolError) as error:
            raise self._lost(connection, error, len(texts)) from None
        return self._understood(connection, answer, len(texts))

    def _deadline_of(self, count: int) -> float:
        patience = min(self._deadline, QUERY_DEADLINE) if count == 1 else self._deadline
        return self._clock() + patience

    def _lost(
        self, connection: _Connection, error: OSError | KhiveError, count: int
    ) -> EmbedderUnavailable:
        connection.close()
        if count == 1:
            self._cool_down_after(error)
        return self._failed(error)

    def _understood(self, connection: _Connection, answer: bytes, count: int) -> Vectors:
        try:
            vectors = wire.read_vectors(answer, count, self.dimensions)
        except ProtocolError as error:
            connection.close()
            raise self._failed(error) from None
        except KhiveError as error:
            self._put_back(connection)
            raise self._failed(error) from None
        self._put_back(connection)
        return vectors

    def _take(self) -> _Connection | None:
        """Return an idle connection that still stands; those that broke meanwhile are closed."""
        if os.getpid() != self._pid:
            self._forget_parents_connections()
        while True:
            with self._lock:
                if not self._idle:
                    return None
                connection = self._idle.pop()
            if not self._away and connection.stands():
                return connection
            connection.close()

    def _forget_parents_connections(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()  # the parent's may have been held while it forked
        self.close()

    def suspect(self) -> None:
        """Somebody knows that it hangs: wait for nothing until it is seen to answer. Any thread."""
        self._away = True
        self.close()

    def _put_back(self, connection: _Connection) -> None:
        with self._lock:
            self._idle.append(connection)

    def _connect(self) -> _Connection:
        if self._away:
            return self._returned()
        connection = _Connection(self._clock)
        try:
            deadline = self._clock() + CONNECT_DEADLINE
            connection.open(self._path, deadline)
            greeting, *_ = connection.receive(deadline)
            self._check_model(*wire.read_hello(greeting))
        except (OSError, KhiveError) as error:
            connection.close()
            self._cool_down_after(error)
            raise self._failed(error) from None
        return connection

    def _returned(self) -> _Connection:
        """Return a connection to an embedder that was away, if it answers again; hardly waits.

        The question stays asked between two calls, so that who hangs is asked once.
        """
        with self._lock:
            probe, self._probe = self._probe, None
        patience = FIRST_LOOK if probe is None else LOOK
        try:
            if probe is None:
                probe = _Connection(self._clock)
                deadline = self._clock() + FIRST_LOOK
                probe.open(self._path, deadline)
                probe.send(wire.request([_PROBE]), deadline)
            greeting, answer = probe.receive(self._clock() + patience, frames=2)
            self._check_model(*wire.read_hello(greeting))
            wire.read_vectors(answer, 1, self.dimensions)
        except TimeoutError:
            assert probe is not None
            self._keep(probe)
            raise self._unavailable("It did not answer in time just now.") from None
        except (OSError, KhiveError) as error:
            assert probe is not None
            probe.close()  # the next call asks anew
            raise self._failed(error) from None
        self._away = False
        return probe

    def _keep(self, probe: _Connection) -> None:
        with self._lock:
            self._probe, other = probe, self._probe
        if other is not None:
            other.close()

    def _check_model(self, model_id: str, dimensions: int) -> None:
        if (model_id, dimensions) != (self.model_id, self.dimensions):
            raise self._unavailable(
                f"It runs the model {model_id!r} ({dimensions} dimensions), and this process was "
                f"configured for {self.model_id!r} ({self.dimensions})."
            )

    def _cool_down_after(self, error: OSError | KhiveError) -> None:
        # Its queue is full, which is what BlockingIOError says, when nobody takes from it.
        if isinstance(error, (TimeoutError, BlockingIOError)):
            self._away = True

    def _failed(self, error: OSError | KhiveError) -> EmbedderUnavailable:
        """Return what the caller is told about an error."""
        return error if isinstance(error, EmbedderUnavailable) else self._unavailable(str(error))

    def _unavailable(self, reason: str) -> EmbedderUnavailable:
        return EmbedderUnavailable(
            f"The embedder at {self._path} is not available: {reason}", hint=_HINT
        )


class _Connection:
    """One socket to the embedder process; one request at a time."""

    __slots__ = ("_clock", "_frames", "_heard", "_socket")

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._frames = Frames()
        self._heard: list[bytes] = []

    def open(self, path: str, deadline: float) -> None:
        """Connect; the first frame to receive is the server's greeting."""
        self._wait_until(deadline)
        if why := holder.unsafe(path):
            raise PermissionError(f"Nothing is sent there: {why}.")
        self._socket.connect(path)
        check_peer(self._socket, path)

    def send(self, question: bytes, deadline: float) -> None:
        """Send a frame whole; `receive` has the answer."""
        self._wait_until(deadline)
        self._socket.sendall(question)

    def ask_at_once(self, question: bytes) -> bool:
        """Send a frame if the socket takes it whole at once; return True if it did."""
        self._socket.settimeout(0)
        try:
            return self._socket.send(question) == len(question)
        except OSError:
            return False

    def stands(self) -> bool:
        """Return True if the server is still there and owes nothing."""
        self._socket.settimeout(0)
        try:
            self._socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False  # the end, or bytes that nobody asked for

    def close(self) -> None:
        """Close the socket; idempotent."""
        self._socket.close()

    def receive(self, deadline: float, frames: int = 1) -> list[bytes]:
        """Return the next frames, so many at least; after a TimeoutError it can be called again."""
        while len(self._heard) < frames:
            self._wait_until(deadline)
            data = self._socket.recv(_RECEIVE_BYTES)
            if not data:
                raise ConnectionResetError("It closed the connection.")
            self._heard += self._frames.feed(data)
        heard, self._heard = self._heard, []
        return heard

    def _wait_until(self, deadline: float) -> None:
        remaining = deadline - self._clock()
        if remaining <= 0:
            raise TimeoutError("It did not answer in time.")
        self._socket.settimeout(remaining)


def _parts(texts: Sequence[str]) -> Iterator[list[str]]:
    """The texts in order, cut into requests that the process accepts."""
    part: list[str] = []
    characters = 0
    for text in texts:
        cut = text[:TEXT_LIMIT]
        full = len(part) == PART_TEXTS or characters + len(cut) > wire.MAX_CHARACTERS
        if part and full:
            yield part
            part, characters = [], 0
        part.append(cut)
        characters += len(cut)
    if part:
        yield part
