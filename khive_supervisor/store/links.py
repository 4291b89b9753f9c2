"""The facets for links: what one entry says of another, and which files it is about."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from khive_supervisor.graph.ontology import (
    ABOUT,
    CAUSED_BY,
    CONTRADICTS,
    DEPENDS_ON,
    DERIVED_FROM,
    FOLLOWS,
    KINDS,
    PRODUCED,
    RETRY_OF,
    SAME_AS,
    SUPERSEDES,
)

#: The kinds are those that `graph.ontology` declares. The newer entry, or the one that speaks, is
#: where a link is from.
__all__ = [
    "ABOUT", "CAUSED_BY", "CONTRADICTS", "DEPENDS_ON", "DERIVED_FROM", "FOLLOWS", "KINDS",
    "PRODUCED", "RETRY_OF", "SAME_AS", "SUPERSEDES", "CodeReference", "EntryLink", "LinkStore",
    "ReferenceStore",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class EntryLink:
    """A link between two entries; times are unix seconds, `ended_at` is None while it stands.

    `by` names whoever made it: an actor, or a rule; empty for what the store does by itself.
    What it says holds from `valid_from` until before `valid_until`, each None where it has no such
    end; `created_at` and `ended_at` are when the store learned of it, and was told that it is not
    so.
    """

    id: int
    from_id: int
    to_id: int
    kind: str
    created_at: float
    ended_at: float | None
    by: str
    valid_from: float | None = None
    valid_until: float | None = None


@dataclass(frozen=True, slots=True)
class CodeReference:
    """What an entry is about in somebody's files, as it was when that was said.

    `path` is below `root`, the working tree; `name` something in the file, `value` what the entry
    says that it has; `blob` is git's id of the file, in hexadecimal, `commit_id` what was checked
    out. None: not said, or not known.
    """

    root: str
    path: str
    name: str | None
    value: str | None
    blob: str | None
    commit_id: str | None


class ReferenceStore(Protocol):
    """What entries are about in files."""

    def add(self, entry_id: int, references: Sequence[CodeReference]) -> None:
        """Add to what an entry is about; in place of the same path and name, if it has them.

        `NotFound` if there is no such entry.
        """
        ...

    def of(self, ids: Iterable[int]) -> Mapping[int, Sequence[CodeReference]]:
        """Return what entries are about, in the order added; those without are left out."""
        ...


class LinkStore(Protocol):
    """Links, by the entries at their ends. They end; they are never changed otherwise."""

    def add(
        self,
        from_id: int,
        to_id: int,
        kind: str,
        by: str = "",
        *,
        valid_from: float | None = None,
        valid_until: float | None = None,
        seen: Collection[str] | None = None,
    ) -> bool:
        """Link two entries; False if they are linked so already, a symmetric kind either way.

        Where another time of holding is given than the link has, that ends and a new one begins.
        `seen` are the namespaces whose links count where a kind has no circles; None: all.
        `InvalidInput` for an unknown kind, for one that these entries cannot have, for `SUPERSEDES`
        (which superseding makes), for an entry with itself, and for a circle of a kind that has
        none; `NotFound` if an entry does not exist.
        """
        ...

    def end(self, from_id: int, to_id: int, kind: str) -> bool:
        """End a link that stands; False if there is none. Superseded entries stay superseded."""
        ...

    def of(self, ids: Iterable[int], kinds: Iterable[str] = KINDS) -> list[EntryLink]:
        """Return the links that stand from or to any of these entries, in the order made."""
        ...

    def history(self, ids: Iterable[int]) -> list[EntryLink]:
        """Return all links from or to any of these entries, ended ones too, in the order made."""
        ...
