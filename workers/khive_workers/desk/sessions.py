"""Who has logged in to the page. Pure, with a clock.

A browser's cookie is a key; only its digest is kept. A session begins at a login and never before,
so that nobody can prepare one for somebody else.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

#: Seconds without a request after which a browser has to log in again.
IDLE_LIMIT = 12 * 3600.0
#: Browsers that are logged in at once; one more ends the one that has been idle for longest.
AT_ONCE = 16
#: Bytes of chance in a key, and in what guards changes.
KEY_BYTES = 24


@dataclass(slots=True)
class PageSession:
    """One browser that has logged in.

    Attributes:
        csrf: what every change has to show; pages of others cannot know it.
        seen: when it asked last.
        notice: what the next page says of the change before it.
    """

    csrf: str
    seen: float
    notice: str = ""

    def admits(self, csrf: str) -> bool:
        """Return True if a change comes from a page of this session."""
        return hmac.compare_digest(csrf.encode("utf-8", "replace"), self.csrf.encode())


class PageSessions:
    """All browsers that have logged in, the one that has been idle for longest first."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._open: OrderedDict[bytes, PageSession] = OrderedDict()

    def __len__(self) -> int:
        return len(self._open)

    def begin(self) -> str:
        """Return the key of a new session."""
        key = secrets.token_urlsafe(KEY_BYTES)
        while len(self._open) >= AT_ONCE:
            self._open.popitem(last=False)
        self._open[_digest(key)] = PageSession(secrets.token_urlsafe(KEY_BYTES), self._clock())
        return key

    def find(self, key: str) -> PageSession | None:
        """Return the session of a key, which has been used just now; None if there is none."""
        digest, now = _digest(key), self._clock()
        found = self._open.get(digest)
        if found is None or now - found.seen >= IDLE_LIMIT:
            self._open.pop(digest, None)
            return None
        found.seen = now
        self._open.move_to_end(digest)
        return found

    def end(self, key: str) -> None:
        """Log a browser out; idempotent."""
        self._open.pop(_digest(key), None)


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
