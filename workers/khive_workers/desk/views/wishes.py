"""What the page's views ask beside what all views do, and who fulfils it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from khive_supervisor.overview.asked import STATUS, Failed, Page, Query, Reply, Wish, told

__all__ = ["CODE", "COUNTERS", "DISK", "PIECES", "STATUS", "VERIFY", "WAITING", "DeskBackend",
           "Failed", "Page", "Query", "Reply", "Wish", "problems", "told"]  # fmt: skip

COUNTERS = Wish("counters", supervisor=True)
#: Questions that are no verbs: is the audit chain whole, how full is the store's disk, what has
#: become of the code that the entry `id` is about, which pieces has its document, and which writes
#: wait for a team's server?
VERIFY, DISK, CODE, PIECES = Wish("(verify)"), Wish("(disk)"), Wish("(code)"), Wish("(pieces)")
WAITING = Wish("(waiting)")


class DeskBackend(Protocol):
    """Who fulfils wishes; the HTTP worker's service."""

    async def fulfil(self, wishes: Sequence[Wish]) -> list[Reply]:
        """Return what came of each, in order; never raises KhiveError."""
        ...

    async def login(self, ticket: str) -> bool:
        """Use a login's ticket up; return True if it was good."""
        ...

    async def token(self) -> object:
        """Return what is another value after every commit to the store."""
        ...


def problems(replies: Sequence[Reply]) -> list[str]:
    """Return why wishes were not fulfilled, each reason once; an empty one is none."""
    return list(dict.fromkeys(one.why for one in replies if isinstance(one, Failed) and one.why))
