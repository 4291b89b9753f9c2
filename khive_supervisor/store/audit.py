"""What may be asked of a store's audit chain; the rules of `interface` hold.

What changes in the store is recorded by the store itself, in the same transaction. Others record
what they do by `record`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from khive_supervisor.audit.chain import AuditEntry, Head, Stored


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which entries are wanted; None does not filter.

    Attributes:
        kind: the whole kind, or the part before its dot.
        subject: the whole subject.
        actor: a part of the actor.
        since: unix seconds.
    """

    kind: str | None = None
    subject: str | None = None
    actor: str | None = None
    since: float | None = None


ALL_ENTRIES = AuditFilter()


class AuditLog(Protocol):
    """The chain: only ever longer."""

    def record(
        self,
        kind: str,
        subject: str,
        detail: Mapping[str, Any],
        *,
        actor: str = "",
        always: bool = False,
        at: float | None = None,
    ) -> None:
        """Append an entry in a transaction of its own, or in the one that is open.

        The actor is the one who uses this store, unless another is named. Does nothing while
        auditing is off, except `always`: that it was switched off must be on record, too.
        `at` is the time of what is told, unless that is now.
        """
        ...

    def head(self) -> Head:
        """The newest entry's number and hash; cheap."""
        ...

    def page(
        self, where: AuditFilter = ALL_ENTRIES, limit: int = 50, before: int | None = None
    ) -> list[AuditEntry]:
        """The newest entries, newest first; those before a number."""
        ...

    def stored(self, after: int | None = None) -> Iterator[Stored]:
        """The same as `entries`, as they are stored: for a check of a million of them."""
        ...

    def entries(self, after: int | None = None) -> Iterator[AuditEntry]:
        """All entries, or those after a number, in order, read in short steps: for a check."""
        ...
