"""The rows of what tasks wait for, as values."""

# ruff: noqa: S608 - statements are put together from this module's constants; values are bound
from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from khive_supervisor.sqlite.engine.database import Database
from khive_supervisor.text import wellformed
from khive_supervisor.workflows.model import CANCEL
from khive_supervisor.workflows.readiness import Before, Situation
from khive_supervisor.workflows.templates import Values

#: Of a task that waits: what `WaitRow` has.
_WAITING = (
    "SELECT w.task_id, t.token, w.run_id, w.step, w.start_at, w.template, w.each, w.parts, w.held "
    "FROM task_waits w JOIN tasks t ON t.id = w.task_id "
    "WHERE w.task_id = ? AND t.state = 'queued' AND t.waiting = 1"
)
#: Of the tasks that one waits for. One that was removed long ago had ended.
_BEFORE = (
    "SELECT a.on_task, ifnull(t.state, 'done'), a.policy FROM task_after a "
    "LEFT JOIN tasks t ON t.id = a.on_task WHERE a.task_id = ? ORDER BY a.on_task"
)
#: Something that must be seen to when a task ends.
_CONCERNS = (
    "SELECT 1 FROM task_waits WHERE task_id = ?1 UNION ALL "
    "SELECT 1 FROM task_after WHERE on_task = ?1 UNION ALL "
    "SELECT 1 FROM approvals WHERE review_id = ?1 AND state = 'asked' LIMIT 1"
)


@dataclass(frozen=True, slots=True)
class WaitRow:
    """A task that waits: its claims so far, its run and step, and what is to be put into it."""

    task_id: int
    token: int
    run: int | None
    step: str
    start_at: float | None
    template: str | None
    each: str
    parts: int | None
    held: int


class WaitRows:
    """Reads and marks the rows; every method is part of the transaction that is open."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, task_id: int) -> WaitRow | None:
        """Return what a task waits for; None if it does not wait."""
        rows = self._database.rows(_WAITING, [task_id])
        return WaitRow(*rows[0]) if rows else None

    def exists(self, task_id: int) -> bool:
        """Return True if a task waits for something, or has waited."""
        return bool(self._numbers("SELECT 1 FROM task_waits WHERE task_id = ?", task_id))

    def concerns(self, task_id: int) -> bool:
        """Return True if the end of a task may concern another one; cheap, mostly False."""
        return bool(self._numbers(_CONCERNS, task_id))

    def situation(self, row: WaitRow, approval: tuple[str, str, str] | None) -> Situation:
        """Return how things stand for a task; `approval` is as `ApprovalRows.state` has it."""
        before = tuple(Before(*found) for found in self._database.rows(_BEFORE, [row.task_id]))
        state, refusal, note = approval or (None, CANCEL, "")
        return Situation(before, row.start_at, state, refusal, note)

    def before(self, task_id: int) -> list[Before]:
        """Return the tasks that one comes after, as they are now."""
        return [Before(*found) for found in self._database.rows(_BEFORE, [task_id])]

    def parts(self, task_id: int) -> list[Before]:
        """Return the parts that a task has fanned out into, in order, as they are now."""
        rows = self._database.rows(
            "SELECT w.task_id, t.state FROM task_waits w JOIN tasks t ON t.id = w.task_id "
            "WHERE w.part_of = ? ORDER BY w.part",
            [task_id],
        )
        return [Before(*found) for found in rows]

    def unfinished_parts(self, task_id: int) -> list[int]:
        """Return the parts of a task that have ended, and not as done."""
        return [one.task for one in self.parts(task_id) if one.failed]

    def waiting_for(self, task_id: int) -> list[int]:
        """Return the waiting tasks that come after a task, or that it is a part of."""
        return self._numbers(
            "SELECT id FROM tasks WHERE state = 'queued' AND waiting = 1 AND id IN ("
            "SELECT task_id FROM task_after WHERE on_task = ?1 UNION "
            "SELECT part_of FROM task_waits WHERE task_id = ?1) ORDER BY id",
            task_id,
        )

    def skipped_after(self, task_id: int) -> list[int]:
        """Return the tasks that come after a task, or that it is a part of, and were skipped."""
        return self._numbers(
            "SELECT w.task_id FROM task_waits w JOIN tasks t ON t.id = w.task_id "
            "WHERE w.skipped = 1 AND t.ended_at IS NOT NULL AND t.state != 'done' AND w.task_id IN "
            "(SELECT task_id FROM task_after WHERE on_task = ?1) ORDER BY w.task_id",
            task_id,
        )

    def mark(self, task_id: int, **values: int) -> None:
        """Give columns of a task's row other values."""
        columns = ", ".join(f"{name} = ?" for name in values)
        self._database.rows(
            f"UPDATE task_waits SET {columns} WHERE task_id = ?", [*values.values(), task_id]
        )

    def forget_skip(self, task_id: int) -> None:
        """Take back that a task was skipped, and why: it is tried again."""
        self._database.rows(
            "UPDATE tasks SET error = NULL WHERE id = ?1 AND EXISTS "
            "(SELECT 1 FROM task_waits WHERE task_id = ?1 AND skipped = 1)",
            [task_id],
        )
        self.mark(task_id, held=0, skipped=0)

    def values(self, row: WaitRow) -> Values:
        """Return what references in a task's payload mean."""
        rows = self._database.rows(
            "SELECT t.id, t.state, t.result, t.error FROM task_after a "
            "JOIN tasks t ON t.id = a.on_task WHERE a.task_id = ?",
            [row.task_id],
        )
        tasks = {
            number: {"state": state, "result": _plain(result), "error": error}
            for number, state, result, error in rows
        }
        return Values(tasks, self._input(row.run))

    def _input(self, run: int | None) -> dict[str, Any] | None:
        if run is None:
            return None
        text = self._database.value("SELECT input FROM workflow_runs WHERE id = ?", [run])
        found: dict[str, Any] | None = _plain(text)
        return found

    def due(self, wall: float) -> list[int]:
        """Return the waiting tasks whose time has come."""
        return self._numbers(
            "SELECT w.task_id FROM task_waits w JOIN tasks t ON t.id = w.task_id "
            "WHERE w.start_at <= ? AND t.state = 'queued' AND t.waiting = 1 ORDER BY w.task_id",
            wall,
        )

    def _numbers(self, sql: str, value: float) -> list[int]:
        return [row[0] for row in self._database.rows(sql, [value])]


def _plain(text: str | None) -> Any:
    return None if text is None else json.loads(wellformed.json_escapes(text))
