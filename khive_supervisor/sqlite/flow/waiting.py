"""What tasks wait for, and what becomes of them when it comes about; part of whatever brought it.

The transaction in which a task ends frees those that waited for it, or ends them: no crash leaves a
graph in which nobody is at work and nobody waits for anything.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Protocol

from khive_supervisor.errors import InvalidInput
from khive_supervisor.sqlite.audit.table import AuditTable
from khive_supervisor.sqlite.engine.database import Database
from khive_supervisor.sqlite.flow.approvals import ApprovalRows
from khive_supervisor.sqlite.flow.fan_out import FanOut
from khive_supervisor.sqlite.flow.insertion import TaskInsertion
from khive_supervisor.sqlite.flow.log import TaskLog
from khive_supervisor.sqlite.flow.rows import WaitRow, WaitRows
from khive_supervisor.sqlite.flow.runs import RunEnds
from khive_supervisor.tasks.bounds import error_text, payload_text
from khive_supervisor.tasks.model import CANCELLED, ENQUEUED, FAILED, HELD
from khive_supervisor.workflows import readiness, templates
from khive_supervisor.workflows.model import Waits
from khive_supervisor.workflows.readiness import Next, Readiness


class Requeue(Protocol):
    """Makes the row of a task as if it had never been begun; `waits`: without a turn yet."""

    def __call__(self, task_id: int, *, waits: bool) -> None: ...


class WaitTable:
    """Lets tasks wait, and go on; every method is part of the transaction that is open."""

    def __init__(
        self, database: Database, log: TaskLog, audit: AuditTable, insertion: TaskInsertion
    ) -> None:
        self._database = database
        self._log = log
        self.rows = WaitRows(database)
        self.approvals = ApprovalRows(database, log, audit, insertion, self.rows)
        self._parts = FanOut(database, log, insertion, self.rows)
        self._runs = RunEnds(database, audit)

    def add(
        self, task_id: int, waits: Waits, payload: str, run: int | None = None, step: str = ""
    ) -> None:
        """Note what a new task waits for; `settle` says whether it does."""
        numbers = [one.task for one in waits.after]
        refers = templates.needs_rendering(
            json.loads(payload), numbers, in_run=waits.input is not None
        )
        self._database.insert(
            "task_waits",
            task_id=task_id, run_id=run, step=step, start_at=waits.start_at, each=waits.each,
            template=payload if refers or waits.each else None,
        )  # fmt: skip
        for one in waits.after:
            self._database.insert(
                "task_after", task_id=task_id, on_task=one.task, policy=one.policy
            )
        if waits.approval is not None:
            self.approvals.plan(task_id, waits.approval)

    # --- what comes about -----------------------------------------------------------------------

    def ended(self, task_id: int, wall: float) -> None:
        """See to all that waits for a task that has ended, and for those that end by that."""
        pending = [task_id]
        while pending:
            pending.extend(self._followers(pending.pop(), wall))

    def _followers(self, task_id: int, wall: float) -> list[int]:
        """See to those that wait for one task that has ended; return those that ended by that."""
        if not self.rows.concerns(task_id):
            return []
        self.approvals.withdraw(task_id, wall)
        waiting = [*self.rows.waiting_for(task_id), *self.approvals.reviewed(task_id, wall)]
        ended = [one for one in waiting if self.settle(one, wall)]
        self._runs.check(task_id, wall)
        return ended

    def settle_all(self, task_ids: Iterable[int], wall: float) -> None:
        """Do what is to be done now with some waiting tasks, and with those that it concerns."""
        for one in task_ids:
            if self.settle(one, wall):
                self.ended(one, wall)

    def settle(self, task_id: int, wall: float, *, again: bool = False) -> bool:
        """Do what is to be done with a task now, if it waits; return True if it ended.

        `again`: somebody retries it, so what has gone wrong before holds it, and does not end it.
        """
        row = self.rows.find(task_id)
        if row is None:
            return False
        verdict = self._verdict(row, wall)
        if again and verdict.next in (Next.CANCEL, Next.FAIL):
            verdict = Readiness(Next.HOLD, verdict.why)
        return self._apply(row, verdict, wall)

    def _verdict(self, row: WaitRow, wall: float) -> Readiness:
        if row.parts is not None:
            return readiness.outcome_of(self.rows.parts(row.task_id))
        return readiness.verdict(self.rows.situation(row, self.approvals.state(row.task_id)), wall)

    def _apply(self, row: WaitRow, verdict: Readiness, wall: float) -> bool:
        if verdict.next is Next.HOLD and not row.held:
            self.rows.mark(row.task_id, held=1)
            self._log.add(row.task_id, wall, HELD, row.token, None, verdict.why)
        if verdict.next is Next.ASK:
            self.approvals.ask(row, wall)
        if verdict.next is Next.QUEUE:
            return self._go_on(row, wall)
        if verdict.next is Next.CANCEL or verdict.next is Next.FAIL:
            state = CANCELLED if verdict.next is Next.CANCEL else FAILED
            self._end(row, state, verdict.why, wall)
            return True
        return False

    def _go_on(self, row: WaitRow, wall: float) -> bool:
        """Queue a task, or what it fans out into; return True if that has ended it."""
        try:
            if row.parts is not None:
                self._parts.gather(row, wall)
                return True
            values = self.rows.values(row)
            if row.each:
                return self._parts.fan_out(row, values, wall)
            self._queue(row, values, wall)
        except InvalidInput as error:
            self._end(row, FAILED, error.message, wall)
            return True
        return False

    def _queue(self, row: WaitRow, values: templates.Values, wall: float) -> None:
        """Give a task its turn, with what its payload refers to put in."""
        change: dict[str, Any] = {"waiting": 0}
        if row.template is not None:
            rendered = payload_text(templates.render(json.loads(row.template), values))
            change["payload"] = self._database.gate.passed(rendered)
        self.rows.mark(row.task_id, held=0)
        self._database.update("tasks", row.task_id, **change)
        self._log.add(row.task_id, wall, ENQUEUED, row.token)

    def _end(self, row: WaitRow, state: str, why: str, wall: float) -> None:
        self.rows.mark(row.task_id, held=0, skipped=int(row.parts is None))
        self._log.end(row.task_id, wall, state, row.token, error_text(why))

    # --- people ---------------------------------------------------------------------------------

    def cancel_parts(self, task_id: int, wall: float) -> None:
        """Cancel the parts of a task that has fanned out, as the task itself is cancelled."""
        for part in self._parts.cancel(task_id, wall):
            self.ended(part, wall)

    def again(self, task_ids: Iterable[int], wall: float, requeue: Requeue) -> None:
        """Have tasks done that somebody retries, and those that were skipped because of them."""
        pending, found = list(task_ids), dict[int, None]()
        while pending:
            one = pending.pop(0)
            if one not in found:
                found[one] = None
                pending += self.rows.unfinished_parts(one) + self.rows.skipped_after(one)
        for one in found:
            self.rows.forget_skip(one)
            requeue(one, waits=self.rows.exists(one))
            self.approvals.plan_again(one)
        self._runs.reopen(list(found))
        for one in found:
            if self.settle(one, wall, again=True):
                self.ended(one, wall)
