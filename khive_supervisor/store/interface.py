"""What the rest of the project may ask of a store, whatever engine is behind it.

A store is made of facets, one for each kind of thing that it holds; their contracts are in the
modules beside this one. An engine implements them: `sqlite` is the one that there is.

Every method of a facet is one transaction that is over when it returns: no method leaves a cursor,
a snapshot or a lock behind, so an idle process never holds back a checkpoint. A store belongs to
the process that opened it, and is used by one thread at a time (calls of other threads wait).

Errors of every method: `StoreUnavailable` (busy, full, read-only: the same call can succeed later;
nothing was changed) and `StoreError` (damage, misuse; nothing was changed).
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol, Self

from khive_supervisor.store.audit import AuditLog
from khive_supervisor.store.channels.deliveries import DeliveryStore
from khive_supervisor.store.curation import BatchLog, ChangeLog, EntryList, Exchange
from khive_supervisor.store.entries import EntryStore, PurgeStore
from khive_supervisor.store.full_text import FullText, PostingStore
from khive_supervisor.store.journal.facet import CaptureStore, JournalStore
from khive_supervisor.store.journal.sessions import ClientSessionStore, InjectionStore
from khive_supervisor.store.links import LinkStore, ReferenceStore
from khive_supervisor.store.model import ChangeCounts, Checkpoint, StoreStats
from khive_supervisor.store.profiles import BindingStore, FeedbackStore, ProfileStore
from khive_supervisor.store.projects import ProjectStore
from khive_supervisor.store.sources import SourceStore
from khive_supervisor.store.tasks import (
    BudgetStore,
    ExecutionStore,
    RoleStore,
    RoutingStore,
    TaskStore,
)
from khive_supervisor.store.team.waiting import WaitingStore
from khive_supervisor.store.vectors import GenerationStore, VectorStore
from khive_supervisor.store.workflows.offices import OfficeStore
from khive_supervisor.store.workflows.runs import WorkflowStore
from khive_supervisor.store.workflows.schedules import ScheduleStore


class Store(Protocol):
    """The facets, and what is about the store as a whole.

    Attributes:
        path: the absolute path of the store; the index lives in `index/` beside it.
        node: the name of this node of a team; empty in a store of one machine.
    """

    path: str
    node: str
    entries: EntryStore
    links: LinkStore
    references: ReferenceStore
    projects: ProjectStore
    lists: EntryList
    changes: ChangeLog
    batches: BatchLog
    exchange: Exchange
    sources: SourceStore
    purges: PurgeStore
    full_text: FullText
    postings: PostingStore
    vectors: VectorStore
    generations: GenerationStore
    profiles: ProfileStore
    bindings: BindingStore
    feedback: FeedbackStore
    tasks: TaskStore
    executions: ExecutionStore
    roles: RoleStore
    budgets: BudgetStore
    routing: RoutingStore
    workflows: WorkflowStore
    schedules: ScheduleStore
    journal: JournalStore
    capture: CaptureStore
    client_sessions: ClientSessionStore
    injections: InjectionStore
    deliveries: DeliveryStore
    offices: OfficeStore
    waiting: WaitingStore
    audit: AuditLog

    def close(self) -> None:
        """Let go of everything; again is harmless."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *exception: object) -> None: ...

    def transaction(self) -> AbstractContextManager[object]:
        """Commit all calls inside together or not at all; takes the write lock at once."""
        ...

    def data_version(self) -> int:
        """Return a number that changes with every commit of any *other* connection (1-2 µs).

        Own commits do not change it, a checkpoint that empties the log may, and numbers of two
        connections are not comparable. It is to be read before the rows that it stands for.
        """
        ...

    def change_token(self) -> tuple[int, int] | None:
        """Return `data_version` and a count of own commits: another one after every commit.

        None inside a transaction, where SQLite's number stands still: nothing can be said there.
        """
        ...

    def change_counts(self) -> ChangeCounts:
        """Return how often each kind of thing has changed, and in which past.

        One cheap statement.
        """
        ...

    def past(self) -> bytes:
        """Return a name for the store's past: another one once a backup took the store's place.

        Ids and numbers that were read under another name mean nothing any more.
        """
        ...

    def stats(self) -> StoreStats:
        """Return the store in numbers; counts, so not for every request."""
        ...

    def server_time(self) -> float | None:
        """Return unix seconds by the clock of a team's server; None in a store of one machine."""
        ...

    def catch_up(self) -> None:
        """Wait until what is read next has all that any node of the team had written before this.

        Nothing is waited for in a store of one machine, nor inside a transaction.

        Raises:
            StoreUnavailable: the team's server cannot be asked now.
        """
        ...

    def unheard(self) -> float | None:
        """Return the seconds since a team's server was heard of; None: there is no server."""
        ...

    def checkpoint(self, truncate: bool = False) -> Checkpoint:
        """Move the write-ahead log into the file without waiting for readers (PASSIVE).

        With `truncate`, wait for them up to the busy timeout and shrink the log to nothing.
        """
        ...

    def quick_check(self) -> list[str]:
        """Return problems of the file, its full-text index and its references; empty: none."""
        ...

    def backup(self, target: str) -> None:
        """Write a consistent copy to a new file, durable when it returns, while others go on."""
        ...

    def restore_backup(self, source: str) -> None:
        """Replace everything by what a backup holds, in one transaction, while others go on."""
        ...
