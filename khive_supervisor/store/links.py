"""The facets for links: what one entry says of another, and which files it is about."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
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
