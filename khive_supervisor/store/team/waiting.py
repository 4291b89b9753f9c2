"""Calls that wait on this machine until the team's server is back; see `team.waiting`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
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

    def some(self, limit: int) -> list[WaitingCall]:
        """Return those put aside, and the first that wait: at most `limit` each, in their order."""
        ...

    def last(self, limit: int) -> list[WaitingCall]:
        """Return the last calls, in their order."""
        ...

    def named(self, number: int) -> WaitingCall:
        """Return a call; raises NotFound."""
        ...

    def begin(self, limit: int, done: Collection[int] = ()) -> list[WaitingCall]:
        """Return the first that wait, each counted as begun once more; none: none does.

        They are `limit` writes at most, and one that was begun before, or may be stored, is
        returned alone: see `together`.
        With `done`, those are over first, in the same transaction.
        """
        ...

    def put_back(self, numbers: Collection[int]) -> None:
        """Count the attempt at calls that have begun as none: the server was not to be had."""
        ...

    def put_aside(self, number: int, error: str) -> None:
        """Put a call aside that has failed for good; durable when this returns."""
        ...

    def retry(self, number: int) -> int:
        """Have a call that was put aside wait again, behind the others; return its new number.

        Raises:
            NotFound: there is none of this number.
            InvalidInput: it waits anyway.
        """
        ...

    def drop(self, number: int) -> WaitingCall:
        """Forget a call; return it. Raises NotFound."""
        ...

    def behind(self) -> AbstractContextManager[None]:
        """Within, writes of this store wait as well, if any call does: they raise TeamAway."""
        ...

    def stored(self, call: WaitingCall) -> bool:
        """Return whether the team has a call of which that was not known when it was kept.

        Raises:
            TeamAway: that cannot be asked now.
            StoreError: nobody knows any more.
        """
        ...

    def applying(self, calls: Sequence[WaitingCall]) -> AbstractContextManager[Collection[int]]:
        """Give the numbers of those that were applied before; the others are applied within.

        All within is one transaction, which also notes that all of them are over.
        """
        ...

    def making(self, call: WaitingCall) -> AbstractContextManager[float]:
        """Within `applying`, give when a call was made, in unix seconds.

        What is written within counts as written then; all of it fails alone.
        """
        ...
