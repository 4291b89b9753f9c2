"""The facet of a store for links: what one entry says of another, and since when."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

#: The kinds. The newer entry, or the one that speaks, is where a link is from.
SUPERSEDES, CONTRADICTS, SAME_AS, ABOUT = KINDS = (
    "supersedes",
    "contradicts",
    "same_as",
    "about",
)


@dataclass(frozen=True, slots=True)
class EntryLink:
    """A link between two entries; times are unix seconds, `ended_at` is None while it holds.

    `by` names whoever made it: an actor, or a rule; empty for what the store does by itself.
    """

    id: int
    from_id: int
    to_id: int
    kind: str
    created_at: float
    ended_at: float | None
    by: str


class LinkStore(Protocol):
    """Links, by the entries at their ends. They end; they are never changed otherwise."""

    def add(self, from_id: int, to_id: int, kind: str, by: str = "") -> bool:
        """Link two entries; False if they are linked so already.

        `InvalidInput` for an unknown kind, for `SUPERSEDES` (which superseding makes) and for an
        entry with itself; `NotFound` if an entry does not exist.
        """
        ...

    def end(self, from_id: int, to_id: int, kind: str) -> bool:
        """End a link that holds; False if there is none. Superseded entries stay superseded."""
        ...

    def of(self, ids: Iterable[int], kinds: Iterable[str] = KINDS) -> list[EntryLink]:
        """Return the links that hold from or to any of these entries, in the order made."""
        ...

    def history(self, ids: Iterable[int]) -> list[EntryLink]:
        """Return all links from or to any of these entries, ended ones too, in the order made."""
        ...
