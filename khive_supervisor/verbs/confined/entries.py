"""Entries, their projects and sources, and what is said of them, for a grant."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from khive_supervisor.access.grant import Grant
from khive_supervisor.errors import NotFound
from khive_supervisor.profiles.model import NewEvent, Recorded
from khive_supervisor.profiles.names import missing
from khive_supervisor.store.entries import EntryStore
from khive_supervisor.store.model import (
    EVERYTHING,
    Added,
    Beside,
    Entry,
    EntryFilter,
    KnownSource,
    LearnedText,
    NewEntry,
    Provenance,
    SourceText,
)
from khive_supervisor.store.profiles import FeedbackStore
from khive_supervisor.store.projects import ProjectStore
from khive_supervisor.store.sources import SourceStore
from khive_supervisor.verbs.confined.wall import Wall, check


class ConfinedEntries(Wall):
    """`EntryStore` for a grant."""

    _NAME = "store.entries"

    def __init__(self, entries: EntryStore, grant: Grant) -> None:
        self._entries = entries
        self._grant = grant

    def _own(self, ids: Iterable[int]) -> set[int]:
        return {one.id for one in self.get(list(ids))}

    def among(self, ids: Sequence[int]) -> list[int]:
        own = self._own(ids)
        return [one for one in ids if one in own]

    def within(self, where: EntryFilter | None) -> EntryFilter:
        """Return a filter that lets through nothing of other namespaces."""
        own = self._grant.namespaces or ()
        where = where or EVERYTHING
        asked = own if where.namespaces is None else where.namespaces
        return replace(where, namespaces=tuple(name for name in asked if name in own))

    def get(self, ids: Sequence[int]) -> list[Entry]:
        return [one for one in self._entries.get(ids) if self._grant.admits(one.namespace)]

    def known(self, hashes: Iterable[bytes]) -> dict[bytes, int]:
        found = self._entries.known(hashes)
        own = self._own(found.values())
        return {content: entry for content, entry in found.items() if entry in own}

    def add(
        self,
        entries: Sequence[NewEntry],
        vectors: Sequence[bytes | None] | None = None,
        model_id: str | None = None,
    ) -> list[Added]:
        for entry in entries:
            check(self._grant, entry.namespace)
        return self._entries.add(entries, vectors, model_id)

    def provenances(self, numbers: Iterable[int]) -> dict[int, Provenance]:
        """Of entries of its own alone: their numbers are known from these."""
        return self._entries.provenances(numbers)

    def members(self, ids: Sequence[int]) -> dict[int, str]:
        return self._entries.members(self.among(ids))

    def forget(self, ids: Sequence[int], why: str = "") -> list[int]:
        return self._entries.forget(self.among(ids), why)

    def restore(self, ids: Sequence[int]) -> list[int]:
        return self._entries.restore(self.among(ids))

    def supersede(
        self, old_id: int, new: NewEntry, vector: bytes | None = None, model_id: str | None = None
    ) -> Added:
        check(self._grant, new.namespace)
        if not self._own([old_id]):
            raise NotFound(f"There is no entry m{old_id}.", hint="Search again; ids never change.")
        return self._entries.supersede(old_id, new, vector, model_id)

    def annotate(
        self,
        entry_id: int,
        tags: Sequence[str],
        kind: str | None = None,
        salience: float | None = None,
    ) -> bool:
        own = bool(self._own([entry_id]))
        return own and self._entries.annotate(entry_id, tags, kind, salience)

    def replace(self, ids: Sequence[int], new_id: int) -> list[int]:
        if not self._own([new_id]):
            raise NotFound(f"There is no live entry {new_id} that could replace others.")
        return self._entries.replace(self.among(ids), new_id)

    def not_holding(self, ids: Iterable[int], moment: float) -> set[int]:
        return self._entries.not_holding(self._own(ids), moment)

    def recent(self, where: EntryFilter = EVERYTHING, limit: int = 50) -> list[Entry]:
        return self._entries.recent(self.within(where), limit)

    def page(
        self, after_id: int = 0, limit: int = 500, where: EntryFilter | None = None
    ) -> list[Entry]:
        return self._entries.page(after_id, limit, self.within(where))

    def live_count(self, where: EntryFilter = EVERYTHING) -> int:
        return self._entries.live_count(self.within(where))

    def live_ids(self, where: EntryFilter, limit: int) -> list[int] | None:
        return self._entries.live_ids(self.within(where), limit)

    def filter_ids(self, ids: Iterable[int], where: EntryFilter = EVERYTHING) -> set[int]:
        return self._entries.filter_ids(ids, self.within(where))


class ConfinedProjects(Wall):
    """`ProjectStore` for a grant: how many of its own entries each has; numbers are not shown."""

    _NAME = "store.projects"

    def __init__(self, projects: ProjectStore, entries: ConfinedEntries) -> None:
        self._projects = projects
        self._entries = entries

    def counts(self, where: EntryFilter) -> Mapping[int | None, int]:
        return self._projects.counts(self._entries.within(where))


class ConfinedSources(Wall):
    """`SourceStore` for a grant."""

    _NAME = "store.sources"

    def __init__(self, sources: SourceStore, entries: ConfinedEntries, grant: Grant) -> None:
        self._sources = sources
        self._entries = entries
        self._grant = grant

    def say(
        self,
        text: SourceText,
        vectors: Sequence[bytes | None] | None = None,
        model_id: str | None = None,
    ) -> LearnedText:
        for namespace in {text.namespace, *(piece.entry.namespace for piece in text.pieces)}:
            check(self._grant, namespace)
        return self._sources.say(text, vectors, model_id)

    def begin_run(self) -> int:
        return self._sources.begin_run()

    def end(
        self, namespace: str, names: Iterable[str], project: int | None = None
    ) -> tuple[int, ...]:
        check(self._grant, namespace)
        return self._sources.end(namespace, names, project)

    def below(
        self, namespace: str, folder: str, after: str = "", limit: int = 1000
    ) -> list[KnownSource]:
        check(self._grant, namespace)
        return self._sources.below(namespace, folder, after, limit)

    def named(
        self, namespace: str, names: Sequence[str], project: int | None = None
    ) -> list[KnownSource]:
        check(self._grant, namespace)
        return self._sources.named(namespace, names, project)

    def with_digests(self, namespace: str, digests: Sequence[bytes]) -> list[KnownSource]:
        check(self._grant, namespace)
        return self._sources.with_digests(namespace, digests)

    def of(self, entry: int) -> list[tuple[str, str, float | None]]:
        return self._sources.of(entry) if self._entries.get([entry]) else []

    def beside(self, ids: Iterable[int]) -> dict[int, Beside]:
        found = self._sources.beside(self._entries.filter_ids(ids))
        around = {one for beside in found.values() for one in (beside.before, beside.after)}
        own = self._entries.filter_ids(one for one in around if one is not None)
        return {
            one: Beside(
                beside.before if beside.before in own else None,
                beside.after if beside.after in own else None,
            )
            for one, beside in found.items()
        }

    def embedded(self, hashes: Iterable[bytes], model_id: str) -> set[bytes]:
        """Of what lives: whoever is told of more could ask for what others have."""
        asked = list(hashes)
        return self._sources.embedded(asked, model_id) & self._entries.known(asked).keys()


class ConfinedFeedback(Wall):
    """`FeedbackStore` for a grant: of its own entries, and for the profiles that serve it."""

    _NAME = "store.feedback"

    def __init__(
        self,
        feedback: FeedbackStore,
        entries: ConfinedEntries,
        grant: Grant,
        serving: Callable[[], Collection[str]],
    ) -> None:
        self._feedback = feedback
        self._entries = entries
        self._grant = grant
        self._serving = serving

    def record(self, event: NewEvent) -> Recorded:
        (recorded,) = self.record_many([event])
        return recorded

    def record_many(self, events: Sequence[NewEvent]) -> list[Recorded]:
        serving = self._serving()
        for event in events:
            check(self._grant, event.namespace)
            if event.profile not in serving:
                raise missing(event.profile)
            if event.entry_id is not None and not self._entries.get([event.entry_id]):
                raise NotFound(f"There is no entry {event.entry_id}.")
        return self._feedback.record_many(events)
