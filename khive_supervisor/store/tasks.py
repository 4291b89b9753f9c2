"""The facets of a store for tasks and attempts at them, for roles, and for what these may spend.

What the choice of a candidate changes is part of the transactions of `TaskStore`.

`now` is always a moment of the store's own clock (`TaskStore.now`): this boot's, or that of a
team's server. The wall clock only fills columns for people, and decides whether a task's own
deadline has passed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Protocol

from khive_supervisor.budgets.account import Account
from khive_supervisor.budgets.limits import BudgetLimits
from khive_supervisor.history.model import ALL_EXECUTIONS, DaySum, Execution, ExecutionFilter
from khive_supervisor.routing.breaker import Breaker
from khive_supervisor.routing.model import CandidateRecord, RouteAnswer, Unavailable
from khive_supervisor.store.model import EVERYTHING, EntryFilter
from khive_supervisor.tasks.lease import Moment
from khive_supervisor.tasks.model import (
    ALL_TASKS,
    Claim,
    Claimant,
    Finished,
    NewTask,
    Outcome,
    QueueDepth,
    Record,
    Released,
    RoleRow,
    Spending,
    Task,
    TaskEvent,
    TaskFilter,
)
from khive_supervisor.workflows.model import NOTHING, Waits


class TaskStore(Protocol):
    """Tasks, and what happened to them.

    Every change that an id asks for is `NotFound` without that task.
    """

    # --- who gives work ---

    def assign(self, task: NewTask, waits: Waits = NOTHING) -> tuple[Task, bool]:
        """Queue a task, once that comes about which it waits for; return it, and True if it is new.

        An idempotency key that is known answers with its task, as that is now. `InvalidInput` if
        that one is about something else (another payload, type, or role that the caller named),
        or if the payload is too large. `BudgetExceeded` if the role could not begin it before a
        window ends.
        """
        ...

    def find(self, task_id: int) -> Task | None:
        """Return the task of an id, or None."""
        ...

    def page(
        self, where: TaskFilter = ALL_TASKS, limit: int = 50, before: int | None = None
    ) -> list[Task]:
        """Return the newest tasks, or those before an id; newest first, without what is large."""
        ...

    def events(
        self, after_seq: int = 0, limit: int = 500, task_id: int | None = None
    ) -> list[TaskEvent]:
        """Return what happened to all tasks, or to one, after a number, in order."""
        ...

    def last_event(self) -> int:
        """Return the number of the newest event, 0 without any; cheap."""
        ...

    def cancel(self, task_id: int) -> Task:
        """Cancel a task that waits; ask the worker of one that is being done to stop it.

        What waits for it goes on as its policy says. Parts that it has fanned out into go with it.

        A task that has ended stays as it is. The task as it is now tells which it was.
        """
        ...

    def retry(self, task_id: int) -> Task:
        """Queue a task again that failed, died or was cancelled: all attempts, no deadline.

        It waits again for what it waited for, and tasks that were skipped because of it do, too.

        `InvalidInput` in any other state.
        """
        ...

    def feedback(self, task_id: int, quality: float) -> Task:
        """Say how good a done task's result is, 0 to 1; again replaces what was said before.

        `InvalidInput` unless the task is done.
        """
        ...

    # --- who does it ---

    def now(self) -> Moment:
        """Return the moment that it is, by the clock that the store's leases are of.

        `StoreUnavailable` if that is a server's which could not be asked since this boot.
        """
        ...

    def claim(self, claimant: Claimant, now: Moment) -> Claim | None:
        """Take the role's next task: highest priority first, then oldest; None: there is none.

        Tasks whose deadline has passed fail on the way. Costs no transaction if none waits. A
        role with limits sets something aside for the task, and waits if that does not fit; once
        they are exceeded, its fallback is to do it. Of a role with candidates, the one that is
        chosen is named; a task that none of them can do now waits, and the next one is taken.
        """
        ...

    def renew(self, task_id: int, token: int, until: Moment) -> bool:
        """Hold a claim for longer; return False if it is no longer the last one: stop the work."""
        ...

    def progress(self, task_id: int, token: int, text: str) -> bool:
        """Say how far it is; return False as `renew` does. For a few calls a second at most."""
        ...

    def note_log(self, task_id: int, token: int, text: str) -> bool:
        """Keep the end of what it has printed so far; return False as `renew` does."""
        ...

    def note_session(self, task_id: int, token: int, session: str, counted: int) -> bool:
        """Keep an agent's session for the next attempt; return False as `renew` does."""
        ...

    def cancelled(self, task_id: int, token: int) -> bool:
        """Return True if a claim's holder should stop: asked to, or no longer the holder."""
        ...

    def finish(
        self,
        task_id: int,
        token: int,
        outcome: Outcome,
        now: Moment,
        next_claim: Claimant | None = None,
    ) -> Finished:
        """Store what came of an attempt, count it, and claim the next task: one transaction.

        Accepted only from the last claim while it lasts, and only then what it used counts. A
        failure with attempts left queues the task again after a short wait; one of a candidate
        that could not begin queues it at once, and is no attempt. A refused outcome
        leaves an event, and nothing else; the next task is claimed all the same.
        """
        ...

    def fail_over(
        self, task_id: int, token: int, claimant: Claimant, why: Unavailable, now: Moment
    ) -> RouteAnswer | None:
        """Give a claimed task to another candidate, since the one that has it could not begin.

        The same attempt goes on. None: nobody else can, or the claim is no longer the last one.
        """
        ...

    def release(self, worker: str, *, died: bool = True) -> list[Released]:
        """Queue what a worker held: it died, or (not `died`) was stopped before it was through.

        A death counts as an attempt: the last one makes the task dead. A task that was to be
        cancelled is.
        """
        ...

    def release_expired(self, now: Moment) -> list[Released]:
        """Release every task whose lease is over, as of dead workers; late tasks fail."""
        ...

    def due(self, now: Moment) -> list[str]:
        """Return the configured roles with a task that could be claimed now; cheap."""
        ...

    def queue_depths(self) -> dict[str, QueueDepth]:
        """Return how much waits and is being done, by role; roles without either are left out."""
        ...

    def oldest_waiting(self) -> dict[str, float]:
        """Return when the oldest waiting task of each role was given (unix seconds)."""
        ...

    def prune(self, older_than: float, limit: int = 500) -> int:
        """Remove tasks that ended before a time (unix seconds), oldest first.

        Return how many went.
        """
        ...


class RoleStore(Protocol):
    """The roles that do tasks, and how each did. Records are only ever added to."""

    def set(self, roles: Sequence[RoleRow]) -> None:
        """Make these the configured roles of this node.

        What is as before is not touched; records and other nodes' roles never are.
        """
        ...

    def all(self) -> list[RoleRow]:
        """Return the configured roles, by name; in a team, those of other nodes, too."""
        ...

    def own(self) -> list[RoleRow]:
        """Return the roles that this node has set, by name."""
        ...

    def records(self, role: str | None = None) -> list[Record]:
        """Return how roles did, or one of them; oldest first, a row for each day."""
        ...


class BudgetStore(Protocol):
    """Limits by role, and spending, which is only ever added to."""

    def set_limits(self, limits: Mapping[str, BudgetLimits]) -> None:
        """Make these this node's limits, by role; what was spent stays spent."""
        ...

    def accounts(self) -> list[Account]:
        """Return how every role's budget stands, by name; those without limits too."""
        ...

    def blocked(self) -> dict[str, str]:
        """Return the roles whose budget takes no task now, not even by a fallback, and why."""
        ...

    def spending(self, after_seq: int = 0, limit: int = 500) -> list[Spending]:
        """Return what accepted attempts used, after a number, in order; kept for ever."""
        ...


class ExecutionStore(Protocol):
    """Attempts that have ended: each is an entry, and what only attempts have is beside it.

    The store writes them itself, in the transaction that ends an attempt. They are searched, shown,
    forgotten and purged as all entries are. An `EntryFilter` says which of their entries count.
    """

    def of(self, entries: Iterable[int]) -> Mapping[int, Execution]:
        """Return the executions of entries, by entry; other entries are left out."""
        ...

    def of_tasks(self, tasks: Iterable[int]) -> list[Execution]:
        """Return all attempts at tasks, in the order in which they were claimed."""
        ...

    def page(
        self,
        where: EntryFilter = EVERYTHING,
        which: ExecutionFilter = ALL_EXECUTIONS,
        limit: int = 50,
    ) -> list[Execution]:
        """Return the newest live executions, newest first."""
        ...

    def days(
        self,
        where: EntryFilter = EVERYTHING,
        which: ExecutionFilter = ALL_EXECUTIONS,
        limit: int = 366,
    ) -> list[DaySum]:
        """Return the sums of the newest days on which anything ended, oldest first.

        Cancelled executions are left out: they say nothing about who did them.
        """
        ...

    def prune(self, older_than: float, limit: int = 500) -> int:
        """Remove executions that ended before a time (unix seconds) for good, oldest first.

        Return how many went. Their ids are never used again.
        """
        ...


class RoutingStore(Protocol):
    """Breakers and records of candidates, by digest; records are only ever added to."""

    def breakers(self, digests: Collection[str], now: Moment) -> dict[str, Breaker]:
        """Return the breakers of candidates; one that never opened is left out.

        Their times are of the clock of `now`. One that opened before the machine was started has
        waited long enough.
        """
        ...

    def records(self, digests: Collection[str], since: int = 0) -> list[CandidateRecord]:
        """Return how candidates did, from a day on; oldest first, a row for each day and type."""
        ...

    def close_breaker(self, role: str, candidate: str, digest: str) -> bool:
        """Let tasks go to a candidate at once; return False if its breaker was closed already.

        Those that wait in the role's queue for a time have their turn now.
        """
        ...
