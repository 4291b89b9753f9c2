"""What may be asked of a store's audit chains; the rules of `interface` hold.

A store of one machine has one. In a team each node has one, and the others' as far as it may see
them; one without a node's name is of the time before.

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
        node: whose chain they are in.
    """

    kind: str | None = None
    subject: str | None = None
    actor: str | None = None
    since: float | None = None
    node: str | None = None


@dataclass(frozen=True, slots=True)
class AuditPlace:
    """An entry's place: its number, and whose chain it is in."""

    seq: int
    origin: str = ""


ALL_ENTRIES = AuditFilter()


class AuditLog(Protocol):
    """All chains: only ever longer."""

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

    @property
    def origin(self) -> str:
        """Whose chain this store goes on with: this node's name, or empty."""
        ...

    def origins(self) -> list[str]:
        """Return whose chains there are."""
        ...

    def chain(self, origin: str) -> AuditChain:
        """Return the chain of a node; one that is not known is empty."""
        ...

    def head(self) -> Head:
        """Return the newest entry's number and hash, in the chain that goes on here; cheap."""
        ...

    def page(
        self,
        where: AuditFilter = ALL_ENTRIES,
        limit: int = 50,
        before: AuditPlace | None = None,
    ) -> list[AuditEntry]:
        """Return the newest entries of all chains, newest first; those before an entry."""
        ...

    def stored(self, after: int | None = None) -> Iterator[Stored]:
        """Return what `AuditChain.stored` does, of the chain that goes on here."""
        ...

    def entries(self, after: int | None = None) -> Iterator[AuditEntry]:
        """Return what `AuditChain.entries` does, of the chain that goes on here."""
        ...


class AuditChain(Protocol):
    """One chain."""

    def head(self) -> Head:
        """The newest entry's number and hash; cheap."""
        ...

    def entries(self, after: int | None = None) -> Iterator[AuditEntry]:
        """All entries, or those after a number, in order, read in short steps: for a check."""
        ...

    def stored(self, after: int | None = None) -> Iterator[Stored]:
        """The same as `entries`, as they are stored: for a check of a million of them."""
        ...
