"""MCP sessions over HTTP: bounded, and never so that a new client is kept out by an idle one.

The SDK refuses one more than there may be. So before a request that may open a session is passed
on, the session that has been idle for the longest time is ended if they are all taken. One that a
request is at work in, or whose client listens, is never ended; when all are like that, a new client
waits a little for one of them.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from khive_supervisor import logs

log = logs.get("khive.http")

#: The headers that name a session, and the protocol's version: later ones have no sessions.
SESSION, VERSION = "mcp-session-id", "mcp-protocol-version"
#: Seconds that a new client waits for a session to become idle, when none is.
PATIENCE = 2.0


class HttpSessions:
    """An ASGI application around the SDK's manager; used only from the worker's loop."""

    def __init__(self, inner: ASGIApp, limit: int, patience: float = PATIENCE) -> None:
        self._inner = inner
        self._limit = limit
        self._patience = patience
        #: Requests at work by session, the least recently used session first.
        self._at_work: OrderedDict[str, int] = OrderedDict()
        #: Who opened each: the SDK lets nobody else end it.
        self._owners: dict[str, Any] = {}
        self._opening = 0
        self._changed = asyncio.Condition()
        #: How many were ended for others.
        self.evicted = 0

    def __len__(self) -> int:
        return len(self._at_work)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, after making room if it may open a session."""
        session = _header(scope["headers"], SESSION)
        version = _header(scope["headers"], VERSION)
        if session is not None:
            await self._within(session, scope, receive, send)
        elif scope["method"] == "POST" and version in (None, *HANDSHAKE_PROTOCOL_VERSIONS):
            await self._open(scope, receive, send)
        else:
            await self._inner(scope, receive, send)

    # --- a session that is there ------------------------------------------------------------------

    async def _within(self, session: str, scope: Scope, receive: Receive, send: Send) -> None:
        status = 0

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        if session not in self._at_work:
            await self._inner(scope, receive, send)
            return
        with self._working(session):
            await self._inner(scope, receive, noting)
        if status == 404 or (scope["method"] == "DELETE" and status == 200):
            self._forget(session)
        await self._notify()

    def _forget(self, session: str) -> Any:
        """Count a session no more; who opened it."""
        self._at_work.pop(session, None)
        return self._owners.pop(session, None)

    @contextmanager
    def _working(self, session: str) -> Iterator[None]:
        self._use(session, 1)
        try:
            yield
        finally:
            self._use(session, -1)

    def _use(self, session: str, more: int) -> None:
        if session in self._at_work:
            self._at_work[session] += more
            self._at_work.move_to_end(session)

    # --- one more ---------------------------------------------------------------------------------

    async def _open(self, scope: Scope, receive: Receive, send: Send) -> None:
        opened: list[str] = []

        async def noting(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] < 400:
                session = _header(message["headers"], SESSION)
                if session is not None and not opened:
                    opened.append(session)
                    self._opening -= 1
                    self._at_work[session] = 1
                    self._owners[session] = scope.get("user")
            await send(message)

        await self._make_room(scope)
        try:
            await self._inner(scope, receive, noting)
        finally:
            if not opened:
                self._opening -= 1
            for session in opened:
                self._use(session, -1)
            await self._notify()

    async def _make_room(self, scope: Scope) -> None:
        """End idle sessions until there is room for one more, and count that one from here on.

        Gives up after a while: the SDK refuses the request then.
        """
        try:
            async with asyncio.timeout(self._patience), self._changed:
                while len(self._at_work) + self._opening >= self._limit:
                    idle = next((one for one, count in self._at_work.items() if not count), None)
                    if idle is None:
                        await self._changed.wait()
                    else:
                        await self._end(idle, scope)
        except TimeoutError:
            log.warning("http.sessions_at_work", sessions=len(self._at_work))
        finally:
            self._opening += 1

    async def _end(self, session: str, scope: Scope) -> None:
        """End a session as its client would."""
        owner = self._forget(session)
        self.evicted += 1
        head = [(SESSION.encode(), session.encode("latin-1"))]
        asked = {**scope, "method": "DELETE", "headers": head, "user": owner}
        await self._inner(asked, _nothing, _ignored)

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()


def _header(headers: Any, wanted: str) -> str | None:
    """Return the first header of a name."""
    found = (value for name, value in headers if name.lower() == wanted.encode())
    value = next(found, None)
    return None if value is None else str(value.decode("latin-1"))


async def _nothing() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


async def _ignored(_message: Any) -> None:
    """Ignore what nobody asked for: the session's end is the answer."""
