"""One HTTP connection, with a clock: whoever is slow, or only holds a place, makes room.

uvicorn's protocol does the HTTP. Added here: a request must be whole, and an answer read, within a
time; connections are bounded, and when they are used up the oldest that never showed the token and
is not being answered goes first. uvicorn's server is not used: it wakes ten times a second.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import h11
from uvicorn import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

#: Bytes of a request's head.
MAX_HEAD = 16 * 1024
#: Seconds that a connection may be kept between two requests.
KEEP_ALIVE = 60


@dataclass(slots=True)
class Connections:
    """All open connections, oldest first; used only from the worker's loop."""

    config: Config
    limit: int
    deadline: float
    state: ServerState = field(default_factory=ServerState)
    open: dict[HttpConnection, None] = field(default_factory=dict)
    evicted: int = 0
    late: int = 0

    def make(self) -> HttpConnection:
        """Return a protocol for a connection that has been accepted."""
        return HttpConnection(self)

    def make_room(self) -> bool:
        """Return True if there is room for one more, after closing another if need be."""
        if len(self.open) < self.limit:
            return True
        idle = [one for one in self.open if not one.at_work]
        found = next((one for one in idle if not one.trusted), idle[0] if idle else None)
        if found is None:
            return False
        self.evicted += 1
        found.drop()
        return True

    async def end(self, patience: float) -> None:
        """Close what is idle, wait a little for what is being answered, then close all."""
        for one in list(self.open):
            one.shutdown()
        if self.state.tasks:
            await asyncio.wait(self.state.tasks, timeout=patience)
        for one in list(self.open):
            one.drop()


class HttpConnection(H11Protocol):
    """uvicorn's connection that is held to deadlines."""

    def __init__(self, connections: Connections) -> None:
        self._all = connections
        #: Whether a request on it has shown the token.
        self.trusted = False
        self._clock: asyncio.TimerHandle | None = None
        self._unread: asyncio.TimerHandle | None = None
        super().__init__(connections.config, connections.state, {"connection": self})

    @property
    def at_work(self) -> bool:
        """Return True if a request that is whole is being answered."""
        return self.cycle is not None and not self.cycle.response_complete and self._whole

    @property
    def _whole(self) -> bool:
        return self.conn.their_state not in (h11.IDLE, h11.SEND_BODY)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # TCP
        """Take a client in if there is room; the clock for its first request starts."""
        if not self._all.make_room():
            transport.abort()
        else:
            self._all.open[self] = None
            self._clock = self.loop.call_later(self._all.deadline, self._late)
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        """Take what arrived. The clock runs from a request's first byte to its last."""
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        """Go on with what came after the request; it may be the beginning of the next one."""
        super().on_response_complete()
        self._watch()

    def _watch(self) -> None:
        """Let the clock run exactly while there is a part of a request."""
        if self._whole or not (
            self.conn.their_state is h11.SEND_BODY or self.conn.trailing_data[0]
        ):
            self._stop_clock()
        elif self._clock is None:
            self._clock = self.loop.call_later(self._all.deadline, self._late)

    def pause_writing(self) -> None:
        """The client does not read its answer; it gets as long as for sending."""
        super().pause_writing()
        if self._unread is None:
            self._unread = self.loop.call_later(self._all.deadline, self._late)

    def resume_writing(self) -> None:
        """The client reads again."""
        super().resume_writing()
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._all.open.pop(self, None)
        self._stop_clock()
        self._unset_keepalive_if_required()
        super().connection_lost(exc)  # resumes writing, which stops the other clock
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def drop(self) -> None:
        """End the connection now."""
        self._all.open.pop(self, None)
        if self.transport is not None:
            self.transport.abort()

    def _late(self) -> None:
        self._clock = None
        self._all.late += 1
        self.drop()

    def _stop_clock(self) -> None:
        if self._clock is not None:
            self._clock.cancel()
            self._clock = None
