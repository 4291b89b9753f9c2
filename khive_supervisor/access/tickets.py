"""One-time tickets for the page: who has one may log in, once and soon. Pure, with a clock.

Only digests are kept, so that nothing that can be read here lets anybody in.
"""

from __future__ import annotations

import hashlib
import secrets
from collections import OrderedDict
from collections.abc import Callable

#: Seconds that a ticket is good for: as long as a browser may take to start.
LIFETIME = 60.0
#: Bytes of chance in a ticket.
TICKET_BYTES = 24
#: Tickets that are good at once; one more takes the place of the oldest.
AT_ONCE = 8


class LoginTickets:
    """Tickets that were given and not used yet."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._ends: OrderedDict[bytes, float] = OrderedDict()

    def issue(self) -> str:
        """Return a new ticket, as it can stand in a link."""
        ticket = secrets.token_urlsafe(TICKET_BYTES)
        while len(self._ends) >= AT_ONCE:
            self._ends.popitem(last=False)
        self._ends[_digest(ticket)] = self._clock() + LIFETIME
        return ticket

    def redeem(self, ticket: str) -> bool:
        """Use a ticket up; return True if it was good."""
        ends = self._ends.pop(_digest(ticket), None)
        return ends is not None and self._clock() < ends


def _digest(ticket: str) -> bytes:
    return hashlib.sha256(ticket.encode("utf-8", "surrogateescape")).digest()
