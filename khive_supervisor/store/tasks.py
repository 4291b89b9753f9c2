"""The tasks' tables: who holds a task is one row, changed in one transaction with its event."""

# ruff: noqa: S608 - statements are put together from this package's constants; values are bound
from __future__ import annotations

import json
from collections.abc import Callable, Sequence

from khive_supervisor.errors import InvalidInput, NotFound
from khive_supervisor.store.database import Database, Value
from khive_supervisor.store.records import RoleTable
from khive_supervisor.store.task_rows import (
    CLAIMED_COLUMNS,
    COLUMNS,
    LIGHT_COLUMNS,
    claim_of,
    task_of,
)
from khive_supervisor.tasks import states
from khive_supervisor.tasks.bounds import (
    error_text,
    log_tail,
    payload_text,
    progress_text,
    result_text,
)
from khive_supervisor.tasks.lease import Moment
from khive_supervisor.tasks.model import (
    ALL_TASKS,
    CANCEL_ASKED,
    CANCELLED,
    CLAIMED,
    DONE,
    ENDED,
    ENQUEUED,
    FAILED,
    FENCED,
    LEASED,
    QUEUED,
    RATED,
    REQUEUED,
    RETRIED,
    Claim,
    Claimant,
    Finished,
    NewTask,
    Outcome,
    QueueDepth,
    Record,
    Released,
    RoleRow,
    Task,
    TaskEvent,
    TaskFilter,
)
from khive_supervisor.tasks.records import day_of

#: The error of a task whose deadline passed before anybody did it.
DEADLINE = "deadline"

#: Whether a queued task may be claimed at `?2` in the boot `?3`.
_DUE = "(not_before <= ?2 OR boot != ?3)"
_NEXT = (
    f"SELECT {CLAIMED_COLUMNS} FROM tasks WHERE role = ?1 AND state = 'queued' AND {_DUE} "
    "ORDER BY priority DESC, id LIMIT 1"
)


class TaskTable:
    """See `task_interface.TaskStore`."""

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock
        self._roles = RoleTable(database)

    # --- who gives work -------------------------------------------------------------------------

    def assign(self, task: NewTask) -> tuple[Task, bool]:
        """See `TaskStore.assign`."""
        payload = payload_text(task.payload)
        with self._database.write():
            known = self._known(task, payload)
            if known is not None:
                return known, False
            wall = self._clock()
            task_id = self._database.inserted(
                "INSERT INTO tasks (role, task_type, payload, priority, idempotency, attempts_max, "
                "deadline, chosen, actor, namespace, session, created_at) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    task.role,
                    task.task_type,
                    payload,
                    task.priority,
                    task.idempotency,
                    task.attempts_max,
                    task.deadline,
                    None if task.chosen is None else json.dumps(task.chosen),
                    task.actor,
                    task.namespace,
                    task.session,
                    wall,
                ],
            )
            self._log(task_id, wall, ENQUEUED, 0)
            return self._existing(task_id), True

    def _known(self, task: NewTask, payload: str) -> Task | None:
        """The task that has the new one's idempotency key already."""
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
        """See `TaskStore.find`."""
        rows = self._database.rows(f"SELECT {COLUMNS} FROM tasks WHERE id = ?", [task_id])
        return task_of(rows[0]) if rows else None

    def _existing(self, task_id: int) -> Task:
        found = self.find(task_id)
        if found is None:
            raise NotFound(
                f"There is no task t{task_id}.",
                hint="agents.tasks lists them; tasks that ended long ago are removed.",
            )
        return found

    def page(
        self, where: TaskFilter = ALL_TASKS, limit: int = 50, before: int | None = None
    ) -> list[Task]:
        """See `TaskStore.page`."""
        conditions: list[str] = []
        values: list[Value] = []
        for column, value in (
            ("role", where.role),
            ("state", where.state),
            ("task_type", where.task_type),
        ):
            if value is not None:
                conditions.append(f"{column} = ?")
                values.append(value)
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
        """See `TaskStore.events`."""
        one = "" if task_id is None else "AND task_id = ?3"
        rows = self._database.rows(
            "SELECT seq, task_id, at, what, token, worker, detail FROM task_events "
            f"WHERE seq > ?1 {one} ORDER BY seq LIMIT ?2",
            [after_seq, limit, *([] if task_id is None else [task_id])],
        )
        return [TaskEvent(*row) for row in rows]

    def last_event(self) -> int:
        """See `TaskStore.last_event`."""
        return int(self._database.value("SELECT ifnull(max(seq), 0) FROM task_events"))

    def cancel(self, task_id: int) -> Task:
        """See `TaskStore.cancel`."""
        with self._database.write():
            found = self._existing(task_id)
            wall = self._clock()
            if found.state == QUEUED:
                self._end(task_id, wall, CANCELLED, found.token)
            elif found.state == LEASED and not found.cancel_asked:
                self._database.rows("UPDATE tasks SET cancel_asked = 1 WHERE id = ?", [task_id])
                self._log(task_id, wall, CANCEL_ASKED, found.token, found.worker)
            return self._existing(task_id)

    def retry(self, task_id: int) -> Task:
        """See `TaskStore.retry`."""
        with self._database.write():
            found = self._existing(task_id)
            if found.state not in states.RETRIABLE:
                raise InvalidInput(
                    f"Task t{task_id} is {found.state}, and cannot be tried again.",
                    hint="Failed, dead and cancelled tasks can; for another run of a done one, "
                    "assign a new task.",
                )
            self._database.rows(
                "UPDATE tasks SET state = 'queued', attempts = 0, cancel_asked = 0, "
                "deadline = NULL, not_before = 0, boot = '', lease_until = NULL, worker = NULL, "
                "progress = NULL, result = NULL, ended_at = NULL WHERE id = ?",
                [task_id],
            )
            self._log(task_id, self._clock(), RETRIED, found.token)
            return self._existing(task_id)

    def feedback(self, task_id: int, quality: float) -> Task:
        """See `TaskStore.feedback`."""
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
            self._database.rows("UPDATE tasks SET quality = ? WHERE id = ?", [quality, task_id])
            day = day_of(found.ended_at or 0.0)
            key = (found.role, found.task_type, found.digest, day)
            self._roles.rate(key, found.quality, quality)
            self._log(task_id, self._clock(), RATED, found.token, None, f"{quality:g}")
            return self._existing(task_id)

    # --- who does it ----------------------------------------------------------------------------

    def claim(self, claimant: Claimant, now: Moment) -> Claim | None:
        """See `TaskStore.claim`."""
        # A look first: most wake-ups find nothing, and should not wait for the write lock.
        waiting = f"SELECT 1 FROM tasks WHERE role = ?1 AND state = 'queued' AND {_DUE} LIMIT 1"
        if not self._database.rows(waiting, [claimant.role, now.at, now.boot]):
            return None
        with self._database.write():
            return self._claim(claimant, now, self._clock())

    def _claim(self, claimant: Claimant, now: Moment, wall: float) -> Claim | None:
        while rows := self._database.rows(_NEXT, [claimant.role, now.at, now.boot]):
            claim = claim_of(rows[0], now.after(claimant.lease))
            if claim.deadline is None or wall < claim.deadline:
                break
            self._miss_deadline(claim.id, wall, claim.token - 1)
        else:
            return None
        self._database.rows(
            "UPDATE tasks SET state = 'leased', token = ?, attempts = ?, worker = ?, "
            "generation = ?, digest = ?, boot = ?, lease_until = ?, progress = NULL, "
            "started_at = ? WHERE id = ?",
            [
                claim.token,
                claim.attempts,
                claimant.worker,
                claimant.generation,
                claimant.digest,
                claim.lease.boot,
                claim.lease.at,
                wall,
                claim.id,
            ],
        )
        self._log(claim.id, wall, CLAIMED, claim.token, claimant.worker)
        return claim

    def renew(self, task_id: int, token: int, until: Moment) -> bool:
        """See `TaskStore.renew`."""
        return self._while_held("boot = ?, lease_until = ?", [until.boot, until.at], task_id, token)

    def progress(self, task_id: int, token: int, text: str) -> bool:
        """See `TaskStore.progress`."""
        return self._while_held("progress = ?", [progress_text(text)], task_id, token)

    def _while_held(self, change: str, values: Sequence[Value], task_id: int, token: int) -> bool:
        with self._database.write():
            changed = self._database.changed(
                f"UPDATE tasks SET {change} WHERE id = ? AND token = ? AND state = 'leased'",
                [*values, task_id, token],
            )
        return changed == 1

    def cancelled(self, task_id: int, token: int) -> bool:
        """See `TaskStore.cancelled`."""
        return not self._database.rows(
            "SELECT 1 FROM tasks WHERE id = ? AND token = ? AND state = 'leased' "
            "AND NOT cancel_asked",
            [task_id, token],
        )

    def finish(
        self,
        task_id: int,
        token: int,
        outcome: Outcome,
        now: Moment,
        next_claim: Claimant | None = None,
    ) -> Finished:
        """See `TaskStore.finish`."""
        if outcome.state not in (DONE, FAILED, CANCELLED):
            raise InvalidInput(
                f"An attempt cannot come out {outcome.state!r}.",
                hint=f"It is {DONE}, {FAILED} or {CANCELLED}.",
            )
        result = result_text(outcome.result) if outcome.state == DONE else None
        with self._database.write():
            wall = self._clock()
            accepted, state = self._accept(task_id, token, outcome, result, now, wall)
            following = None if next_claim is None else self._claim(next_claim, now, wall)
        return Finished(accepted, state, following)

    def _accept(
        self,
        task_id: int,
        token: int,
        outcome: Outcome,
        result: str | None,
        now: Moment,
        wall: float,
    ) -> tuple[bool, str | None]:
        rows = self._database.rows(
            "SELECT state, token, attempts, attempts_max, cancel_asked, role, task_type, digest, "
            "worker FROM tasks WHERE id = ?",
            [task_id],
        )
        if not rows:
            return False, None
        state, last, attempts, attempts_max, asked, role, task_type, digest, worker = rows[0]
        if state != LEASED or last != token:
            detail = f"{outcome.state}, when the task was {state} with token {last}"
            self._log(task_id, wall, FENCED, token, None, detail)
            return False, state
        after = states.after_outcome(outcome, attempts, attempts_max, now, cancel_asked=bool(asked))
        quality = outcome.quality if after.state == DONE else None
        self._database.rows(
            "UPDATE tasks SET state = ?, result = ?, error = ?, log_tail = ?, quality = ?, "
            "not_before = ?, boot = ?, lease_until = NULL, ended_at = ? WHERE id = ?",
            [
                after.state,
                result,
                error_text(outcome.error),
                log_tail(outcome.log_tail),
                quality,
                *_wait(after),
                wall if after.state in ENDED else None,
                task_id,
            ],
        )
        what = REQUEUED if after.state == QUEUED else after.state
        self._log(task_id, wall, what, token, worker, error_text(outcome.error) or "")
        if after.state != CANCELLED:
            success = after.state == DONE
            self._roles.count(
                role, task_type, digest, wall,
                success=success, quality=quality, latency=outcome.latency,
            )  # fmt: skip
        return True, after.state

    def release(self, worker: str, *, died: bool = True) -> list[Released]:
        """See `TaskStore.release`."""
        return self._release("worker = ?", [worker], died=died)

    def release_expired(self, now: Moment) -> list[Released]:
        """See `TaskStore.release_expired`."""
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
        released = []
        with self._database.write():
            wall = self._clock()
            for task_id, role, token, worker, attempts, most, asked in self._database.rows(
                sql, values
            ):
                after = states.after_release(attempts, most, died=died, cancel_asked=bool(asked))
                why = "its worker died, or was not heard of" if died else "its worker was stopped"
                self._database.rows(
                    "UPDATE tasks SET state = ?, attempts = ?, error = ?, not_before = 0, "
                    "boot = '', lease_until = NULL, worker = NULL, ended_at = ? WHERE id = ?",
                    [
                        after.state,
                        attempts if died else max(0, attempts - 1),
                        why if died else None,
                        wall if after.state in ENDED else None,
                        task_id,
                    ],
                )
                what = REQUEUED if after.state == QUEUED else after.state
                self._log(task_id, wall, what, token, worker, why)
                released.append(Released(task_id, role, after.state))
        return released

    def _fail_late(self) -> list[Released]:
        sql = (
            "SELECT id, role, token FROM tasks WHERE state = 'queued' AND deadline IS NOT NULL "
            "AND deadline <= ?"
        )
        wall = self._clock()
        if not self._database.rows(sql, [wall]):
            return []
        with self._database.write():
            late = self._database.rows(sql, [wall])
            for task_id, _, token in late:
                self._miss_deadline(task_id, wall, token)
        return [Released(task_id, role, FAILED) for task_id, role, _ in late]

    def _miss_deadline(self, task_id: int, wall: float, token: int) -> None:
        self._end(task_id, wall, FAILED, token, DEADLINE)

    def _end(
        self, task_id: int, wall: float, state: str, token: int, error: str | None = None
    ) -> None:
        """End a task that waits."""
        self._database.rows(
            "UPDATE tasks SET state = ?, error = ifnull(?, error), ended_at = ? WHERE id = ?",
            [state, error, wall, task_id],
        )
        self._log(task_id, wall, state, token, None, error or "")

    def due(self, now: Moment) -> list[str]:
        """See `TaskStore.due`."""
        rows = self._database.rows(
            "SELECT role FROM roles WHERE EXISTS (SELECT 1 FROM tasks WHERE "
            "tasks.role = roles.role AND state = 'queued' AND (not_before <= ? OR boot != ?)) "
            "ORDER BY role",
            [now.at, now.boot],
        )
        return [row[0] for row in rows]

    def queue_depths(self) -> dict[str, QueueDepth]:
        """See `TaskStore.queue_depths`."""
        rows = self._database.rows(
            "SELECT role, sum(queued), sum(leased) FROM ("
            "SELECT role, count(*) AS queued, 0 AS leased FROM tasks WHERE state = 'queued' "
            "GROUP BY role UNION ALL "
            "SELECT role, 0, count(*) FROM tasks WHERE state = 'leased' GROUP BY role) "
            "GROUP BY role"
        )
        return {role: QueueDepth(queued, leased) for role, queued, leased in rows}

    # --- roles, and how they did ----------------------------------------------------------------

    def set_roles(self, roles: Sequence[RoleRow]) -> None:
        """See `TaskStore.set_roles`."""
        self._roles.set(roles, self._clock())

    def roles(self) -> list[RoleRow]:
        """See `TaskStore.roles`."""
        return self._roles.all()

    def records(self, role: str | None = None) -> list[Record]:
        """See `TaskStore.records`."""
        return self._roles.records(role)

    def prune(self, older_than: float, limit: int = 500) -> int:
        """See `TaskStore.prune`."""
        ended = "SELECT id FROM tasks WHERE ended_at < ?1 ORDER BY ended_at LIMIT ?2"
        if not self._database.rows(ended, [older_than, 1]):
            return 0
        with self._database.write():
            ids = json.dumps([row[0] for row in self._database.rows(ended, [older_than, limit])])
            among = "(SELECT value FROM json_each(?))"
            self._database.rows(f"DELETE FROM task_events WHERE task_id IN {among}", [ids])
            return self._database.changed(f"DELETE FROM tasks WHERE id IN {among}", [ids])

    def _log(
        self,
        task_id: int,
        wall: float,
        what: str,
        token: int,
        worker: str | None = None,
        detail: str = "",
    ) -> None:
        self._database.rows(
            "INSERT INTO task_events (task_id, at, what, token, worker, detail) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            [task_id, wall, what, token, worker, detail],
        )


def _wait(after: states.After) -> tuple[float, str]:
    """The columns `not_before` and `boot`."""
    if after.not_before is None:
        return 0.0, ""
    return after.not_before.at, after.not_before.boot
