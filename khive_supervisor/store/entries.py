"""The facet of a store for entries: what is remembered and learned."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from khive_supervisor.store.model import EVERYTHING, Added, Entry, EntryFilter, NewEntry


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

    def forget(self, ids: Sequence[int]) -> list[int]:
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

    def namespaces(self, collection: str | None = None) -> Mapping[str, int]:
        """Return how many live entries each namespace has, of one collection or of all."""
        ...
