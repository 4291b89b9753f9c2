"""The facets of a store for entries: what is remembered, learned, and removed for good."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from khive_supervisor.errors import InvalidInput
from khive_supervisor.redaction.gate import TextGate
from khive_supervisor.store.model import EVERYTHING, Added, Entry, EntryFilter, NewEntry, Provenance


class EntryStore(Protocol):
    """Entries, by their ids and by filters. Ids are never used again."""

    def add(
        self,
        entries: Sequence[NewEntry],
        vectors: Sequence[bytes | None] | None = None,
        model_id: str | None = None,
    ) -> list[Added]:
        """Add entries with their vectors (None: not embedded yet), all or none.

        Return what became of each, in their order. When it returns, the entries survive a power
        cut. An exact duplicate (same content hash) of a live entry is recognised, one of a deleted
        entry restores it; a vector that such an entry lacks is stored. `InvalidInput` if an entry
        cannot be stored, or vectors come without the name of their model.
        """
        ...

    def annotate(
        self,
        entry_id: int,
        tags: Sequence[str],
        kind: str | None = None,
        salience: float | None = None,
    ) -> bool:
        """Add tags to a live entry, and give it another kind or salience.

        Return whether it changed. It has at most 32 tags: what is more is not taken.
        """
        ...

    def known(self, hashes: Iterable[bytes]) -> dict[bytes, int]:
        """Return the live entries' ids by content hash, of those of the hashes that are known."""
        ...

    def get(self, ids: Sequence[int]) -> list[Entry]:
        """Return the entries with these ids in the order asked, live or not.

        Unknown ids are left out.
        """
        ...

    def highest_id(self) -> int:
        """Return the newest entry's id, 0 without any: about how many entries there are; cheap."""
        ...

    def forget(self, ids: Sequence[int], why: str = "") -> list[int]:
        """Delete entries; return the ids that were live until now. They can be restored."""
        ...

    def restore(self, ids: Sequence[int]) -> list[int]:
        """Bring deleted entries back; return the ids that live again.

        One that has a live twin by now, or was superseded, stays as it is.
        """
        ...

    def supersede(
        self, old_id: int, new: NewEntry, vector: bytes | None = None, model_id: str | None = None
    ) -> Added:
        """Put `new` in the place of the live entry `old_id`; `NotFound` if there is none.

        If `new` says nothing new (same content, kind, tags, salience, decay, source), the old one
        stays, and is the answer.
        """
        ...

    def replace(self, ids: Sequence[int], new_id: int) -> list[int]:
        """Let a live entry take the place of other live ones; return those that had been live.

        `NotFound` if `new_id` is not live. The entry itself among `ids` is passed over.
        """
        ...

    def not_holding(self, ids: Iterable[int], moment: float) -> set[int]:
        """Return those of the ids that do not hold at a moment: not yet, or no longer.

        `moment` is unix seconds; entries without `valid_from` and `valid_until` always hold.
        """
        ...

    def recent(self, where: EntryFilter = EVERYTHING, limit: int = 50) -> list[Entry]:
        """Return the newest live entries, newest first."""
        ...

    def page(
        self, after_id: int = 0, limit: int = 500, where: EntryFilter | None = None
    ) -> list[Entry]:
        """Return the next entries above an id in the order of ids: one short transaction.

        Without a filter all entries, also deleted and superseded ones: for exports.
        """
        ...

    def live_count(self, where: EntryFilter = EVERYTHING) -> int:
        """Return how many live entries pass a filter."""
        ...

    def live_ids(self, where: EntryFilter, limit: int) -> list[int] | None:
        """Return the ids of the live entries that pass, in order; None if more than `limit` do."""
        ...

    def filter_ids(self, ids: Iterable[int], where: EntryFilter = EVERYTHING) -> set[int]:
        """Return those of the ids that are live and pass the filter."""
        ...

    def provenances(self, numbers: Iterable[int]) -> dict[int, Provenance]:
        """Return who stored entries, by the numbers that these have (`Entry.provenance`)."""
        ...

    def members(self, ids: Sequence[int]) -> dict[int, str]:
        """Return by entry the member of a team who wrote it, as the server says; none elsewhere."""
        ...

    def namespaces(self, collection: str | None = None) -> Mapping[str, int]:
        """Return how many live entries each namespace has, of one collection or of all."""
        ...


def gated(gate: TextGate, entry: NewEntry) -> NewEntry:
    """Return an entry as it may be kept: the same one if there is nothing to leave out.

    Raises:
        SecretFound: a memory holds a secret, or the name of its namespace or kind does, and is to
            be refused.
        InvalidInput: nothing is left of its content.
    """
    said = entry.collection == "memory"

    def through(text: str, where: str) -> str:
        return gate.said(text, where) if said else gate.written(text)

    title, content = through(entry.title, "title"), through(entry.content, "content")
    tags = tuple([through(tag, "a tag") for tag in entry.tags])
    source = None if entry.source is None else through(entry.source, "source")
    # Whoever gives these chooses them, also for what a program writes: masked, they name another.
    namespace, kind = gate.said(entry.namespace, "namespace"), gate.said(entry.kind, "kind")
    if entry.content.strip() and not content.strip():
        raise InvalidInput("All of content is private; there is nothing to store.")
    kept = replace(
        entry, title=title, content=content, tags=tags, source=source, namespace=namespace,
        kind=kind,
    )  # fmt: skip
    return entry if kept == entry else kept


def all_gated(gate: TextGate, entries: Sequence[NewEntry]) -> list[NewEntry]:
    """Return entries as they may be kept; raises as `gated` does, before any is stored."""
    return [gated(gate, entry) for entry in entries]


@dataclass(frozen=True, slots=True)
class Purged:
    """What a purge removed.

    Attributes:
        ids: the entries.
        vectors: rows of vectors.
        learned: what profiles had learned of the entries, in rows.
        sources: the names of documents that said them; they say them still.
        versions: entries that the purged ones had replaced: they are there still.
        journal: events of sessions, and candidates, that said the same.
    """

    ids: tuple[int, ...]
    vectors: int
    learned: int
    sources: tuple[str, ...]
    versions: tuple[int, ...]
    journal: int = 0


@dataclass(frozen=True, slots=True)
class FoundSecret:
    """Where in the store a secret is: never what it is.

    Attributes:
        table, column, row: its place; `row` is the number of the row.
        place: line, column and rule, in words.
    """

    table: str
    column: str
    row: int
    place: str


class PurgeStore(Protocol):
    """What is removed leaves an empty row, so that its id is never used again."""

    def check_room(self) -> None:
        """Raise StoreUnavailable if the disk has no room to purge all the way; nothing is done."""
        ...

    def purge(self, ids: Sequence[int]) -> Purged:
        """Remove entries for good, all or none, with all that other tables hold of them.

        Content, words, vectors, sources, what profiles learned of them. The bytes may still be in
        the log (`checkpoint`) and in free pages (`compact`).
        """
        ...

    def take_place(self, old_id: int, new_id: int) -> None:
        """Let the sources that say an entry say another one instead."""
        ...

    def compact(self) -> None:
        """Write the database anew, without free pages; writers wait meanwhile."""
        ...

    def holders(self, needle: bytes) -> list[str]:
        """Return which columns of which rows hold some bytes: `tasks.payload of t12`."""
        ...

    def secrets(self) -> Iterator[FoundSecret]:
        """Return the secrets in all texts that are kept, table by table."""
        ...

    def values(self, found: Sequence[FoundSecret]) -> list[bytes]:
        """Return the beginnings of secrets, to look for what is left of them; not to be shown."""
        ...

    def mask(self, found: Sequence[FoundSecret]) -> int:
        """Mask secrets outside of entries where they are; return how many columns were changed."""
        ...
