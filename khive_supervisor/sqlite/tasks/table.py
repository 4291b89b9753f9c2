"""The tasks' tables: who gave which work to whom, and what became of it."""

# ruff: noqa: S608 - statements are put together from this package's constants; values are bound
from __future__ import annotations

import json

from khive_supervisor.errors import BudgetExceeded, InvalidInput, NotFound
from khive_supervisor.sqlite.engine.database import Value
from khive_supervisor.sqlite.tasks.claims import ClaimTable, may_begin
from khive_supervisor.sqlite.tasks.routing import RoutedAttempt
from khive_supervisor.sqlite.tasks.rows import COLUMNS, light_columns, task_of
from khive_supervisor.store.tasks import TaskStore
from khive_supervisor.tasks import states
from khive_supervisor.tasks.bounds import payload_text
from khive_supervisor.tasks.lease import Moment
from khive_supervisor.tasks.model import (
    ALL_TASKS,
    CANCEL_ASKED,
    CANCELLED,
    DONE,
    LEASED,
    QUEUED,
    RATED,
    RETRIED,
    WAITING,
    NewTask,
    QueueDepth,
    Task,
    TaskEvent,
    TaskFilter,
)
from khive_supervisor.tasks.records import day_of
from khive_supervisor.workflows.model import NOTHING, Waits

#: Of a task that has ended: nothing is left that may yet ask what came of it.
_FREE = """
    NOT EXISTS (SELECT 1 FROM task_after a JOIN tasks f ON f.id = a.task_id
                WHERE a.on_task = tasks.id AND f.ended_at IS NULL)
    AND NOT EXISTS (SELECT 1 FROM task_waits w JOIN workflow_runs r ON r.id = w.run_id
                    WHERE w.task_id = tasks.id AND r.state = 'running')
"""
_EMPTY_RUNS = """
    DELETE FROM workflow_runs WHERE ended_at < ?1
    AND NOT EXISTS (SELECT 1 FROM task_waits w WHERE w.run_id = workflow_runs.id)
"""


class TaskTable(ClaimTable, TaskStore):
    """`TaskStore` on SQLite; what workers do is in `ClaimTable`."""

    def assign(self, task: NewTask, waits: Waits = NOTHING) -> tuple[Task, bool]:
        payload = self.insertion.payload(task)
        with self._database.write():
            known = self._known(task, payload)
            if known is not None:
                return known, False
            return self._existing(self.insert(task, waits, payload)), True

    def insert(
        self, task: NewTask, waits: Waits, payload: str, run: int | None = None, step: str = ""
    ) -> int:
        """Insert a task with what it waits for; part of the transaction that is open."""
        wall = self._clock()
        self._refuse_exceeded(task.role, wall)
        if waits == NOTHING and run is None:
            return self.insertion.insert(task, payload, wall, waits=False)
        task_id = self.insertion.insert(task, payload, wall, waits=True)
        self.waits.add(task_id, waits, payload, run, step)
        self.waits.settle_all([task_id], wall)
        return task_id

    def _refuse_exceeded(self, role: str, wall: float) -> None:
        """A task that nobody could begin before a window ends is not taken."""
        account = self._budgets.check(role, wall)
        if account is not None and account.blocks:
            raise BudgetExceeded(
                f"The budget of the role {role} is exceeded: {account.why()}. Nothing was queued.",
                hint="Wait until then, raise the limit in the configuration and reload, or give "
                "the role a budget.fallback.",
            )

    def _known(self, task: NewTask, payload: str) -> Task | None:
        """Return the task that has the new one's idempotency key already."""
        if task.idempotency is None:
            return None
        rows = self._database.rows(
            f"SELECT {COLUMNS} FROM tasks WHERE namespace = ? AND idempotency = ?",
            [task.namespace, task.idempotency],
        )
        if not rows:
            return None
        found = task_of(rows[0])
        different = [
            what
            for what, same in (
                ("payload", self._given(found) == payload),
                ("task type", found.task_type == task.task_type),
                ("role", task.chosen is not None or found.role == task.role),
            )
            if not same
        ]
        if different:
            raise InvalidInput(
                f"The idempotency key {task.idempotency!r} belongs to task t{found.id}, which has "
                f"another {' and '.join(different)}; nothing was queued.",
                hint="Use a new key for a new task; the same key only repeats the same call.",
            )
        return found

    def _given(self, found: Task) -> str:
        """Return the payload of a task as its caller gave it, before results were put in."""
        template = "SELECT template FROM task_waits WHERE task_id = ? AND template IS NOT NULL"
        rows = self._database.rows(template, [found.id])
        return str(rows[0][0]) if rows else payload_text(found.payload)

    def find(self, task_id: int) -> Task | None:
        rows = self._database.rows(f"SELECT {COLUMNS} FROM tasks WHERE id = ?", [task_id])
        return task_of(rows[0]) if rows else None

    def _existing(self, task_id: int) -> Task:
        found = self.find(task_id)
        if found is None:
            raise NotFound(
                f"There is no task t{task_id}.",
                hint="`khive-supervisor tasks` and the verb agents.tasks list them; tasks that "
                "ended long ago are removed.",
            )
        return found

    def page(
        self, where: TaskFilter = ALL_TASKS, limit: int = 50, before: int | None = None
    ) -> list[Task]:
        given: dict[str, Value] = {"role": where.role, "task_type": where.task_type}
        if where.state is not None:
            waiting = where.state == WAITING
            given |= {"state": QUEUED if waiting else where.state, "waiting": int(waiting)}
        equal = {column: value for column, value in given.items() if value is not None}
        conditions = [f"{column} = ?" for column in equal]
        values: list[Value] = [*equal.values()]
        for column, among in (("session", where.sessions), ("namespace", where.namespaces)):
            if among is not None:
                conditions.append(f"{column} IN (SELECT value FROM json_each(?))")
                values.append(json.dumps(among))
        if before is not None:
            conditions.append("id < ?")
            values.append(before)
        rows = self._database.rows(
            f"SELECT {light_columns()} FROM tasks WHERE {' AND '.join(conditions) or '1'} "
            "ORDER BY id DESC LIMIT ?",
            [*values, limit],
        )
        return [task_of(row) for row in rows]

    def events(
        self, after_seq: int = 0, limit: int = 500, task_id: int | None = None
    ) -> list[TaskEvent]:
        one = "" if task_id is None else "AND task_id = ?3"
        rows = self._database.rows(
            "SELECT seq, task_id, at, what, token, worker, detail FROM task_events "
            f"WHERE seq > ?1 {one} ORDER BY seq LIMIT ?2",
            [after_seq, limit, *([] if task_id is None else [task_id])],
        )
        return [TaskEvent(*row) for row in rows]

    def last_event(self) -> int:
        return int(self._database.value("SELECT ifnull(max(seq), 0) FROM task_events"))

    def cancel(self, task_id: int) -> Task:
        with self._database.write():
            found = self._existing(task_id)
            wall = self._clock()
            self.waits.cancel_parts(task_id, wall)
            if found.state in (WAITING, QUEUED):
                self._log.end(task_id, wall, CANCELLED, found.token)
                self.waits.ended(task_id, wall)
            elif found.state == LEASED and not found.cancel_asked:
                self._database.update("tasks", task_id, cancel_asked=1)
                self._log.add(task_id, wall, CANCEL_ASKED, found.token, found.worker)
            return self._existing(task_id)

    def retry(self, task_id: int) -> Task:
        with self._database.write():
            found = self._existing(task_id)
            if found.state not in states.RETRIABLE:
                raise InvalidInput(
                    f"Task t{task_id} is {found.state}, and cannot be tried again.",
                    hint="Failed, dead and cancelled tasks can; for another run of a done one, "
                    "assign a new task.",
                )
            self.waits.again([task_id], self._clock(), self.requeue)
            return self._existing(task_id)

    def requeue(self, task_id: int, *, waits: bool) -> None:
        """Make a task's row as if it had never been begun; part of the open transaction."""
        self._database.update(
            "tasks", task_id,
            state=QUEUED, attempts=0, cancel_asked=0, deadline=None, not_before=0, boot="",
            lease_until=None, worker=None, progress=None, result=None, ended_at=None,
            waiting=int(waits),
        )  # fmt: skip
        token = self._database.value("SELECT token FROM tasks WHERE id = ?", [task_id])
        self._log.add(task_id, self._clock(), RETRIED, token)

    def feedback(self, task_id: int, quality: float) -> Task:
        if not 0.0 <= quality <= 1.0:
            raise InvalidInput(
                f"A quality of {quality!r} is not between 0 and 1.", hint="1 is the best."
            )
        with self._database.write():
            found = self._existing(task_id)
            if found.state != DONE:
                raise InvalidInput(
                    f"Task t{task_id} is {found.state}: there is no result to rate.",
                    hint="Only done tasks are rated; failures count against a role by themselves.",
                )
            self._database.update("tasks", task_id, quality=quality)
            day = day_of(found.ended_at or 0.0)
            key = (found.role, found.task_type, found.digest, day)
            self._roles.rate(key, found.quality, quality)
            self._executions.rate(task_id, found.token, quality)
            if found.route is not None:
                attempt = RoutedAttempt(found.role, found.task_type, found.route)
                self._routing.rate(attempt, day, found.quality, quality)
            self._log.add(task_id, self._clock(), RATED, found.token, None, f"{quality:g}")
            return self._existing(task_id)

    def due(self, now: Moment) -> list[str]:
        rows = self._database.rows(
            "SELECT role FROM roles WHERE node = ?3 AND EXISTS (SELECT 1 FROM tasks WHERE "
            "tasks.role = roles.role AND state = 'queued' AND waiting = 0 "
            "AND (not_before <= ?1 OR boot != ?2) "
            "AND tasks.node IN ('', ?3)) ORDER BY role",
            [now.at, now.boot, self._node],
        )
        wall = self._clock()
        return [role for (role,) in rows if may_begin(self._budgets.check(role, wall))]

    def queue_depths(self) -> dict[str, QueueDepth]:
        # A count for each partial index: none of them reads a task that has ended.
        rows = self._database.rows(
            "SELECT role, sum(queued), sum(leased), sum(waiting) FROM ("
            "SELECT role, count(*) AS queued, 0 AS leased, 0 AS waiting FROM tasks "
            "WHERE state = 'queued' AND waiting = 0 GROUP BY role UNION ALL "
            "SELECT role, 0, count(*), 0 FROM tasks WHERE state = 'leased' GROUP BY role UNION ALL "
            "SELECT role, 0, 0, count(*) FROM tasks WHERE state = 'queued' AND waiting = 1 "
            "GROUP BY role) GROUP BY role"
        )
        return {role: QueueDepth(*counts) for role, *counts in rows}

    def oldest_waiting(self) -> dict[str, float]:
        rows = self._database.rows(
            "SELECT role, min(created_at) FROM tasks WHERE state = 'queued' AND waiting = 0 "
            "GROUP BY role"
        )
        return dict(rows)

    def prune(self, older_than: float, limit: int = 500) -> int:
        ended = f"SELECT id FROM tasks WHERE ended_at < ?1 AND {_FREE} ORDER BY ended_at LIMIT ?2"
        if not self._database.rows(ended, [older_than, 1]):
            return 0
        with self._database.write():
            found = [row[0] for row in self._database.rows(ended, [older_than, limit])]
            self._log.forgotten(self._clock(), found)
            ids = json.dumps(found)
            among = "(SELECT value FROM json_each(?))"
            for table in ("task_events", "task_waits", "task_after", "approvals"):
                self._database.rows(f"DELETE FROM {table} WHERE task_id IN {among}", [ids])
            self._database.rows(_EMPTY_RUNS, [older_than])
            return self._database.changed(f"DELETE FROM tasks WHERE id IN {among}", [ids])
