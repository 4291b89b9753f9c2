"""The facets for links: what one entry says of another, and which files it is about."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
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
from khive_supervisor.store.model import EVERYTHING, EntryFilter

#: The kinds are those that `graph.ontology` declares. The newer entry, or the one that speaks, is
#: where a link is from.
__all__ = [
    "ABOUT", "CAUSED_BY", "CONTRADICTS", "DEPENDS_ON", "DERIVED_FROM", "FOLLOWS", "KINDS",
    "PRODUCED", "RETRY_OF", "SAME_AS", "SUPERSEDES", "Along", "CodeReference", "EntryLink",
    "LinkStore", "ReferenceStore",
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


@dataclass(frozen=True, slots=True)
class Along:
    """Which links a walk goes along, and to which entries.

    Kinds of `leaving` are followed from where they begin, those of `entering` from where they lead.
    `at` is when what they say has to hold, in unix seconds (None: whenever); with `past`, as the
    store knew it then: links and entries that came since are not there, those that have gone since
    are. `where` is what the entries at the far end are held to, live or superseded; its namespaces
    are what those at the near end are held to.
    """

    leaving: tuple[str, ...] = KINDS
    entering: tuple[str, ...] = KINDS
    at: float | None = None
    past: bool = False
    where: EntryFilter = EVERYTHING

    def turned(self) -> Along:
        """Return the same links, as they are followed from their other ends."""
        return replace(self, leaving=self.entering, entering=self.leaving)


class ReferenceStore(Protocol):
    """What entries are about in files."""

    def add(self, entry_id: int, references: Sequence[CodeReference]) -> None:
        """Add to what an entry is about; in place of the same path and name, if it has them.

        `NotFound` if there is no such entry.
        """
        ...

    def remove(self, entry_id: int, path: str, name: str | None) -> bool:
        """Take a path and name away from what an entry is about; False if it is not about them."""
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

    def along(
        self, ids: Iterable[int], which: Along, limit: int, besides: Iterable[int] = ()
    ) -> list[EntryLink]:
        """Return the links that lead from these entries to others, in the order made.

        Links to entries of `besides` are left out; forgotten entries are not there, purged ones
        never. More than `limit` are cut off.
        """
        ...
