"""What only one node of a team does at a time, and how one that was replaced notices.

Each member's nodes have offices of their own: nobody acts for another one.

The node that holds the server's lock for an office takes it with a term, one more than the last.
Whatever is done in an office checks in its own transaction that its term is still the last one: so
a holder that has not noticed its end does nothing any more. In a store of one machine every office
is held, without a term.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from khive_supervisor.errors import StoreUnavailable

#: The office of whoever begins what schedules are due for.
SCHEDULES = "schedules"


def channel_office(name: str) -> str:
    """Return the office of whoever sends what a channel is told."""
    return f"channel/{name}"


class Superseded(StoreUnavailable):
    """Another node has taken the office since: nothing was done."""


class OfficeStore(Protocol):
    """The offices of a store."""

    @property
    def elected(self) -> bool:
        """Whether offices are held by one node of several: in a team that knows of them."""
        ...

    def want(self, offices: Collection[str]) -> None:
        """Let this node be one that may hold exactly these."""
        ...

    def holds(self, office: str) -> bool:
        """Return whether this node holds an office, as far as it has heard; cheap."""
        ...

    def begin(self, office: str) -> int:
        """Take an office that is held, and return the term."""
        ...

    def check(self, office: str, term: int) -> None:
        """Check, in the transaction of what is done in an office, that it is still this term's.

        Raises:
            Superseded: another one has begun.
        """
        ...


@dataclass(slots=True)
class Office:
    """An office as one process holds it, for as long as it is the one.

    Attributes:
        name: the office.
        term: the one that this process has begun; None: none now.
    """

    name: str
    term: int | None = None

    def held(self, offices: OfficeStore) -> bool:
        """Return whether this process is to act in it now; a new term begins if need be."""
        if not offices.holds(self.name):
            self.term = None
        elif self.term is None:
            self.term = offices.begin(self.name)
        return self.term is not None

    @contextmanager
    def acting(self, offices: OfficeStore) -> Iterator[None]:
        """Within a transaction, and before anything else in it: it is done in this term.

        Raises:
            Superseded: it is not done.
        """
        try:
            offices.check(self.name, -1 if self.term is None else self.term)
        except Superseded:
            self.term = None
            raise
        yield
