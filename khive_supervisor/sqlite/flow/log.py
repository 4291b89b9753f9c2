"""What happens to tasks, written down in the transaction that lets it happen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from json.encoder import encode_basestring_ascii

from khive_supervisor.audit import actors
from khive_supervisor.sqlite.audit.table import AuditTable, shortened
from khive_supervisor.sqlite.engine.database import Database


class TaskLog:
    """Writes the events of tasks, and their entries in the audit chain."""

    def __init__(self, database: Database, audit: AuditTable) -> None:
        self._database = database
        self._audit = audit

    def add(
        self,
        task_id: int,
        wall: float,
        what: str,
        token: int,
        worker: str | None = None,
        detail: str = "",
        *,
        more: Mapping[str, str] | None = None,
    ) -> None:
        """Write an event, and its entry in the audit chain; part of what they tell of.

        `more` is what only the audit chain keeps: names and digests.
        """
        detail = self._database.gate.written(detail)
        self._database.insert(
            "task_events",
            task_id=task_id, at=wall, what=what, token=token, worker=worker, detail=detail,
        )  # fmt: skip
        if self._audit.enabled:
            told = _told(token, worker, detail, more)
            self._audit.append(wall, f"task.{what}", f"task/t{task_id}", told)

    def forgotten(self, wall: float, task_ids: Sequence[int]) -> None:
        """Tell the audit chain that tasks which ended long ago were removed with their events."""
        told = {"tasks": len(task_ids), "first": min(task_ids), "last": max(task_ids)}
        self._audit.append(wall, "tasks.forgotten", actors.STORE, told)

    def end(
        self, task_id: int, wall: float, state: str, token: int, error: str | None = None
    ) -> None:
        """End a task that waits, and say so."""
        self._database.rows(
            "UPDATE tasks SET state = ?, error = ifnull(?, error), ended_at = ?, waiting = 0 "
            "WHERE id = ?",
            [state, error, wall, task_id],
        )
        self.add(task_id, wall, state, token, None, error or "")


def _told(token: int, worker: str | None, detail: str, more: Mapping[str, str] | None) -> str:
    """Return a detail as JSON, written by hand: this is a part of each step of each task."""
    text = f'{{"token":{token}'
    if worker:
        text += f',"worker":{encode_basestring_ascii(worker)}'
    if detail:
        text += f',"detail":{encode_basestring_ascii(shortened(detail))}'
    for name, value in (more or {}).items():
        text += f',"{name}":{encode_basestring_ascii(value)}'
    return text + "}"
