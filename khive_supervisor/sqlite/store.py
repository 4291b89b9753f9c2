"""The store on SQLite: one file, its log, and the tables of this package put together."""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Self

import apsw

from khive_supervisor.audit import actors
from khive_supervisor.errors import InvalidInput
from khive_supervisor.redaction.gate import Mode, TextGate
from khive_supervisor.sqlite.audit.table import AuditTable
from khive_supervisor.sqlite.channels.table import DeliveryTable
from khive_supervisor.sqlite.curation.batches import BatchTable
from khive_supervisor.sqlite.curation.changes import ChangeTable
from khive_supervisor.sqlite.curation.importing import ExchangeTable
from khive_supervisor.sqlite.curation.listing import ListingTable
from khive_supervisor.sqlite.engine import integrity
from khive_supervisor.sqlite.engine.backup import copy_to, restore_from
from khive_supervisor.sqlite.engine.connection import Opening, connect, wait_for_locks
from khive_supervisor.sqlite.engine.database import Database
from khive_supervisor.sqlite.engine.sharing import Sharing
from khive_supervisor.sqlite.engine.write_queue import WriteQueue
from khive_supervisor.sqlite.entries import statistics
from khive_supervisor.sqlite.entries.full_text import FullTextIndex
from khive_supervisor.sqlite.entries.kept_texts import PurgeTable
from khive_supervisor.sqlite.entries.links import LinkTable, ReferenceTable
from khive_supervisor.sqlite.entries.postings import PostingTable
from khive_supervisor.sqlite.entries.sources import SourceTable
from khive_supervisor.sqlite.entries.table import EntryTable
from khive_supervisor.sqlite.journal.capture import CaptureTable
from khive_supervisor.sqlite.journal.events import JournalEventTable
from khive_supervisor.sqlite.journal.sessions import ClientSessionTable, InjectionTable
from khive_supervisor.sqlite.profiles.bindings import BindingTable
from khive_supervisor.sqlite.profiles.feedback import FeedbackTable
from khive_supervisor.sqlite.profiles.table import ProfileTable
from khive_supervisor.sqlite.projects.table import ProjectTable
from khive_supervisor.sqlite.schema import guards
from khive_supervisor.sqlite.tasks.budgets import BudgetTable
from khive_supervisor.sqlite.tasks.causes import CauseTable
from khive_supervisor.sqlite.tasks.executions import ExecutionTable
from khive_supervisor.sqlite.tasks.roles import RoleTable
from khive_supervisor.sqlite.tasks.routing import RoutingTable
from khive_supervisor.sqlite.tasks.table import TaskTable
from khive_supervisor.sqlite.team import replica
from khive_supervisor.sqlite.team.offices import OfficeTable
from khive_supervisor.sqlite.team.replica import Replica, TeamClock
from khive_supervisor.sqlite.team.waiting import WaitingTable
from khive_supervisor.sqlite.vectors.generations import GenerationTable
from khive_supervisor.sqlite.vectors.table import VectorTable
from khive_supervisor.sqlite.workflows.runs import WorkflowTable
from khive_supervisor.sqlite.workflows.schedules import ScheduleTable
from khive_supervisor.store.interface import Store
from khive_supervisor.store.model import ChangeCounts, Checkpoint, StoreStats
from khive_supervisor.tasks import lease

#: Seconds that a write waits for another one, unless the configuration says otherwise.
BUSY_TIMEOUT = 10.0


class SqliteStore(Store):
    """`Store` on one SQLite file.

    Further tables of other parts take `database` and share its transactions.
    """

    def __init__(
        self,
        path: str,
        *,
        busy_timeout: float = BUSY_TIMEOUT,
        allow_network: bool = False,
        guarded: bool = True,
        owner: bool = False,
        clock: Callable[[], float] = time.time,
        audited: bool = True,
        secrets: str = Mode.REFUSE,
        actor: Callable[[], str] = actors.user,
        filesystem_of: Callable[[str], str | None] = guards.filesystem_type,
        library_version: Callable[[], str] = apsw.sqlite_lib_version,
        sharing: Sharing | None = None,
    ) -> None:
        self.path = os.path.realpath(path)
        self.database = _open(
            Opening(
                self.path,
                busy_timeout,
                allow_network=allow_network,
                guarded=guarded,
                owner=owner,
                filesystem_of=filesystem_of,
                library_version=library_version,
            ),
            TextGate(secrets),
            sharing,
        )
        self.node, self._now = "", lease.now
        origin: Callable[[], str] = str
        pin: Callable[[float | None], None] = _unpinned
        self._member: Callable[[], str | None] = _nobody
        if sharing is not None:
            team_clock = TeamClock(self.replica, wall=clock)
            self.node, self._now = self._node(), team_clock.now
            clock, origin = team_clock.wall_clock, team_clock.origin
            self._member = team_clock.member
            pin = functools.partial(setattr, team_clock, "pinned")
        self._clock = clock
        self._chain = AuditTable(self.database, clock, actor, enabled=audited, origin=origin)
        self._make_facets(clock, self._chain)
        self.lists = ListingTable(self.database, self.entries, clock)
        self.changes = ChangeTable(self.database, self.entries, clock, actor)
        self.batches = BatchTable(self.database, clock)
        hold = functools.partial(setattr, self.database, "held_back")
        self.waiting = WaitingTable(self.database, self.node, clock, pin, hold)
        self.exchange = ExchangeTable(self.database, self.entries, self.vectors, clock)

    def _make_facets(self, clock: Callable[[], float], audit: AuditTable) -> None:
        database = self.database
        vectors = VectorTable(database)
        entries = EntryTable(database, vectors, clock, audit)
        self.entries, self.vectors, self.audit = entries, vectors, audit
        self.purges = purges = PurgeTable(database, entries, clock, audit)
        self.links = LinkTable(database, clock, audit)
        self.references = ReferenceTable(database, clock, audit)
        self.projects = ProjectTable(database, entries, clock)
        self.sources = SourceTable(database, entries, vectors, clock)
        self.full_text = FullTextIndex(database, entries)
        self.postings = PostingTable(database)
        self.generations = GenerationTable(database)
        self.profiles = ProfileTable(database, clock, audit)
        self.bindings = BindingTable(database, clock, audit)
        self.feedback = FeedbackTable(database, clock, audit)
        self.roles = roles = RoleTable(database, clock, self.node)
        self.budgets = budgets = BudgetTable(database, clock, self.node)
        self.journal = JournalEventTable(database, clock)
        self.capture = CaptureTable(database, clock)
        self.client_sessions = ClientSessionTable(database)
        self.injections = InjectionTable(database)
        causes = CauseTable(database, self.links)
        self.executions = executions = ExecutionTable(
            database, entries, causes, self.projects, purges, clock, audit
        )
        self.routing = routing = RoutingTable(database, clock, audit)
        self.tasks = tasks = TaskTable(
            database, clock, audit, roles, budgets, executions, routing, self.node, self._now
        )
        self.offices = OfficeTable(database, clock, self.node, self._member)
        self.deliveries = DeliveryTable(database, clock, audit, self._member)
        self.workflows = runs = WorkflowTable(database, clock, audit, tasks)
        self.schedules = ScheduleTable(database, clock, audit, runs)

    def replica(self) -> Replica | None:
        """Return how this file follows a team's server; None if it is one machine's own."""
        with self.database.raw() as connection:
            return replica.read(connection)

    def _node(self) -> str:
        row = self.replica()
        return "" if row is None else row.node

    def close(self) -> None:
        self.database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def transaction(self) -> AbstractContextManager[None]:
        return self.database.write()

    def data_version(self) -> int:
        return self.database.data_version()

    def change_token(self) -> tuple[int, int] | None:
        return self.database.change_token()

    def change_counts(self) -> ChangeCounts:
        return statistics.change_counts(self.database)

    def past(self) -> bytes:
        return bytes(self.database.value("SELECT name FROM past"))

    def stats(self) -> StoreStats:
        return statistics.stats(self.database, self.entries.namespaces())

    def server_time(self) -> float | None:
        return self._clock() if self.database.shared else None

    def catch_up(self) -> None:
        self.database.catch_up()

    def unheard(self) -> float | None:
        return replica.unheard(self.path) if self.database.shared else None

    def checkpoint(self, truncate: bool = False) -> Checkpoint:
        mode = "TRUNCATE" if truncate else "PASSIVE"
        busy, pages, moved = self.database.rows(f"PRAGMA wal_checkpoint({mode})")[0]
        return Checkpoint(max(pages, 0), max(moved, 0), complete=not busy and pages == moved)

    def quick_check(self) -> list[str]:
        return integrity.problems(self.database)

    def backup(self, target: str) -> None:
        copy_to(self.database, target)

    def restore_backup(self, source: str) -> None:
        if self.database.shared:
            raise InvalidInput(
                "A team's store is not restored on one of its nodes: nothing was done.",
                hint="Restore the PostgreSQL server from its own backup; docs/team.md says how.",
            )
        restore_from(self.database, source, self._chain.after_restore)


def _nobody() -> str | None:
    return None


def _unpinned(_at: float | None) -> None:
    """Do nothing: a store of one machine has no waiting calls."""


def _open(opening: Opening, gate: TextGate, sharing: Sharing | None = None) -> Database:
    queue = WriteQueue(opening.path)

    def connected(opening: Opening) -> apsw.Connection:
        connection = connect(opening)
        wait_for_locks(connection, opening.busy_timeout, queue.wait)
        return connection

    # One that follows another into its place was made by somebody else: it is never made anew.
    again = replace(opening, guarded=False)
    connection = connected(opening)
    return Database(connection, opening.path, queue, lambda: connected(again), gate, sharing)
