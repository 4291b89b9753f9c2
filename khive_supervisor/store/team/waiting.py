"""Calls that wait on this machine until the team's server is back; see `team.waiting`."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol

from khive_supervisor.team.waiting import NewWaitingCall, Standing, WaitingCall


class WaitingStore(Protocol):
    """The calls, in their order: durable, in a file of their own beside the replica.

    In a store of one machine there are none.
    """

    def keep(self, call: NewWaitingCall) -> int:
        """Keep a call behind all others; durable when this returns its number.

        Raises:
            StoreUnavailable: too many wait, or there is no room; it was not kept.
        """
        ...

    def standing(self) -> Standing:
        """Return how many wait and are put aside."""
        ...

    def all(self) -> list[WaitingCall]:
        """Return the calls in their order, those put aside among them."""
        ...

    def last(self, limit: int) -> list[WaitingCall]:
        """Return the last calls, in their order."""
        ...

    def first(self, done: int | None = None) -> WaitingCall | None:
        """Return the first that waits, counted as begun once more; None: none does.

        With `done`, that one is over first, in the same transaction.
        """
        ...

    def put_back(self, number: int) -> None:
        """Count the attempt at a call that has begun as none: it was not to be had."""
        ...

    def put_aside(self, number: int, error: str) -> None:
        """Put a call aside that has failed for good."""
        ...

    def retry(self, number: int) -> None:
        """Have a call that was put aside wait again, at its place; raises NotFound."""
        ...

    def drop(self, number: int) -> WaitingCall:
        """Forget a call; return it. Raises NotFound."""
        ...

    def behind(self) -> AbstractContextManager[None]:
        """Within, writes of this store wait as well, if any call does: they raise TeamAway."""
        ...

    def applying(self, call: WaitingCall) -> AbstractContextManager[float | None]:
        """Give when a call was made, in unix seconds; what is written within applies it.

        All within is one transaction, and counts as written then. None: it was applied already,
        and nothing is to be done.
        """
        ...
