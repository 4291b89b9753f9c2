"""Events for open pages: that something has changed, never what; a page asks again for itself.

One look for all pages, and none while nobody looks: at the store ten times a second, which costs
microseconds, and at the supervisor's own state now and then.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from khive_workers.desk.views.wishes import STATUS, DeskBackend, Reply

#: Seconds between two looks at the store, and at the supervisor.
STORE_EVERY, SUPERVISOR_EVERY = 0.1, 2.0
#: Seconds after which a page is told something, so that a connection that is gone is noticed.
SAY_EVERY = 15.0
#: Pages that may listen at once.
STREAMS = 24
#: What of the supervisor's state changes all the time, and is news to nobody.
_RESTLESS = frozenset({"uptime_seconds", "freshness", "sessions_served"})
#: What of sessions, processes and workers does.
_MOVING = frozenset({"seconds", "calls", "memory_bytes"})

HELLO = b"retry: 1500\nevent: hello\ndata: 1\n\n"
CHANGED = b"event: changed\ndata: 1\n\n"
SILENCE = b": still here\n\n"


@dataclass(slots=True, eq=False)
class LiveBoard:
    """Tells pages when to look again; used only from the worker's loop."""

    backend: DeskBackend
    _listening: set[asyncio.Event] = field(default_factory=set)
    _looking: asyncio.Task[None] | None = None

    @property
    def full(self) -> bool:
        """Return True if no more pages can listen."""
        return len(self._listening) >= STREAMS

    async def events(self) -> AsyncIterator[bytes]:
        """Give what one page is to be sent, for as long as it listens."""
        changed = asyncio.Event()
        self._listening.add(changed)
        if self._looking is None:
            self._looking = asyncio.create_task(self._look())
        try:
            yield HELLO
            while True:
                yield await _next(changed)
        finally:
            self._listening.discard(changed)
            if not self._listening and self._looking is not None:
                self._looking.cancel()
                self._looking = None

    async def _look(self) -> None:
        """Look for as long as somebody listens."""
        loop = asyncio.get_running_loop()
        token, state, due = await self.backend.token(), await self._state(), loop.time()
        while True:
            await asyncio.sleep(STORE_EVERY)
            seen = await self.backend.token()
            known = state
            if loop.time() - due >= SUPERVISOR_EVERY:
                due, known = loop.time(), await self._state()
            if (seen, known) != (token, state):
                token, state = seen, known
                for listener in self._listening:
                    listener.set()

    async def _state(self) -> object:
        (reply,) = await self.backend.fulfil([STATUS])
        return settled(reply)


async def _next(changed: asyncio.Event) -> bytes:
    try:
        await asyncio.wait_for(changed.wait(), SAY_EVERY)
    except TimeoutError:
        return SILENCE
    changed.clear()
    return CHANGED


def settled(reply: Reply) -> object:
    """Return what of the supervisor's state is news when it is another."""
    if not isinstance(reply, dict):
        return str(reply)
    return _lasting({name: said for name, said in reply.items() if name not in _RESTLESS})


def _lasting(said: object) -> object:
    """Return what lasts of a part: a call by itself changes nothing that others see."""
    if isinstance(said, dict):
        return {name: _lasting(one) for name, one in said.items() if name not in _MOVING}
    return [_lasting(one) for one in said] if isinstance(said, list) else said
