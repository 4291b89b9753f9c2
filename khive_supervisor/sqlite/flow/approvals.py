"""Approvals of tasks: planned, asked for, and decided, each in the transaction that brings it."""

from __future__ import annotations

import json
from typing import Any

from khive_supervisor.sqlite.audit.table import AuditTable
from khive_supervisor.sqlite.engine.database import Database
from khive_supervisor.sqlite.flow.insertion import TaskInsertion
from khive_supervisor.sqlite.flow.log import TaskLog
from khive_supervisor.sqlite.flow.rows import WaitRow, WaitRows
from khive_supervisor.tasks.bounds import payload_text
from khive_supervisor.tasks.model import CANCEL_ASKED, CANCELLED, ENDED, LEASED, NewTask
from khive_supervisor.text import wellformed
from khive_supervisor.workflows import templates
from khive_supervisor.workflows.decisions import decision_of
from khive_supervisor.workflows.model import (
    ASKED,
    EXPIRED,
    GIVEN,
    OPERATOR,
    REFUSED,
    ApprovalTerms,
)

#: The type of a review, if the role that is asked declares it; else it is its first type.
REVIEW_TYPE = "approval"
QUESTION = (
    "Decide whether this task may be done. Answer with a last line that is one word, approve or "
    'reject, or with {"approved": true, "note": "why"}.'
)


class ApprovalRows:
    """Asks, and takes decisions; every method is part of the transaction that is open."""

    def __init__(
        self,
        database: Database,
        log: TaskLog,
        audit: AuditTable,
        insertion: TaskInsertion,
        rows: WaitRows,
    ) -> None:
        self._database = database
        self._log = log
        self._audit = audit
        self._insertion = insertion
        self._rows = rows

    def plan(self, task_id: int, terms: ApprovalTerms) -> None:
        """Note that a task needs an approval."""
        self._database.insert(
            "approvals",
            task_id=task_id, approver=terms.by, lasts=terms.lasts, refusal=terms.refused,
        )  # fmt: skip

    def plan_again(self, task_id: int) -> None:
        """Have somebody asked anew for a task that is retried, if it was not approved."""
        rows = self._database.rows(
            "SELECT approver, lasts, refusal, state FROM approvals WHERE task_id = ? "
            "ORDER BY id DESC LIMIT 1",
            [task_id],
        )
        for by, lasts, refused, state in rows:
            if state in (REFUSED, EXPIRED):
                self.plan(task_id, ApprovalTerms(by, lasts, refused))

    def state(self, task_id: int) -> tuple[str, str, str] | None:
        """Return how a task's approval is, what a refusal does, and its note; None: none needed."""
        rows = self._database.rows(
            "SELECT state, refusal, note FROM approvals WHERE task_id = ? ORDER BY id DESC LIMIT 1",
            [task_id],
        )
        return (rows[0][0], rows[0][1], rows[0][2]) if rows else None

    def ask(self, row: WaitRow, wall: float) -> None:
        """Ask for the approval of a task, all of whose predecessors are through."""
        number, by, lasts = self._database.rows(
            "SELECT id, approver, lasts FROM approvals WHERE task_id = ? ORDER BY id DESC LIMIT 1",
            [row.task_id],
        )[0]
        review = None if by == OPERATOR else self._review(row, number, by, wall)
        self._database.update(
            "approvals", number,
            state=ASKED, asked_at=wall, expires_at=wall + lasts, review_id=review,
        )  # fmt: skip
        self._told(number, ASKED, row.task_id, wall, {"by": by})

    def _review(self, row: WaitRow, number: int, role: str, wall: float) -> int | None:
        """Queue the task by which a role is asked; None if there is no such role."""
        found = self._database.rows(
            "SELECT task_types, attempts, priority FROM roles WHERE role = ?", [role]
        )
        if not found:
            return None
        types, attempts, priority = json.loads(found[0][0]), found[0][1], found[0][2]
        task = NewTask(
            role=role,
            task_type=REVIEW_TYPE if REVIEW_TYPE in types else next(iter(types), ""),
            priority=priority,
            attempts_max=attempts,
            **self._callers(row.task_id),
        )
        passed = self._database.gate.passed(payload_text(self._question(row, number)))
        return self._insertion.insert(task, passed, wall, waits=False)

    def _callers(self, task_id: int) -> dict[str, Any]:
        names = ("actor", "namespace", "session", "cwd")
        values = self._database.rows(
            "SELECT actor, namespace, session, cwd FROM tasks WHERE id = ?", [task_id]
        )[0]
        return dict(zip(names, values, strict=True))

    def _question(self, row: WaitRow, number: int) -> dict[str, Any]:
        """Return what a role is told: the task as it would be done, and what came before it."""
        values = self._rows.values(row)
        role, payload = self._database.rows(
            "SELECT role, payload FROM tasks WHERE id = ?", [row.task_id]
        )[0]
        data = json.loads(wellformed.json_escapes(payload))
        if row.template is not None and not row.each:
            data = templates.render(data, values)
        before = {f"t{one}": found for one, found in values.tasks.items()}
        return {
            "approval": f"a{number}", "question": QUESTION, "task": f"t{row.task_id}",
            "role": role, "step": row.step, "payload": data, "after": before,
        }  # fmt: skip

    # --- decisions ------------------------------------------------------------------------------

    def reviewed(self, task_id: int, wall: float) -> list[int]:
        """Take the decision of a review that has ended; return the task that it was about.

        One that has failed, or says nothing that is clearly a yes or a no, leaves it to a person.
        """
        rows = self._database.rows(
            "SELECT a.id, a.task_id, a.approver, t.result, t.state FROM approvals a "
            "JOIN tasks t ON t.id = a.review_id WHERE a.review_id = ? AND a.state = 'asked'",
            [task_id],
        )
        decided = []
        for number, about, role, result, state in rows:
            found = None if result is None else decision_of(json.loads(result))
            if found is None:
                why = f"t{task_id} {state}" + (" without a clear answer" if result else "")
                self._database.update("approvals", number, note=why)
                self._told(number, "unanswered", about, wall, {"why": why})
                continue
            verdict = GIVEN if found.approved else REFUSED
            self.decide(number, about, verdict, f"role/{role}", found.note, wall)
            decided.append(about)
        return decided

    def decide(
        self, number: int, task_id: int, state: str, who: str, note: str, wall: float
    ) -> None:
        """Write a decision down; what follows for the task is for `settle`."""
        note = self._database.gate.written(note)
        self._database.update(
            "approvals", number, state=state, decided_at=wall, decided_by=who, note=note
        )
        told = {"by": who, **({"note": note} if note else {})}
        self._told(number, state, task_id, wall, told)
        if not who.startswith("role/"):
            self._cancel_review(number, wall)

    def withdraw(self, task_id: int, wall: float) -> None:
        """Ask nobody any more for a task that has ended."""
        for (number,) in self._database.rows(
            "SELECT id FROM approvals WHERE task_id = ? AND state = 'asked'", [task_id]
        ):
            self.decide(number, task_id, EXPIRED, "its task has ended", "", wall)

    def expire(self, wall: float) -> list[int]:
        """End the approvals whose time is over; return the tasks that they were about."""
        rows = self._database.rows(
            "SELECT id, task_id FROM approvals WHERE state = 'asked' AND expires_at <= ?", [wall]
        )
        for number, task_id in rows:
            self.decide(number, task_id, EXPIRED, "nobody", "", wall)
        return [task_id for _, task_id in rows]

    def _cancel_review(self, number: int, wall: float) -> None:
        """Let go of the task by which a role was asked."""
        rows = self._database.rows(
            "SELECT t.id, t.state, t.token, t.worker FROM approvals a "
            "JOIN tasks t ON t.id = a.review_id WHERE a.id = ?",
            [number],
        )
        for review, state, token, worker in rows:
            if state == LEASED:
                self._database.update("tasks", review, cancel_asked=1)
                self._log.add(review, wall, CANCEL_ASKED, token, worker)
            elif state not in ENDED:
                self._log.end(review, wall, CANCELLED, token)

    def _told(
        self, number: int, what: str, task_id: int, wall: float, more: dict[str, str]
    ) -> None:
        told = {"task": f"t{task_id}", **more}
        self._audit.append(wall, f"approval.{what}", f"approval/a{number}", told)
