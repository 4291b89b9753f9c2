"""New rows of the tasks' table, whoever they are for."""

from __future__ import annotations

import json
from dataclasses import fields

from khive_supervisor.sqlite.audit.table import fingerprint
from khive_supervisor.sqlite.engine.database import Database
from khive_supervisor.sqlite.flow.log import TaskLog
from khive_supervisor.tasks.bounds import payload_text
from khive_supervisor.tasks.model import ENQUEUED, WAITING, NewTask


class TaskInsertion:
    """Inserts tasks; part of the transaction that is open."""

    def __init__(self, database: Database, log: TaskLog) -> None:
        self._database = database
        self._log = log

    def payload(self, task: NewTask) -> str:
        """Return a task's payload as it may be kept; raises SecretFound, also for its key."""
        gate = self._database.gate
        payload = payload_text(gate.said_data(task.payload, "payload"))
        if task.idempotency is not None:
            gate.said(task.idempotency, "idempotency_key")
        return gate.passed(payload)

    def insert(self, task: NewTask, payload: str, wall: float, *, waits: bool) -> int:
        """Return the number of a new task; `waits`: it has no turn in the queue yet."""
        gate = self._database.gate
        row = {one.name: getattr(task, one.name) for one in fields(task)}
        for name in ("chosen", "project"):
            row[name] = None if row[name] is None else gate.passed(json.dumps(row[name]))
        row |= {"payload": payload, "created_at": wall, "waiting": int(waits)}
        task_id = self._database.insert("tasks", **row)
        more = {"role": task.role, "task_type": task.task_type, "payload": fingerprint(payload)}
        self._log.add(task_id, wall, WAITING if waits else ENQUEUED, 0, more=more)
        return task_id
