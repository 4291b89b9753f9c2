"""Lists, changes and links of entries for a grant: of its own ones alone."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace

from khive_supervisor.access.grant import Grant
from khive_supervisor.errors import NotFound
from khive_supervisor.store.curation import (
    BatchLog,
    ChangeLog,
    EntryChange,
    EntryList,
    FadedEntry,
    Fading,
    KnownBatch,
    ListedEntry,
    Listing,
    Position,
)
from khive_supervisor.store.links import (
    KINDS,
    Along,
    CodeReference,
    EntryLink,
    LinkStore,
    ReferenceStore,
)
from khive_supervisor.store.model import (
    EVERYTHING,
    EntryFilter,
    NewEntry,
)
from khive_supervisor.verbs.confined.entries import ConfinedEntries
from khive_supervisor.verbs.confined.wall import Wall, check

#: Changes among which its own are looked for.
CHANGES = 200


class ConfinedLists(Wall):
    """`EntryList` for a grant."""

    _NAME = "store.lists"

    def __init__(self, lists: EntryList, entries: ConfinedEntries) -> None:
        self._lists = lists
        self._entries = entries

    def _within(self, listing: Listing) -> Listing:
        return replace(listing, where=self._entries.within(listing.where))

    def page(
        self, listing: Listing, limit: int = 50, after: Position | None = None
    ) -> list[ListedEntry]:
        return self._lists.page(self._within(listing), limit, after)

    def count(self, listing: Listing) -> int:
        return self._lists.count(self._within(listing))

    def ids(self, listing: Listing, limit: int) -> list[int]:
        return self._lists.ids(self._within(listing), limit)

    def tags(self, where: EntryFilter = EVERYTHING) -> Mapping[str, int]:
        return self._lists.tags(self._entries.within(where))

    def counts(self, group: str, listing: Listing, now: float) -> Mapping[str, int]:
        return self._lists.counts(group, self._within(listing), now)

    def faded(self, listing: Listing, fading: Fading, limit: int) -> list[FadedEntry]:
        # What others need of it is not told: it would say that they are there.
        within = self._within(listing)
        seen = replace(fading, seen=self._entries.within(None).namespaces)
        return self._lists.faded(within, seen, limit)

    def pinned(self, ids: Sequence[int]) -> list[int]:
        return self._lists.pinned(self._entries.among(ids))

    def pin(self, ids: Sequence[int], pinned: bool = True) -> list[int]:
        return self._lists.pin(self._entries.among(ids), pinned)


class ConfinedChanges(Wall):
    """`ChangeLog` for a grant: of changes that touched nothing but its own entries."""

    _NAME = "store.changes"

    def __init__(self, changes: ChangeLog, entries: ConfinedEntries) -> None:
        self._changes = changes
        self._entries = entries

    def _own(self, change: EntryChange) -> bool:
        return not change.projects and len(self._entries.get(change.entries)) == len(change.entries)

    def recorded(
        self, what: str, ids: Sequence[int], new: Sequence[NewEntry] = (), onto: str = ""
    ) -> AbstractContextManager[None]:
        return self._changes.recorded(what, self._entries.among(ids), new, onto)

    def recorded_projects(self, what: str, ids: Sequence[int]) -> AbstractContextManager[None]:
        return self._changes.recorded_projects(what, ids)

    def recent(self, limit: int = 20, actor: str | None = None) -> list[EntryChange]:
        found = self._changes.recent(CHANGES, actor)
        return [one for one in found if self._own(one)][:limit]

    def undo(self, change_id: int) -> EntryChange:
        if all(one.id != change_id for one in self.recent(CHANGES)):
            raise NotFound(f"There is no change {change_id}.")
        return self._changes.undo(change_id)


class ConfinedBatches(Wall):
    """`BatchLog` for a grant: of its own namespaces."""

    _NAME = "store.batches"

    def __init__(self, batches: BatchLog, grant: Grant) -> None:
        self._batches = batches
        self._grant = grant

    def find(self, namespace: str, key: str) -> KnownBatch | None:
        check(self._grant, namespace)
        return self._batches.find(namespace, key)

    def note(self, namespace: str, key: str, digest: bytes, ids: Sequence[str]) -> None:
        check(self._grant, namespace)
        self._batches.note(namespace, key, digest, ids)


class ConfinedLinks(Wall):
    """`LinkStore` for a grant: links between its own entries."""

    _NAME = "store.links"

    def __init__(self, links: LinkStore, entries: ConfinedEntries) -> None:
        self._links = links
        self._entries = entries

    def _both_own(self, *ids: int) -> bool:
        return len(self._entries.get(list(ids))) == len(ids)

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
        if not self._both_own(from_id, to_id):
            raise NotFound(f"There is no entry {from_id} or {to_id} that could be linked.")
        # A circle through what is hidden would tell of it.
        asked = None if seen is None else tuple(seen)
        own = self._entries.within(EntryFilter(namespaces=asked)).namespaces
        return self._links.add(
            from_id, to_id, kind, by, valid_from=valid_from, valid_until=valid_until, seen=own
        )

    def end(self, from_id: int, to_id: int, kind: str) -> bool:
        return self._both_own(from_id, to_id) and self._links.end(from_id, to_id, kind)

    def of(self, ids: Iterable[int], kinds: Iterable[str] = KINDS) -> list[EntryLink]:
        return self._among(self._links.of(ids, kinds))

    def history(self, ids: Iterable[int]) -> list[EntryLink]:
        return self._among(self._links.history(ids))

    def along(
        self, ids: Iterable[int], which: Along, limit: int, besides: Iterable[int] = ()
    ) -> list[EntryLink]:
        # Held to its own namespaces where links are read: so nothing else is what was cut off.
        within = replace(which, where=self._entries.within(which.where))
        return self._links.along(ids, within, limit, besides)

    def _among(self, links: list[EntryLink]) -> list[EntryLink]:
        ends = {one for link in links for one in (link.from_id, link.to_id)}
        own = {one.id for one in self._entries.get(list(ends))}
        return [link for link in links if {link.from_id, link.to_id} <= own]


class ConfinedReferences(Wall):
    """`ReferenceStore` for a grant: what its own entries are about."""

    _NAME = "store.references"

    def __init__(self, references: ReferenceStore, entries: ConfinedEntries) -> None:
        self._references = references
        self._entries = entries

    def add(self, entry_id: int, references: Sequence[CodeReference]) -> None:
        if not self._entries.get([entry_id]):
            raise NotFound(f"There is no entry {entry_id} that could be about code.")
        self._references.add(entry_id, references)

    def remove(self, entry_id: int, path: str, name: str | None) -> bool:
        own = bool(self._entries.get([entry_id]))
        return own and self._references.remove(entry_id, path, name)

    def of(self, ids: Iterable[int]) -> Mapping[int, Sequence[CodeReference]]:
        return self._references.of(self._entries.among(list(ids)))
