"""The tasks' tables: who gave which work to whom, and what became of it."""

# ruff: noqa: S608 - statements are put together from this package's constants; values are bound
from __future__ import annotations

import json
from dataclasses import fields

from khive_supervisor.errors import BudgetExceeded, InvalidInput, NotFound
from khive_supervisor.sqlite.audit.table import fingerprint
from khive_supervisor.sqlite.engine.database import Value
from khive_supervisor.sqlite.tasks.claims import ClaimTable, may_begin
from khive_supervisor.sqlite.tasks.routing import RoutedAttempt
from khive_supervisor.sqlite.tasks.rows import COLUMNS, LIGHT_COLUMNS, task_of
from khive_supervisor.store.tasks import TaskStore
from khive_supervisor.tasks import states
from khive_supervisor.tasks.bounds import payload_text
from khive_supervisor.tasks.lease import Moment
from khive_supervisor.tasks.model import (
    ALL_TASKS,
    CANCEL_ASKED,
    CANCELLED,
    DONE,
    ENQUEUED,
    LEASED,
    QUEUED,
    RATED,
    RETRIED,
    NewTask,
    QueueDepth,
    Task,
    TaskEvent,
    TaskFilter,
)
from khive_supervisor.tasks.records import day_of


class TaskTable(ClaimTable, TaskStore):
    """`TaskStore` on SQLite; what workers do is in `ClaimTable`."""

    def assign(self, task: NewTask) -> tuple[Task, bool]:
        payload = self._payload(task)
        with self._database.write():
            known = self._known(task, payload)
            if known is not None:
                return known, False
            wall = self._clock()
            self._refuse_exceeded(task.role, wall)
            row = {one.name: getattr(task, one.name) for one in fields(task)}
            for name in ("chosen", "project"):
                row[name] = None if row[name] is None else self._passed(json.dumps(row[name]))
            row |= {"payload": payload, "created_at": wall}
            task_id = self._database.insert("tasks", **row)
            more = {"role": task.role, "task_type": task.task_type, "payload": fingerprint(payload)}
            self._log.add(task_id, wall, ENQUEUED, 0, more=more)
            return self._existing(task_id), True

    def _payload(self, task: NewTask) -> str:
        """Return a task's payload as it may be kept; raises SecretFound, also for its key."""
        gate = self._database.gate
        payload = payload_text(gate.said_data(task.payload, "payload"))
        if task.idempotency is not None:
            gate.said(task.idempotency, "idempotency_key")
        return gate.passed(payload)

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
            f"SELECT {COLUMNS} FROM tasks WHERE idempotency = ?", [task.idempotency]
        )
        if not rows:
            return None
        found = task_of(rows[0])
        different = [
            what
            for what, same in (
                ("payload", payload_text(found.payload) == payload),
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
        given = {"role": where.role, "state": where.state, "task_type": where.task_type}
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
            f"SELECT {LIGHT_COLUMNS} FROM tasks WHERE {' AND '.join(conditions) or '1'} "
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
            if found.state == QUEUED:
                self._log.end(task_id, wall, CANCELLED, found.token)
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
            self._database.update(
                "tasks", task_id,
                state=QUEUED, attempts=0, cancel_asked=0, deadline=None, not_before=0, boot="",
                lease_until=None, worker=None, progress=None, result=None, ended_at=None,
            )  # fmt: skip
            self._log.add(task_id, self._clock(), RETRIED, found.token)
            return self._existing(task_id)

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
            "tasks.role = roles.role AND state = 'queued' AND (not_before <= ?1 OR boot != ?2) "
            "AND tasks.node IN ('', ?3)) ORDER BY role",
            [now.at, now.boot, self._node],
        )
        wall = self._clock()
        return [role for (role,) in rows if may_begin(self._budgets.check(role, wall))]

    def queue_depths(self) -> dict[str, QueueDepth]:
        rows = self._database.rows(
            "SELECT role, sum(queued), sum(leased) FROM ("
            "SELECT role, count(*) AS queued, 0 AS leased FROM tasks WHERE state = 'queued' "
            "GROUP BY role UNION ALL "
            "SELECT role, 0, count(*) FROM tasks WHERE state = 'leased' GROUP BY role) "
            "GROUP BY role"
        )
        return {role: QueueDepth(queued, leased) for role, queued, leased in rows}

    def oldest_waiting(self) -> dict[str, float]:
        rows = self._database.rows(
            "SELECT role, min(created_at) FROM tasks WHERE state = 'queued' GROUP BY role"
        )
        return dict(rows)

    def prune(self, older_than: float, limit: int = 500) -> int:
        ended = "SELECT id FROM tasks WHERE ended_at < ?1 ORDER BY ended_at LIMIT ?2"
        if not self._database.rows(ended, [older_than, 1]):
            return 0
        with self._database.write():
            found = [row[0] for row in self._database.rows(ended, [older_than, limit])]
            self._log.forgotten(self._clock(), found)
            ids = json.dumps(found)
            among = "(SELECT value FROM json_each(?))"
            self._database.rows(f"DELETE FROM task_events WHERE task_id IN {among}", [ids])
            return self._database.changed(f"DELETE FROM tasks WHERE id IN {among}", [ids])
