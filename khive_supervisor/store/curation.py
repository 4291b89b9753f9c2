"""The facets of a store for people: lists of what is in it, and changes that can be undone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from khive_supervisor.store.model import EVERYTHING, Entry, EntryFilter, NewEntry
from khive_supervisor.text.plain_json import JsonObject

#: What a list can be of. Pinned ones are live.
LIVE, FORGOTTEN, SUPERSEDED, PINNED, ALL = STATES = (
    "live", "forgotten", "superseded", "pinned", "all",
)  # fmt: skip
#: What a list can be in the order of; the newest is first. `used`: when feedback last told of it.
CREATED, UPDATED, USED = ORDERS = ("created", "updated", "used")
#: What entries are counted by.
KIND, SOURCE, NAMESPACE, COLLECTION, AGE = GROUPS = (
    "kind", "source", "namespace", "collection", "age",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Listing:
    """Which entries a list is of, and in which order.

    `where` says which, `state` whether they live; `words` are in their title or content, in any
    case.
    """

    where: EntryFilter = EVERYTHING
    state: str = LIVE
    order: str = CREATED
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a list: that of an entry. `moment` is what the list is in the order of."""

    pinned: bool
    moment: float
    id: int


@dataclass(frozen=True, slots=True)
class ListedEntry:
    """An entry of a list; times are unix seconds, None: it is not pinned, or was never used."""

    entry: Entry
    pinned_at: float | None
    used_at: float | None
    position: Position


#: Why an entry that has faded is kept all the same.
PINNED_STILL, NEEDED, USED_STILL = "pinned", "needed", "used"


@dataclass(frozen=True, slots=True)
class Fading:
    """What counts as faded, at a moment in unix seconds.

    Less than `below` is left of the salience, and it was made more than `seconds` ago. Feedback
    that told of an entry within that time keeps it; so does a live entry that depends on it, of
    `seen` namespaces (None: of any).
    """

    now: float
    below: float
    seconds: float
    seen: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class FadedEntry:
    """An entry that has faded: what is left of its salience, and why it stays all the same."""

    id: int
    left: float
    kept: str


#: What the storing of a memory is called among the changes.
REMEMBER = "remember"


@dataclass(frozen=True, slots=True)
class EntryChange:
    """Something that was done to entries: what, by whom (as the audit names them), to how many.

    Times are unix seconds; `undone_at` is None while it holds. `projects` are those whose names or
    families it changed.
    """

    id: int
    at: float
    what: str
    actor: str
    undone_at: float | None
    entries: tuple[int, ...]
    projects: tuple[int, ...] = ()


class EntryList(Protocol):
    """What is in the store, by pages, counts and pins."""

    def page(
        self, listing: Listing, limit: int = 50, after: Position | None = None
    ) -> list[ListedEntry]:
        """Return the next entries of a list; pinned ones are first, then the newest."""
        ...

    def count(self, listing: Listing) -> int:
        """Return how many entries a list has."""
        ...

    def ids(self, listing: Listing, limit: int) -> list[int]:
        """Return the ids of the first entries of a list, in the order of ids."""
        ...

    def tags(self, where: EntryFilter = EVERYTHING) -> Mapping[str, int]:
        """Return how many live entries have each tag, the most frequent first."""
        ...

    def counts(self, group: str, listing: Listing, now: float) -> Mapping[str, int]:
        """Return how many entries of a list each value of a group has, the most frequent first."""
        ...

    def faded(self, listing: Listing, fading: Fading, limit: int) -> list[FadedEntry]:
        """Return entries of a list that have faded, those of which least is left first."""
        ...

    def pinned(self, ids: Sequence[int]) -> list[int]:
        """Return those of some entries that are pinned."""
        ...

    def pin(self, ids: Sequence[int], pinned: bool = True) -> list[int]:
        """Pin live entries, or let go of pinned ones; return those that changed by it."""
        ...


class ChangeLog(Protocol):
    """What was done to entries, so that it can be undone; the newest 200 changes are kept."""

    def recorded(
        self, what: str, ids: Sequence[int], new: Sequence[NewEntry] = (), onto: str = ""
    ) -> AbstractContextManager[None]:
        """Note what is done inside to these entries, and which come by it, as one change.

        All is one transaction. `new` is what is going to be added: a deleted twin of it that comes
        back is noted, too. Nothing is noted if nothing has changed. With `onto` it becomes a part
        of the newest change of whoever acts, if that is called so and was not undone.
        """
        ...

    def recorded_projects(self, what: str, ids: Sequence[int]) -> AbstractContextManager[None]:
        """Note what is done inside to the names and families of projects, as one change."""
        ...

    def recent(self, limit: int = 20, actor: str | None = None) -> list[EntryChange]:
        """Return the newest changes, those that were undone too; of one actor, or of all."""
        ...

    def undo(self, change_id: int) -> EntryChange:
        """Put all entries of a change back as they were before it, or none.

        Entries that came by it are forgotten. So it is with projects. `NotFound` if there is no
        such change, `InvalidInput` if it was undone already, or what it changed was changed again
        since.
        """
        ...


@dataclass(frozen=True, slots=True)
class KnownBatch:
    """A batch that was done: the digest of its calls, when, and the id of each (empty: none)."""

    digest: bytes
    at: float
    ids: tuple[str, ...]


class BatchLog(Protocol):
    """Batches that were done under a key of their callers'; the newest 1000 are kept."""

    def find(self, namespace: str, key: str) -> KnownBatch | None:
        """Return the batch that was done under a key in a namespace; None: there is none."""
        ...

    def note(self, namespace: str, key: str, digest: bytes, ids: Sequence[str]) -> None:
        """Note that a batch was done, in its transaction."""
        ...


#: What an export is made of, in its order: what is named stands before what names it.
SECTIONS = ("project", "entry", "supersession", "link", "reference", "execution", "source", "said",
            "profile", "binding", "target", "mass", "event")  # fmt: skip

#: A record of an export as plain data; docs/export.md has its fields.
Record = JsonObject


@dataclass(frozen=True, slots=True)
class ExportFilter:
    """What of the store is exported: all of it, or entries of a list and what is between them."""

    listing: Listing | None = None
    vectors_of: str | None = None


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of a record: its state is one of `OUTCOMES`; `here` is its number in the store.

    `why` says in words why it was left out or refused.
    """

    outcome: str
    here: int | None = None
    why: str = ""


#: New here; here already; not taken since it stands against what is here.
STORED, KNOWN, LEFT_OUT = OUTCOMES = ("stored", "known", "left out")


class Exchange(Protocol):
    """The store as records that another store can take in."""

    def records(
        self, section: str, after: int, limit: int, where: ExportFilter
    ) -> list[tuple[int, Record]]:
        """Return the next records of a section above a place, each with its place."""
        ...

    def take(
        self,
        store: str,
        records: Sequence[Record],
        entries: Mapping[int, NewEntry],
        *,
        anywhere: bool = True,
    ) -> list[Imported]:
        """Store records of another store, all or none; what is here already stays as it is.

        `store` names where the numbers of the records come from. `entries` are those of the
        records that are entries, by their places among the records, as they may be kept; each gets
        the project that its record names, unless not `anywhere`: it has its project already.
        A record that names an entry or a project which did not come is left out.
        """
        ...
