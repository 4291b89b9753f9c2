"""A task that fans out: a part for each item of a list, and their results as its own."""

# ruff: noqa: S608 - statements are put together from this module's constants; values are bound
from __future__ import annotations

import json
from typing import Any

from khive_supervisor.errors import InvalidInput
from khive_supervisor.sqlite.engine.database import Database
from khive_supervisor.sqlite.flow.insertion import TaskInsertion
from khive_supervisor.sqlite.flow.log import TaskLog
from khive_supervisor.sqlite.flow.rows import WaitRow, WaitRows
from khive_supervisor.tasks.bounds import payload_text, result_text
from khive_supervisor.tasks.model import (
    CANCEL_ASKED,
    CANCELLED,
    DONE,
    FANNED_OUT,
    LEASED,
    QUEUED,
    NewTask,
)
from khive_supervisor.workflows import templates
from khive_supervisor.workflows.model import PARTS_LIMIT

#: What a part has from the task that it is a part of.
_COPIED = (
    "role", "task_type", "priority", "attempts_max", "deadline", "actor", "namespace", "session",
    "cwd", "node", "candidate",
)  # fmt: skip
_OF_PARENT = f"SELECT {', '.join(_COPIED)}, project FROM tasks WHERE id = ?"


class FanOut:
    """Fans tasks out and gathers what came of it; part of the transaction that is open."""

    def __init__(
        self, database: Database, log: TaskLog, insertion: TaskInsertion, rows: WaitRows
    ) -> None:
        self._database = database
        self._log = log
        self._insertion = insertion
        self._rows = rows

    def fan_out(self, row: WaitRow, values: templates.Values, wall: float) -> bool:
        """Queue a part for each item; return True if there are none, so that the task is done.

        Raises:
            InvalidInput: what it fans out over is no list, too long, or lacks what is referred to.
        """
        items = templates.render(row.each, values)
        if not isinstance(items, list):
            raise InvalidInput(f"{row.each} is no list, so there is nothing to fan out over.")
        if len(items) > PARTS_LIMIT:
            raise InvalidInput(f"{row.each} has {len(items)} items; {PARTS_LIMIT} are the limit.")
        template = json.loads(row.template or "null")
        payloads = [
            payload_text(templates.render(template, templates.with_item(values, item)))
            for item in items
        ]
        for number, payload in enumerate(payloads):
            self._insert(row, number, payload, wall)
        self._rows.mark(row.task_id, parts=len(items), held=0)
        self._log.add(row.task_id, wall, FANNED_OUT, row.token, None, f"into {len(items)} parts")
        if not items:
            self.gather(row, wall)
        return not items

    def _insert(self, row: WaitRow, number: int, payload: str, wall: float) -> None:
        *plain, project = self._database.rows(_OF_PARENT, [row.task_id])[0]
        given: dict[str, Any] = dict(zip(_COPIED, plain, strict=True))
        task = NewTask(**given, project=None if project is None else json.loads(project))
        passed = self._database.gate.passed(payload)
        part = self._insertion.insert(task, passed, wall, waits=False)
        self._database.insert(
            "task_waits",
            task_id=part, run_id=row.run, step=row.step, part_of=row.task_id, part=number,
        )  # fmt: skip

    def gather(self, row: WaitRow, wall: float) -> None:
        """Make a task done whose parts are: its result is the list of theirs."""
        rows = self._database.rows(
            "SELECT t.result FROM task_waits w JOIN tasks t ON t.id = w.task_id "
            "WHERE w.part_of = ? ORDER BY w.part",
            [row.task_id],
        )
        result = result_text([None if text is None else json.loads(text) for (text,) in rows])
        self._database.update(
            "tasks", row.task_id, result=self._database.gate.passed(result), waiting=0
        )
        self._log.end(row.task_id, wall, DONE, row.token)

    def cancel(self, task_id: int, wall: float) -> list[int]:
        """Cancel the parts of a task, or have them stopped; return those that have ended by it."""
        rows = self._database.rows(
            "SELECT t.id, t.state, t.token, t.worker FROM task_waits w "
            "JOIN tasks t ON t.id = w.task_id WHERE w.part_of = ? AND t.ended_at IS NULL",
            [task_id],
        )
        for part, state, token, worker in rows:
            if state == LEASED:
                self._database.update("tasks", part, cancel_asked=1)
                self._log.add(part, wall, CANCEL_ASKED, token, worker)
            else:
                self._log.end(part, wall, CANCELLED, token)
        return [part for part, state, *_ in rows if state == QUEUED]
