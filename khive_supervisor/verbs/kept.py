"""What a session keeps from call to call: profiles, its project, and what it was served of late."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass

from khive_supervisor.freshness import BINDINGS, POSTERIORS, PROFILES, PROJECTS, Fresh, Versions
from khive_supervisor.profiles.model import Profile
from khive_supervisor.profiles.names import missing
from khive_supervisor.profiles.snapshot import Snapshot, load_snapshot
from khive_supervisor.projects.identity import ProjectIdentity
from khive_supervisor.store.interface import Store
from khive_supervisor.store.projects import ProjectFamily

#: Served entries that a session remembers; the oldest are forgotten.
_REMEMBERED = 512


@dataclass(frozen=True, slots=True)
class Serve:
    """One recall: its own name, and the profile that ranked it."""

    name: str
    profile: str


class Served:
    """The entries that a session was served of late, each with the recall that served it last."""

    def __init__(self) -> None:
        self._by_entry: OrderedDict[int, Serve] = OrderedDict()

    def add(self, entries: Iterable[int], serve: Serve) -> None:
        """Note what a recall has served."""
        for entry in entries:
            self._by_entry.pop(entry, None)
            self._by_entry[entry] = serve
        while len(self._by_entry) > _REMEMBERED:
            self._by_entry.popitem(last=False)

    def take(self, entries: Iterable[int]) -> dict[int, Serve]:
        """Return those of the entries that were served; each serve of an entry is used once."""
        asked = dict.fromkeys(entries)
        return {one: self._by_entry.pop(one) for one in asked if one in self._by_entry}


class Profiles:
    """The profiles and bindings that this worker answers from."""

    def __init__(self, store: Store, versions: Versions) -> None:
        self._store = store
        self._snapshot = Fresh(versions, (PROFILES, POSTERIORS, BINDINGS), self._load)
        # Who serves whom does not change with what is learned: feedback need not read it again.
        self._routes = Fresh(versions, (PROFILES, BINDINGS), self._load)

    def _load(self) -> Snapshot:
        return load_snapshot(self._store.profiles.all, self._store.bindings.all)

    def snapshot(self) -> Snapshot:
        """Return all of them, as of now."""
        return self._snapshot.get()

    def serving(self, actor: str, namespace: str, consumer_kind: str) -> str:
        """Return the name of the profile that serves a call, as of now."""
        return self._routes.get().resolve(actor, namespace, consumer_kind).profile.name

    def find(self, name: str) -> Profile:
        """Return the profile of a name; what the snapshot does not know is looked up in the store.

        Raises:
            NotFound: the store does not know it either.
        """
        found = self.snapshot().find(name) or self._store.profiles.find(name)
        if found is None:
            raise missing(name)
        return found

    def changed(self) -> None:
        """Own commits have changed them: forget what is cached."""
        self._snapshot.invalidate()


class SessionProject:
    """The project of a session as the store has it, as of now."""

    def __init__(self, store: Store, versions: Versions) -> None:
        self._store = store
        self._identity: ProjectIdentity | None = None
        self._family = Fresh(versions, (PROJECTS,), self._load)

    def _load(self) -> ProjectFamily | None:
        return self._store.projects.find(self._identity) if self._identity is not None else None

    def family(self, identity: ProjectIdentity | None) -> ProjectFamily | None:
        """Return the projects that are one with a session's; None: nothing is stored in it."""
        if identity != self._identity:
            self._identity = identity
            self._family.invalidate()
        return self._family.get() if identity is not None else None

    def ensure(self, identity: ProjectIdentity) -> int:
        """Return the number of a session's project, which is stored if it is new."""
        family = self.family(identity)
        if family is not None:
            return family.ids[0]
        number = self._store.projects.ensure(identity)
        self._family.invalidate()
        return number
