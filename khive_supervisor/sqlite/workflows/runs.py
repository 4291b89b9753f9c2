"""The tables of runs and approvals: many tasks that are given, cancelled and tried again as one."""

# ruff: noqa: S608 - statements are put together from this module's constants; values are bound
from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from khive_supervisor.audit import actors
from khive_supervisor.errors import InvalidInput, NotFound
from khive_supervisor.sqlite.audit.table import AuditTable
from khive_supervisor.sqlite.engine.database import Database, Value
from khive_supervisor.sqlite.tasks.rows import light_columns, task_of
from khive_supervisor.sqlite.tasks.table import TaskTable
from khive_supervisor.store.workflows.runs import WorkflowStore
from khive_supervisor.tasks import states
from khive_supervisor.tasks.model import ENDED
from khive_supervisor.text import wellformed
from khive_supervisor.workflows import templates
from khive_supervisor.workflows.model import (
    ASKED,
    DONE,
    GIVEN,
    REFUSED,
    Approval,
    Held,
    NewRun,
    PlannedStep,
    Predecessor,
    StepTask,
    Waits,
    WorkflowRun,
)

_RUN = (
    "id, name, definition, input, state, schedule_id, actor, namespace, session, created_at, "
    "ended_at"
)
_APPROVAL = (
    "id, task_id, approver, state, asked_at, expires_at, decided_at, decided_by, note, review_id"
)
#: Times at which something comes due; each one has an index.
_NEXT = """
    SELECT min(at) FROM (
        SELECT min(w.start_at) AS at FROM tasks t JOIN task_waits w ON w.task_id = t.id
            WHERE t.state = 'queued' AND t.waiting = 1
        UNION ALL SELECT min(expires_at) FROM approvals WHERE state = 'asked'
    )
"""


#: A task that is held waits for others: those that have failed.
_WAITING = (
    "SELECT t.role, CASE WHEN EXISTS (SELECT 1 FROM approvals a WHERE a.task_id = t.id "
    "AND a.state = 'asked') THEN 'approval' WHEN w.parts IS NOT NULL OR w.held = 1 OR EXISTS ("
    "SELECT 1 FROM task_after f JOIN tasks b ON b.id = f.on_task WHERE f.task_id = t.id "
    "AND b.state NOT IN ('done', 'failed', 'cancelled', 'dead')) THEN 'tasks' ELSE 'time' END "
    "AS what, count(*) FROM tasks t JOIN task_waits w ON w.task_id = t.id "
    "WHERE t.state = 'queued' AND t.waiting = 1 GROUP BY t.role, what"
)


class WorkflowTable(WorkflowStore):
    """`WorkflowStore` on SQLite."""

    def __init__(
        self, database: Database, clock: Callable[[], float], audit: AuditTable, tasks: TaskTable
    ) -> None:
        self._database = database
        self._clock = clock
        self._audit = audit
        self._tasks = tasks
        self._waits = tasks.waits

    # --- runs -----------------------------------------------------------------------------------

    def begin(self, run: NewRun) -> tuple[WorkflowRun, bool]:
        gate = self._database.gate
        given = gate.said_data(dict(run.input), "input")
        if run.idempotency is not None:
            gate.said(run.idempotency, "idempotency_key")
        with self._database.write():
            known = self._known(run)
            if known is not None:
                return known, False
            wall = self._clock()
            number = self._database.insert(
                "workflow_runs",
                name=run.name, definition=self._json(run.definition), input=self._json(given),
                idempotency=run.idempotency, schedule_id=run.schedule, actor=run.actor,
                namespace=run.namespace, session=run.session, created_at=wall,
            )  # fmt: skip
            told = {"name": run.name, "steps": len(run.steps)}
            self._audit.append(wall, "workflow.started", _subject(number), told)
            self._give(number, run, given)
            return self._existing(number), True

    def _json(self, data: object) -> str:
        return self._database.gate.passed(json.dumps(data, ensure_ascii=False))

    def _known(self, run: NewRun) -> WorkflowRun | None:
        if run.idempotency is None:
            return None
        rows = self._database.rows(
            f"SELECT {_RUN} FROM workflow_runs WHERE namespace = ? AND idempotency = ?",
            [run.namespace, run.idempotency],
        )
        if not rows:
            return None
        found = _run_of(rows[0])
        if found.name != run.name or found.input != dict(run.input):
            raise InvalidInput(
                f"The idempotency key {run.idempotency!r} belongs to w{found.id}, another workflow "
                "or another input; nothing was begun.",
                hint="Use a new key for a new run; the same key only repeats the same call.",
            )
        return found

    def _give(self, number: int, run: NewRun, given: Mapping[str, Any]) -> None:
        """Insert the tasks of a run: first all of them as waiting, then what may begin begins."""
        numbers: dict[str, int] = {}
        for step in run.steps:
            numbers[step.name] = self._give_step(number, run, step, given, numbers)

    def _give_step(
        self, run: int, new: NewRun, step: PlannedStep, given: Mapping[str, Any],
        numbers: Mapping[str, int],
    ) -> int:  # fmt: skip
        after = tuple(Predecessor(numbers[name], policy) for name, policy in step.after)
        waits = Waits(
            after,
            None if after else new.start_at,
            step.approval,
            templates.renamed(step.each, numbers),
            given,
        )
        task = replace(step.task, payload=templates.renamed(step.task.payload, numbers))
        payload = self._tasks.insertion.payload(task)
        return self._tasks.insert(task, waits, payload, run, step.name)

    def find(self, run_id: int) -> WorkflowRun | None:
        rows = self._database.rows(f"SELECT {_RUN} FROM workflow_runs WHERE id = ?", [run_id])
        return _run_of(rows[0]) if rows else None

    def _existing(self, run_id: int) -> WorkflowRun:
        found = self.find(run_id)
        if found is None:
            raise NotFound(
                f"There is no run w{run_id}.", hint="`khive-supervisor workflow list` has them."
            )
        return found

    def page(
        self,
        limit: int = 50,
        before: int | None = None,
        *,
        state: str | None = None,
        sessions: Sequence[str] | None = None,
        namespaces: Sequence[str] | None = None,
    ) -> list[WorkflowRun]:
        among = [None if n is None else json.dumps(list(n)) for n in (sessions, namespaces)]
        rows = self._database.rows(
            f"SELECT {_RUN} FROM workflow_runs WHERE id < ifnull(?1, id + 1) "
            "AND state = ifnull(?2, state) "
            "AND (?3 IS NULL OR session IN (SELECT value FROM json_each(?3))) "
            "AND (?4 IS NULL OR namespace IN (SELECT value FROM json_each(?4))) "
            "ORDER BY id DESC LIMIT ?5",
            [before, state, *among, limit],
        )
        return [_run_of(row) for row in rows]

    def tasks(self, run_id: int) -> list[StepTask]:
        rows = self._database.rows(
            f"SELECT w.step, w.part, {light_columns('t')} FROM task_waits w "
            "JOIN tasks t ON t.id = w.task_id WHERE w.run_id = ? ORDER BY w.task_id",
            [run_id],
        )
        return [
            StepTask(step, part, found, self._after(found.id))
            for step, part, found in ((row[0], row[1], task_of(row[2:])) for row in rows)
        ]

    def _after(self, task_id: int) -> tuple[Predecessor, ...]:
        return tuple(Predecessor(one.task, one.policy) for one in self._waits.rows.before(task_id))

    def cancel(self, run_id: int) -> WorkflowRun:
        with self._database.write():
            found = self._existing(run_id)
            if not found.ended:
                self._database.update("workflow_runs", run_id, cancel_asked=1)
                wall = self._clock()
                self._audit.append(
                    wall, "workflow.cancel_asked", _subject(run_id), {"name": found.name}
                )
                # The last ones first: nobody is freed that is cancelled a moment later.
                for step in reversed(self.tasks(run_id)):
                    self._tasks.cancel(step.task.id)
            return self._existing(run_id)

    def retry(self, run_id: int) -> WorkflowRun:
        with self._database.write():
            found = self._existing(run_id)
            if found.state == DONE:
                raise InvalidInput(
                    f"w{run_id} is done, and cannot be tried again.", hint="Begin another run."
                )
            wall = self._clock()
            self._audit.append(wall, "workflow.retried", _subject(run_id), {"name": found.name})
            tasks = [step.task for step in self.tasks(run_id)]
            self._waits.again(
                [one.id for one in tasks if one.state in states.RETRIABLE],
                wall,
                self._tasks.requeue,
            )
            return self._existing(run_id)

    # --- what tasks wait for --------------------------------------------------------------------

    def held(self, task_ids: Iterable[int]) -> Mapping[int, Held]:
        with self._database.read():
            rows = [self._waits.rows.find(one) for one in task_ids]
            return {row.task_id: self._held(row.task_id) for row in rows if row is not None}

    def _held(self, task_id: int) -> Held:
        row = self._waits.rows.find(task_id)
        assert row is not None
        before = self._waits.rows.before(task_id)
        approval = self.approval_of(task_id)
        return Held(
            tuple(Predecessor(one.task, one.policy) for one in before if _open(one.state)),
            tuple(Predecessor(one.task, one.policy) for one in before if one.failed),
            row.start_at,
            approval if approval is not None and approval.state != GIVEN else None,
            row.parts,
        )

    def waiting(self) -> Mapping[tuple[str, str], int]:
        return {(role, what): count for role, what, count in self._database.rows(_WAITING)}

    def step_of(self, task_id: int) -> tuple[int, str] | None:
        rows = self._database.rows(
            "SELECT run_id, step FROM task_waits WHERE task_id = ? AND run_id IS NOT NULL",
            [task_id],
        )
        return (rows[0][0], rows[0][1]) if rows else None

    def approvals(self, *, asked: bool = True, limit: int = 100) -> list[Approval]:
        which = "WHERE state = 'asked' ORDER BY id" if asked else "ORDER BY id DESC"
        rows = self._database.rows(f"SELECT {_APPROVAL} FROM approvals {which} LIMIT ?", [limit])
        return [Approval(*row) for row in rows]

    def approval(self, number: int) -> Approval | None:
        return self._one_approval("id = ?", number)

    def approval_of(self, task_id: int) -> Approval | None:
        return self._one_approval("task_id = ? ORDER BY id DESC LIMIT 1", task_id)

    def _one_approval(self, which: str, value: Value) -> Approval | None:
        rows = self._database.rows(f"SELECT {_APPROVAL} FROM approvals WHERE {which}", [value])
        return Approval(*rows[0]) if rows else None

    def decide(self, number: int, *, approved: bool, by: str, note: str = "") -> Approval:
        note = self._database.gate.said(note, "note")
        with self._database.write():
            wall = self._clock()
            self._expire(wall)
            found = self.approval(number)
            if found is None:
                raise NotFound(
                    f"There is no approval a{number}.",
                    hint="`khive-supervisor approvals` lists those that wait for an answer.",
                )
            if found.state != ASKED:
                raise InvalidInput(
                    f"a{number} is {found.state}: nobody is asked for it now.",
                    hint=f"`khive-supervisor task t{found.task}` says what became of its task.",
                )
            state = GIVEN if approved else REFUSED
            self._waits.approvals.decide(number, found.task, state, by, note, wall)
            self._waits.settle_all([found.task], wall)
            return self.approval(number) or found

    # --- the clock ------------------------------------------------------------------------------

    def come_due(self, now: float) -> Sequence[str]:
        due = "SELECT 1 FROM approvals WHERE state = 'asked' AND expires_at <= ?"
        if not self._waits.rows.due(now) and not self._database.rows(due, [now]):
            return ()
        with self._database.write():
            self._expire(now)
            self._waits.settle_all(self._waits.rows.due(now), now)
        return [role for (role,) in self._database.rows("SELECT role FROM roles")]

    def _expire(self, now: float) -> None:
        self._waits.settle_all(self._waits.approvals.expire(now), now)

    def next_due(self) -> float | None:
        found: float | None = self._database.value(_NEXT)
        return found


def _open(state: str) -> bool:
    return state not in ENDED


def _subject(number: int) -> str:
    return actors.run(number)


def _run_of(row: tuple[Any, ...]) -> WorkflowRun:
    fields = list(row)
    for place in (2, 3):
        fields[place] = json.loads(wellformed.json_escapes(row[place]))
    return WorkflowRun(*fields)
