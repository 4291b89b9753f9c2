"""Tasks and roles for a grant: what its namespaces have given, and nothing of others' doings."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from khive_supervisor.access.grant import Grant
from khive_supervisor.errors import BudgetExceeded, InvalidInput, NotFound
from khive_supervisor.history.model import (
    ALL_EXECUTIONS,
    DaySum,
    Execution,
    ExecutionFilter,
)
from khive_supervisor.routing.breaker import Breaker
from khive_supervisor.routing.model import CandidateRecord, RouteAnswer
from khive_supervisor.store.model import EVERYTHING, EntryFilter
from khive_supervisor.store.tasks import (
    BudgetStore,
    ExecutionStore,
    RoleStore,
    RoutingStore,
    TaskStore,
)
from khive_supervisor.tasks.lease import Moment
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
from khive_supervisor.verbs.confined.entries import ConfinedEntries
from khive_supervisor.verbs.confined.wall import Wall, check
from khive_supervisor.workflows.model import NOTHING, Waits

#: Between a namespace and an idempotency key of its own: no key that is typed has it.
KEY_SEPARATOR = "\x1f"
#: How a role was selected, without the records that it was selected by.
SELECTED = {"selected": "among the roles that take its type"}
#: Events that are read at a time while those of others are passed over.
EVENTS = 500


class ConfinedTasks(Wall):
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
        route: RouteAnswer | None = None
        if task.route is not None:
            route = {"candidate": task.route["candidate"]}
        chosen = None if task.chosen is None else SELECTED
        return replace(task, idempotency=key, chosen=chosen, route=route)

    def assign(self, task: NewTask, waits: Waits = NOTHING) -> tuple[Task, bool]:
        """Keys are each namespace's own: another one's neither answers nor stands in the way."""
        check(self._grant, task.namespace)
        for before in waits.after:
            self._existing(before.task)
        key = task.idempotency
        if key is not None:
            key = f"{task.namespace}{KEY_SEPARATOR}{key}"
        try:
            found, created = self._tasks.assign(replace(task, idempotency=key), waits)
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


class ConfinedRoles(Wall):
    """`RoleStore` for a grant: that they are there, and nothing of what they did for others."""

    _NAME = "store.roles"

    def __init__(self, roles: RoleStore) -> None:
        self._roles = roles

    def all(self) -> list[RoleRow]:
        return self._roles.all()

    def records(self, _role: str | None = None) -> list[Record]:
        return []


class ConfinedRouting(Wall):
    """`RoutingStore` for a grant: nothing of what candidates did for others."""

    _NAME = "store.routing"

    def __init__(self, routing: RoutingStore) -> None:
        self._routing = routing

    def breakers(self, _digests: Collection[str], _now: Moment) -> dict[str, Breaker]:
        return {}

    def records(self, _digests: Collection[str], _since: int = 0) -> list[CandidateRecord]:
        return []


class ConfinedBudgets(Wall):
    """`BudgetStore` for a grant: which roles take no task now, and nothing of the amounts."""

    _NAME = "store.budgets"

    def __init__(self, budgets: BudgetStore) -> None:
        self._budgets = budgets

    def blocked(self) -> dict[str, str]:
        return dict.fromkeys(self._budgets.blocked(), "it is exceeded")


class ConfinedExecutions(Wall):
    """`ExecutionStore` for a grant: those that its own entries tell of."""

    _NAME = "store.executions"

    def __init__(self, executions: ExecutionStore, entries: ConfinedEntries) -> None:
        self._executions = executions
        self._entries = entries

    def of(self, entries: Iterable[int]) -> Mapping[int, Execution]:
        return self._executions.of(self._entries.among(list(entries)))

    def of_tasks(self, tasks: Iterable[int]) -> list[Execution]:
        found = self._executions.of_tasks(tasks)
        own = {*self._entries.among([one.entry for one in found])}
        return [one for one in found if one.entry in own]

    def page(
        self,
        where: EntryFilter = EVERYTHING,
        which: ExecutionFilter = ALL_EXECUTIONS,
        limit: int = 50,
    ) -> list[Execution]:
        return self._executions.page(self._entries.within(where), which, limit)

    def days(
        self,
        where: EntryFilter = EVERYTHING,
        which: ExecutionFilter = ALL_EXECUTIONS,
        limit: int = 366,
    ) -> list[DaySum]:
        return self._executions.days(self._entries.within(where), which, limit)
