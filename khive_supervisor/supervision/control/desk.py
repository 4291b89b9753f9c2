"""The page's door: HTTP is served once somebody wants in, and a one-time link is the way."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypedDict

from khive_supervisor.access.tickets import LIFETIME, LoginTickets
from khive_supervisor.errors import NotRunning
from khive_supervisor.supervision.processes.child import Child
from khive_supervisor.supervision.processes.http_listener import HttpFront

#: Seconds that the HTTP worker may take to answer: it imports much, on a busy machine.
START_PATIENCE = 25.0


class DeskLink(TypedDict):
    """The way in, for one browser."""

    url: str
    link: str
    expires_seconds: float


@dataclass(frozen=True, slots=True)
class DeskDoor:
    """Gives links and takes their tickets; used only from the supervisor's loop.

    Attributes:
        serve: returns the HTTP worker and its socket; starts them if nobody has asked for HTTP yet.
    """

    serve: Callable[[], tuple[Child, HttpFront]]
    tickets: LoginTickets = field(default_factory=lambda: LoginTickets(time.monotonic))

    async def open(self) -> DeskLink:
        """Return a link that lets whoever follows it first log in.

        Raises:
            NotRunning: HTTP cannot be served; the message says why.
        """
        child, front = self.serve()
        try:
            await asyncio.wait_for(child.ready.wait(), START_PATIENCE)
        except TimeoutError:
            raise _not_served(child) from None
        url = front.url
        if url is None:
            raise _not_served(child)
        link = f"{url}/login?ticket={self.tickets.issue()}"
        return {"url": url, "link": link, "expires_seconds": LIFETIME}


def _not_served(child: Child) -> NotRunning:
    why = child.last_words or child.last_exit or "it is still starting"
    return NotRunning(
        f"The page is not served: {why}.",
        hint="`khive-supervisor status` and `khive-supervisor logs` say more.",
    )
