"""Tasks that nobody holds any more: their worker died or was stopped, or their time is over."""

# ruff: noqa: S608 - statements are put together from this module's constants; values are bound
from __future__ import annotations

from collections.abc import Callable, Sequence

from khive_supervisor.history.model import AttemptEnd
from khive_supervisor.sqlite.audit.table import AuditTable
from khive_supervisor.sqlite.engine.database import Database, Value
from khive_supervisor.sqlite.flow.insertion import TaskInsertion
from khive_supervisor.sqlite.flow.log import TaskLog
from khive_supervisor.sqlite.flow.waiting import WaitTable
from khive_supervisor.sqlite.tasks.executions import ExecutionTable
from khive_supervisor.tasks import states
from khive_supervisor.tasks.lease import Moment
from khive_supervisor.tasks.model import DIED, ENDED, FAILED, QUEUED, REQUEUED, Released

#: The error of a task whose deadline passed before anybody did it.
DEADLINE = "deadline"


class ReleaseTable:
    """The part of `TaskStore` that ends leases which bring no outcome."""

    def __init__(
        self,
        database: Database,
        clock: Callable[[], float],
        audit: AuditTable,
        executions: ExecutionTable,
    ) -> None:
        self._database = database
        self._clock = clock
        self._log = TaskLog(database, audit)
        self.insertion = TaskInsertion(database, self._log)
        #: What tasks wait for; other tables of the same store share it.
        self.waits = WaitTable(database, self._log, audit, self.insertion)
        self._executions = executions

    def release(self, worker: str, *, died: bool = True) -> list[Released]:
        return self._release("worker = ?", [worker], died=died)

    def release_expired(self, now: Moment) -> list[Released]:
        over = "(boot != ? OR lease_until <= ?)"
        released = self._release(over, [now.boot, now.at], died=True)
        return released + self._fail_late()

    def _release(self, which: str, values: Sequence[Value], *, died: bool) -> list[Released]:
        sql = (
            "SELECT id, role, token, worker, attempts, attempts_max, cancel_asked FROM tasks "
            f"WHERE state = 'leased' AND {which}"
        )
        if not self._database.rows(sql, values):
            return []
        with self._database.write():
            wall = self._clock()
            return [
                self._release_one(*row, died=died, wall=wall)
                for row in self._database.rows(sql, values)
            ]

    def _release_one(
        self, task_id: int, role: str, token: int, worker: str, attempts: int, most: int,
        asked: int, *, died: bool, wall: float,
    ) -> Released:  # fmt: skip
        after = states.after_release(attempts, most, died=died, cancel_asked=bool(asked))
        why = "its worker died, or was not heard of" if died else "its worker was stopped"
        self._database.update(
            "tasks", task_id,
            state=after.state, attempts=attempts if died else max(0, attempts - 1),
            error=why if died else None, not_before=0, boot="", lease_until=None, worker=None,
            ended_at=wall if after.state in ENDED else None,
        )  # fmt: skip
        what = REQUEUED if after.state == QUEUED else after.state
        more = self._record_death(task_id, why, wall) if died else None
        self._log.add(task_id, wall, what, token, worker, why, more=more)
        if after.state in ENDED:
            self.waits.ended(task_id, wall)
        return Released(task_id, role, after.state)

    def _record_death(self, task_id: int, why: str, wall: float) -> dict[str, str]:
        """Keep an attempt that nobody has ended; what the audit chain tells of it."""
        return {"execution": f"e{self._executions.record(task_id, AttemptEnd(DIED, why), wall)}"}

    def _fail_late(self) -> list[Released]:
        sql = (
            "SELECT id, role, token FROM tasks WHERE state = 'queued' AND deadline IS NOT NULL "
            "AND deadline <= ?"
        )
        wall = self._clock()
        if not self._database.rows(sql, [wall]):
            return []
        with self._database.write():
            late = []
            # One at a time: the end of one may be the end of others that came after it.
            while found := self._database.rows(f"{sql} LIMIT 1", [wall]):
                task_id, role, token = found[0]
                self._log.end(task_id, wall, FAILED, token, DEADLINE)
                self.waits.ended(task_id, wall)
                late.append(Released(task_id, role, FAILED))
        return late
