"""The whole store for a grant."""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from typing import cast

from khive_supervisor.access.grant import Grant
from khive_supervisor.store.interface import Store
from khive_supervisor.verbs.confined.curation import (
    ConfinedBatches,
    ConfinedChanges,
    ConfinedLinks,
    ConfinedLists,
    ConfinedReferences,
)
from khive_supervisor.verbs.confined.entries import (
    ConfinedEntries,
    ConfinedFeedback,
    ConfinedProjects,
    ConfinedSources,
)
from khive_supervisor.verbs.confined.journal import (
    ConfinedCapture,
    ConfinedClientSessions,
    ConfinedInjections,
    ConfinedJournal,
)
from khive_supervisor.verbs.confined.tasks import (
    ConfinedBudgets,
    ConfinedExecutions,
    ConfinedRoles,
    ConfinedRouting,
    ConfinedTasks,
)
from khive_supervisor.verbs.confined.wall import Wall
from khive_supervisor.verbs.confined.workflows import ConfinedWorkflows


def confined_store(store: Store, grant: Grant, serving: Callable[[], Collection[str]]) -> Store:
    """Return a store for whoever has a grant; `serving` names the profiles that serve them."""
    return cast("Store", ConfinedStore(store, grant, serving)) if grant.confined else store


class ConfinedStore(Wall):
    """`Store` for a grant: what is of no namespace, and the facets that can be confined."""

    def __init__(self, store: Store, grant: Grant, serving: Callable[[], Collection[str]]) -> None:
        self._store = store
        self.entries = entries = ConfinedEntries(store.entries, grant)
        self.projects = ConfinedProjects(store.projects, entries)
        self.lists = ConfinedLists(store.lists, entries)
        self.changes = ConfinedChanges(store.changes, entries)
        self.links = ConfinedLinks(store.links, entries)
        self.batches = ConfinedBatches(store.batches, grant)
        self.references = ConfinedReferences(store.references, entries)
        self.sources = ConfinedSources(store.sources, entries, grant)
        self.feedback = ConfinedFeedback(store.feedback, entries, grant, serving)
        self.journal = ConfinedJournal(store.journal, grant)
        self.capture = ConfinedCapture(store.capture, grant)
        self.client_sessions = ConfinedClientSessions(store.client_sessions, grant)
        self.injections = ConfinedInjections(store.injections, self.client_sessions)
        self.tasks = tasks = ConfinedTasks(store.tasks, grant)
        self.workflows = ConfinedWorkflows(store.workflows, tasks, grant)
        self.executions = ConfinedExecutions(store.executions, entries)
        self.roles = ConfinedRoles(store.roles)
        self.budgets = ConfinedBudgets(store.budgets)
        self.routing = ConfinedRouting(store.routing)

    @property
    def path(self) -> str:
        return self._store.path

    @property
    def node(self) -> str:
        return self._store.node

    def data_version(self) -> int:
        return self._store.data_version()

    def change_token(self) -> tuple[int, int] | None:
        return self._store.change_token()

    def transaction(self) -> AbstractContextManager[object]:
        return self._store.transaction()
