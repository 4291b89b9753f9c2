"""What a database asks before and after a transaction whose changes travel to other machines."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import apsw

from khive_supervisor.team.order import LogPosition


class WriteTurn(Protocol):
    """The right to make the next change of a team's store, for one transaction."""

    def begin(self, connection: apsw.Connection) -> None:
        """Record what is changed from now on; the transaction has begun."""
        ...

    def accept(self, connection: apsw.Connection, meanwhile: Callable[[], None]) -> None:
        """Have what was changed accepted for the whole team, before the transaction commits.

        `meanwhile` does, in the transaction, what of it is of this machine alone. What this raises
        rolls the transaction back.
        """
        ...

    def end(self) -> None:
        """Give the turn back, however the transaction ended; never raises."""
        ...


class Sharing(Protocol):
    """Gives turns; one for each connection."""

    def take(self, connection: apsw.Connection) -> WriteTurn:
        """Wait for the turn; when this returns, the store holds all changes before it.

        Raises:
            StoreUnavailable: it is not to be had now; nothing was written.
        """
        ...

    def local(self, connection: apsw.Connection) -> None:
        """Make ready for a transaction of this machine's own tables, which begins next."""
        ...

    def catch_up(self) -> None:
        """Wait until the store holds what all machines had written when this was asked.

        Raises:
            StoreUnavailable: that cannot be had now.
        """
        ...

    def has(self, change: LogPosition) -> bool:
        """Return whether the team has a change that nobody knew to be accepted.

        Raises:
            TeamAway: that cannot be asked now.
            StoreError: nobody knows any more.
        """
        ...

    def close(self) -> None:
        """Let go of what it waits by; again is harmless."""
        ...
