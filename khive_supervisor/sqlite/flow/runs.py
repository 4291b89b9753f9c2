"""Runs of workflows: when all their tasks have ended, and as what that leaves them."""

from __future__ import annotations

import json
from collections.abc import Sequence

from khive_supervisor.sqlite.audit.table import AuditTable
from khive_supervisor.sqlite.engine.database import Database

#: The run that a task is a part of, while it goes on and none of its tasks is left.
_THROUGH = (
    "SELECT r.id, r.name, r.cancel_asked FROM task_waits w JOIN workflow_runs r ON r.id = w.run_id "
    "WHERE w.task_id = ? AND r.state = 'running' AND NOT EXISTS ("
    "SELECT 1 FROM task_waits o JOIN tasks t ON t.id = o.task_id "
    "WHERE o.run_id = r.id AND t.ended_at IS NULL)"
)
#: The last steps of a run that are not done: what failed before them was seen to by a policy.
_UNDONE = (
    "SELECT w.step, w.task_id FROM task_waits w JOIN tasks t ON t.id = w.task_id "
    "WHERE w.run_id = ?1 AND w.part_of IS NULL AND t.state != 'done' AND NOT EXISTS ("
    "SELECT 1 FROM task_after a JOIN task_waits f ON f.task_id = a.task_id "
    "WHERE a.on_task = w.task_id AND f.run_id = ?1) ORDER BY w.task_id"
)


class RunEnds:
    """Ends runs, and reopens them; part of the transaction that is open."""

    def __init__(self, database: Database, audit: AuditTable) -> None:
        self._database = database
        self._audit = audit

    def check(self, task_id: int, wall: float) -> None:
        """End the run of a task that has ended, if that was the last one."""
        for run, name, cancel_asked in self._database.rows(_THROUGH, [task_id]):
            undone = self._database.rows(_UNDONE, [run])
            state = "done" if not undone else "cancelled" if cancel_asked else "failed"
            self._database.update("workflow_runs", run, state=state, ended_at=wall)
            told: dict[str, object] = {"name": name}
            if undone:
                told["steps"] = {step: f"t{number}" for step, number in undone[:10]}
            self._audit.append(wall, f"workflow.{state}", f"workflow/w{run}", told)

    def reopen(self, task_ids: Sequence[int]) -> None:
        """Have the runs of tasks that are tried again go on."""
        self._database.rows(
            "UPDATE workflow_runs SET state = 'running', ended_at = NULL, cancel_asked = 0 "
            "WHERE state != 'running' AND id IN (SELECT run_id FROM task_waits WHERE task_id IN "
            "(SELECT value FROM json_each(?)))",
            [json.dumps(list(task_ids))],
        )
