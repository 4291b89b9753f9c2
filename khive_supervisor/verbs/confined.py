"""The store as a confined session has it: its namespaces, and no sign of any other one.

The one place where what is stored is held to a grant. A verb uses `context.store` as always, and
gets this in the place of the store; so do verbs of foreign packs. What belongs to another
namespace is answered like what is not there at all, in the same words. Whatever of the store is
not named here, a facet or a method of one, is refused: it is for confined sessions once it has been
thought about.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any, cast

from khive_supervisor.access.grant import Grant
from khive_supervisor.errors import BudgetExceeded, Denied, InvalidInput, NotFound
from khive_supervisor.profiles.model import NewEvent, Recorded
from khive_supervisor.profiles.names import missing
from khive_supervisor.store.curation import (
    ChangeLog,
    EntryChange,
    EntryList,
    ListedEntry,
    Listing,
    Position,
)
from khive_supervisor.store.entries import EntryStore
from khive_supervisor.store.interface import Store
from khive_supervisor.store.links import KINDS, CodeReference, EntryLink, LinkStore, ReferenceStore
from khive_supervisor.store.model import (
    EVERYTHING,
    Added,
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
from khive_supervisor.store.tasks import BudgetStore, RoleStore, TaskStore
from khive_supervisor.tasks.model import (
    ALL_TASKS,
    NewTask,
    QueueDepth,
    Record,
    RoleRow,
    Task,
    TaskEvent,
    TaskFilter,
)

#: Between a namespace and an idempotency key of its own: no key that is typed has it.
KEY_SEPARATOR = "\x1f"
#: How a role was selected, without the records that it was selected by.
SELECTED = {"selected": "among the roles that take its type"}
#: Changes among which its own are looked for.
CHANGES = 200
#: Events that are read at a time while those of others are passed over.
EVENTS = 500


def confined_store(store: Store, grant: Grant, serving: Callable[[], Collection[str]]) -> Store:
    """Return a store for whoever has a grant; `serving` names the profiles that serve them."""
    return cast("Store", _Store(store, grant, serving)) if grant.confined else store


def refused(what: str) -> Denied:
    """Return the error of what is about all namespaces."""
    return Denied(
        f"{what} is about all namespaces, and this session is confined.",
        hint="The user can look in a terminal that no agent has started.",
    )


def _check(grant: Grant, namespace: str) -> None:
    if not grant.admits(namespace):
        raise refused(f"The namespace {namespace[:80]!r}")


class _Wall:
    """Whatever a class below does not define is refused, by its name."""

    _NAME = "store"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        raise refused(f"{self._NAME}.{name}")


class _Store(_Wall):
    """`Store` for a grant: what is of no namespace, and the facets that can be confined."""

    def __init__(self, store: Store, grant: Grant, serving: Callable[[], Collection[str]]) -> None:
        self._store = store
        self.entries = entries = _Entries(store.entries, grant)
        self.projects = _Projects(store.projects, entries)
        self.lists = _Lists(store.lists, entries)
        self.changes = _Changes(store.changes, entries)
        self.links = _Links(store.links, entries)
        self.references = _References(store.references, entries)
        self.sources = _Sources(store.sources, entries, grant)
        self.feedback = _Feedback(store.feedback, entries, grant, serving)
        self.tasks = _Tasks(store.tasks, grant)
        self.roles = _Roles(store.roles)
        self.budgets = _Budgets(store.budgets)

    @property
    def path(self) -> str:
        return self._store.path

    def data_version(self) -> int:
        return self._store.data_version()

    def change_token(self) -> tuple[int, int] | None:
        return self._store.change_token()

    def transaction(self) -> AbstractContextManager[object]:
        return self._store.transaction()


class _Entries(_Wall):
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
            _check(self._grant, entry.namespace)
        return self._entries.add(entries, vectors, model_id)

    def provenances(self, numbers: Iterable[int]) -> dict[int, Provenance]:
        """Of entries of its own alone: their numbers are known from these."""
        return self._entries.provenances(numbers)

    def forget(self, ids: Sequence[int]) -> list[int]:
        return self._entries.forget(self.among(ids))

    def restore(self, ids: Sequence[int]) -> list[int]:
        return self._entries.restore(self.among(ids))

    def supersede(
        self, old_id: int, new: NewEntry, vector: bytes | None = None, model_id: str | None = None
    ) -> Added:
        _check(self._grant, new.namespace)
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


class _Projects(_Wall):
    """`ProjectStore` for a grant: how many of its own entries each has; numbers are not shown."""

    _NAME = "store.projects"

    def __init__(self, projects: ProjectStore, entries: _Entries) -> None:
        self._projects = projects
        self._entries = entries

    def counts(self, where: EntryFilter) -> Mapping[int | None, int]:
        return self._projects.counts(self._entries.within(where))


class _Lists(_Wall):
    """`EntryList` for a grant."""

    _NAME = "store.lists"

    def __init__(self, lists: EntryList, entries: _Entries) -> None:
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

    def pin(self, ids: Sequence[int], pinned: bool = True) -> list[int]:
        return self._lists.pin(self._entries.among(ids), pinned)


class _Changes(_Wall):
    """`ChangeLog` for a grant: of changes that touched nothing but its own entries."""

    _NAME = "store.changes"

    def __init__(self, changes: ChangeLog, entries: _Entries) -> None:
        self._changes = changes
        self._entries = entries

    def _own(self, change: EntryChange) -> bool:
        return len(self._entries.get(change.entries)) == len(change.entries)

    def recorded(
        self, what: str, ids: Sequence[int], new: Sequence[NewEntry] = ()
    ) -> AbstractContextManager[None]:
        return self._changes.recorded(what, self._entries.among(ids), new)

    def recent(self, limit: int = 20, actor: str | None = None) -> list[EntryChange]:
        found = self._changes.recent(CHANGES, actor)
        return [one for one in found if self._own(one)][:limit]

    def undo(self, change_id: int) -> EntryChange:
        if all(one.id != change_id for one in self.recent(CHANGES)):
            raise NotFound(f"There is no change {change_id}.")
        return self._changes.undo(change_id)


class _Links(_Wall):
    """`LinkStore` for a grant: links between its own entries."""

    _NAME = "store.links"

    def __init__(self, links: LinkStore, entries: _Entries) -> None:
        self._links = links
        self._entries = entries

    def _both_own(self, *ids: int) -> bool:
        return len(self._entries.get(list(ids))) == len(ids)

    def add(self, from_id: int, to_id: int, kind: str, by: str = "") -> bool:
        if not self._both_own(from_id, to_id):
            raise NotFound(f"There is no entry {from_id} or {to_id} that could be linked.")
        return self._links.add(from_id, to_id, kind, by)

    def end(self, from_id: int, to_id: int, kind: str) -> bool:
        return self._both_own(from_id, to_id) and self._links.end(from_id, to_id, kind)

    def of(self, ids: Iterable[int], kinds: Iterable[str] = KINDS) -> list[EntryLink]:
        return self._among(self._links.of(ids, kinds))

    def history(self, ids: Iterable[int]) -> list[EntryLink]:
        return self._among(self._links.history(ids))

    def _among(self, links: list[EntryLink]) -> list[EntryLink]:
        ends = {one for link in links for one in (link.from_id, link.to_id)}
        own = {one.id for one in self._entries.get(list(ends))}
        return [link for link in links if {link.from_id, link.to_id} <= own]


class _References(_Wall):
    """`ReferenceStore` for a grant: what its own entries are about."""

    _NAME = "store.references"

    def __init__(self, references: ReferenceStore, entries: _Entries) -> None:
        self._references = references
        self._entries = entries

    def add(self, entry_id: int, references: Sequence[CodeReference]) -> None:
        if not self._entries.get([entry_id]):
            raise NotFound(f"There is no entry {entry_id} that could be about code.")
        self._references.add(entry_id, references)

    def of(self, ids: Iterable[int]) -> Mapping[int, Sequence[CodeReference]]:
        return self._references.of(self._entries.among(list(ids)))


class _Sources(_Wall):
    """`SourceStore` for a grant."""

    _NAME = "store.sources"

    def __init__(self, sources: SourceStore, entries: _Entries, grant: Grant) -> None:
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
            _check(self._grant, namespace)
        return self._sources.say(text, vectors, model_id)

    def begin_run(self) -> int:
        return self._sources.begin_run()

    def end(
        self, namespace: str, names: Iterable[str], project: int | None = None
    ) -> tuple[int, ...]:
        _check(self._grant, namespace)
        return self._sources.end(namespace, names, project)

    def below(
        self, namespace: str, folder: str, after: str = "", limit: int = 1000
    ) -> list[KnownSource]:
        _check(self._grant, namespace)
        return self._sources.below(namespace, folder, after, limit)

    def named(
        self, namespace: str, names: Sequence[str], project: int | None = None
    ) -> list[KnownSource]:
        _check(self._grant, namespace)
        return self._sources.named(namespace, names, project)

    def with_digests(self, namespace: str, digests: Sequence[bytes]) -> list[KnownSource]:
        _check(self._grant, namespace)
        return self._sources.with_digests(namespace, digests)

    def of(self, entry: int) -> list[tuple[str, str, float | None]]:
        return self._sources.of(entry) if self._entries.get([entry]) else []

    def embedded(self, hashes: Iterable[bytes], model_id: str) -> set[bytes]:
        """Of what lives: whoever is told of more could ask for what others have."""
        asked = list(hashes)
        return self._sources.embedded(asked, model_id) & self._entries.known(asked).keys()


class _Feedback(_Wall):
    """`FeedbackStore` for a grant: of its own entries, and for the profiles that serve it."""

    _NAME = "store.feedback"

    def __init__(
        self,
        feedback: FeedbackStore,
        entries: _Entries,
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
            _check(self._grant, event.namespace)
            if event.profile not in serving:
                raise missing(event.profile)
            if event.entry_id is not None and not self._entries.get([event.entry_id]):
                raise NotFound(f"There is no entry {event.entry_id}.")
        return self._feedback.record_many(events)


class _Tasks(_Wall):
    """`TaskStore` for a grant."""

    _NAME = "store.tasks"

    def __init__(self, tasks: TaskStore, grant: Grant) -> None:
        self._tasks = tasks
        self._grant = grant

    def _shown(self, task: Task) -> Task:
        """A task without what tells of other namespaces: how the role was selected, and why."""
        key = task.idempotency
        if key is not None:
            key = key.removeprefix(f"{task.namespace}{KEY_SEPARATOR}")
        return replace(task, idempotency=key, chosen=None if task.chosen is None else SELECTED)

    def assign(self, task: NewTask) -> tuple[Task, bool]:
        """Keys are each namespace's own: another one's neither answers nor stands in the way."""
        _check(self._grant, task.namespace)
        key = task.idempotency
        if key is not None:
            key = f"{task.namespace}{KEY_SEPARATOR}{key}"
        try:
            found, created = self._tasks.assign(replace(task, idempotency=key))
        except BudgetExceeded:
            text = f"The budget of the role {task.role} is exceeded. Nothing was queued."
            raise BudgetExceeded(text, hint="Try again later, or name another role.") from None
        except InvalidInput as error:
            text = error.message.replace(repr(key), repr(task.idempotency))
            raise InvalidInput(text, hint=error.hint) from None
        return self._shown(found), created

    def find(self, task_id: int) -> Task | None:
        found = self._tasks.find(task_id)
        return self._shown(found) if found and self._grant.admits(found.namespace) else None

    def _existing(self, task_id: int) -> int:
        if self.find(task_id) is None:
            raise NotFound(f"There is no task t{task_id}.")
        return task_id

    def page(
        self, where: TaskFilter = ALL_TASKS, limit: int = 50, before: int | None = None
    ) -> list[Task]:
        own = self._grant.namespaces or ()
        asked = own if where.namespaces is None else where.namespaces
        within = replace(where, namespaces=tuple(name for name in asked if name in own))
        return [self._shown(one) for one in self._tasks.page(within, limit, before)]

    def events(
        self, after_seq: int = 0, limit: int = 500, task_id: int | None = None
    ) -> list[TaskEvent]:
        """Return those of its own among the next ones; none only if there is none."""
        seen: dict[int, bool] = {}
        while True:
            found = self._tasks.events(after_seq, EVENTS, task_id)
            own = [one for one in found if self._is_own(one.task_id, seen)]
            if own or len(found) < EVENTS:
                return own[:limit]
            after_seq = found[-1].seq

    def _is_own(self, task_id: int, seen: dict[int, bool]) -> bool:
        if task_id not in seen:
            seen[task_id] = self.find(task_id) is not None
        return seen[task_id]

    def last_event(self) -> int:
        return self._tasks.last_event()

    def cancel(self, task_id: int) -> Task:
        return self._shown(self._tasks.cancel(self._existing(task_id)))

    def retry(self, task_id: int) -> Task:
        return self._shown(self._tasks.retry(self._existing(task_id)))

    def feedback(self, task_id: int, quality: float) -> Task:
        return self._shown(self._tasks.feedback(self._existing(task_id), quality))

    def queue_depths(self) -> dict[str, QueueDepth]:
        """None: they are of all namespaces."""
        return {}


class _Roles(_Wall):
    """`RoleStore` for a grant: that they are there, and nothing of what they did for others."""

    _NAME = "store.roles"

    def __init__(self, roles: RoleStore) -> None:
        self._roles = roles

    def all(self) -> list[RoleRow]:
        return self._roles.all()

    def records(self, _role: str | None = None) -> list[Record]:
        return []


class _Budgets(_Wall):
    """`BudgetStore` for a grant: which roles take no task now, and nothing of the amounts."""

    _NAME = "store.budgets"

    def __init__(self, budgets: BudgetStore) -> None:
        self._budgets = budgets

    def blocked(self) -> dict[str, str]:
        return dict.fromkeys(self._budgets.blocked(), "it is exceeded")
