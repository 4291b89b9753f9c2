"""Attempts that have ended, as entries: written in the transaction that ends each."""

# ruff: noqa: S608 - statements are put together from this package's constants; values are bound
from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from khive_supervisor.audit import actors
from khive_supervisor.history import telling
from khive_supervisor.history.model import (
    ALL_EXECUTIONS,
    COLLECTION,
    AttemptEnd,
    DaySum,
    Execution,
    ExecutionFilter,
)
from khive_supervisor.projects import identity
from khive_supervisor.sqlite.audit.table import AuditTable
from khive_supervisor.sqlite.engine.database import Database, Value
from khive_supervisor.sqlite.entries.conditions import live
from khive_supervisor.sqlite.entries.purge import Purging
from khive_supervisor.sqlite.entries.table import EntryTable
from khive_supervisor.sqlite.tasks.causes import CauseTable
from khive_supervisor.store.model import EVERYTHING, EntryFilter, How, NewEntry, Provenance, SaidBy
from khive_supervisor.store.projects import ProjectStore
from khive_supervisor.store.tasks import ExecutionStore
from khive_supervisor.tasks.bounds import error_text
from khive_supervisor.tasks.model import Usage
from khive_supervisor.tasks.records import DAY
from khive_supervisor.text import wellformed

_COLUMNS = (
    "entry_id, task_id, token, attempt, role, task_type, outcome, error, cost, tokens, seconds, "
    "quality, digest, payload_digest, session, diff, files, began_at, ended_at"
)
#: What is read of the task that an attempt was at; a candidate's digest says who it was.
_TASK = (
    "id, token, attempts, role, task_type, payload, ifnull(route ->> '$.digest', digest), "
    "namespace, session, project, actor, created_at, started_at"
)
#: The namespace of tasks that an earlier release was given without one.
_NO_NAMESPACE = "default"
_GIVEN = "SELECT value FROM json_each(?)"


@dataclass(frozen=True, slots=True)
class AttemptedTask:
    """The row of a task whose attempt has just ended, as the attempt had it."""

    id: int
    token: int
    attempts: int
    role: str
    task_type: str
    payload: str
    digest: str
    namespace: str
    session: str
    project: str | None
    actor: str
    created_at: float
    started_at: float | None


class ExecutionTable(ExecutionStore):
    """`ExecutionStore` on SQLite, and what writes an attempt."""

    def __init__(
        self,
        database: Database,
        entries: EntryTable,
        causes: CauseTable,
        projects: ProjectStore,
        purges: Purging,
        clock: Callable[[], float],
        audit: AuditTable,
    ) -> None:
        self._database = database
        self._entries = entries
        self._causes = causes
        self._projects = projects
        self._purges = purges
        self._clock = clock
        self._audit = audit

    # --- writing --------------------------------------------------------------------------------

    def record(self, task_id: int, end: AttemptEnd, wall: float) -> int:
        """Write the attempt of a task's last claim, in the transaction that ends it.

        Return the entry's number.
        """
        rows = self._database.rows(f"SELECT {_TASK} FROM tasks WHERE id = ?", [task_id])
        task = AttemptedTask(*rows[0])
        entry = self._entries.insert(self._entry(task, end, wall))
        self._insert(entry, task, end, wall)
        self._causes.link(entry, task.id, task.token, task.session, task.created_at)
        self._causes.link_produced(entry, task.id, task.started_at or wall)
        return entry

    def _entry(self, task: AttemptedTask, end: AttemptEnd, wall: float) -> NewEntry:
        prompt = telling.prompt_in(json.loads(wellformed.json_escapes(task.payload)))
        through = self._database.gate.written
        past = bytes(self._database.value("SELECT name FROM past"))
        return NewEntry(
            COLLECTION,
            task.namespace or _NO_NAMESPACE,
            end.outcome,
            through(telling.title_of(prompt, task.role)),
            through(telling.content_of(prompt, end)),
            telling.tags_of(task.role, task.task_type),
            source=telling.source_of(past, task.id, task.token),
            created_at=wall,
            project=self._project(task.project),
            branch=telling.said_of(end.place, "branch") or None,
            commit=telling.said_of(end.place, "commit") or None,
            # Without the task, which the row beside it has: it would be a provenance for each.
            provenance=Provenance(SaidBy.TOOL, How.CAPTURED, actor=task.actor, role=task.role),
        )

    def _project(self, text: str | None) -> int | None:
        """Return the number of the caller's project, which is stored if it is new."""
        found = None if text is None else identity.from_dict(json.loads(text))
        if found is None:
            return None
        family = self._projects.find(found)
        return self._projects.ensure(found) if family is None else family.ids[0]

    def _insert(self, entry: int, task: AttemptedTask, end: AttemptEnd, wall: float) -> None:
        used, began = end.usage or Usage(), task.started_at or wall
        seconds = max(0.0, wall - began) if end.seconds is None else end.seconds
        files = list(telling.files_of(end.place))
        self._database.insert(
            "executions",
            entry_id=entry, task_id=task.id, token=task.token, attempt=task.attempts,
            role=task.role, task_type=task.task_type, outcome=end.outcome,
            error=error_text(end.error), cost=used.cost, tokens=used.tokens, seconds=seconds,
            quality=end.quality, digest=task.digest,
            payload_digest=telling.digest_of(task.payload), session=task.session,
            diff=telling.said_of(end.place, "diff"),
            files=self._database.gate.passed(json.dumps(files)),
            began_at=began, ended_at=wall,
        )  # fmt: skip

    def rate(self, task_id: int, token: int, quality: float) -> None:
        """Note how good a result is held to be."""
        self._database.rows(
            "UPDATE executions SET quality = ? WHERE task_id = ? AND token = ?",
            [quality, task_id, token],
        )

    # --- reading --------------------------------------------------------------------------------

    def of(self, entries: Iterable[int]) -> Mapping[int, Execution]:
        rows = self._database.rows(
            f"SELECT {_COLUMNS} FROM executions WHERE entry_id IN ({_GIVEN})",
            [json.dumps(list(entries))],
        )
        return {row[0]: _execution(row) for row in rows}

    def of_tasks(self, tasks: Iterable[int]) -> list[Execution]:
        rows = self._database.rows(
            f"SELECT {_COLUMNS} FROM executions WHERE task_id IN ({_GIVEN}) ORDER BY entry_id",
            [json.dumps(list(tasks))],
        )
        return [_execution(row) for row in rows]

    def page(
        self,
        where: EntryFilter = EVERYTHING,
        which: ExecutionFilter = ALL_EXECUTIONS,
        limit: int = 50,
    ) -> list[Execution]:
        sql, bindings = _conditions(where, which)
        rows = self._database.rows(
            f"SELECT {_COLUMNS} FROM executions WHERE {sql} ORDER BY ended_at DESC, entry_id DESC "
            "LIMIT ?",
            [*bindings, limit],
        )
        return [_execution(row) for row in rows]

    def days(
        self,
        where: EntryFilter = EVERYTHING,
        which: ExecutionFilter = ALL_EXECUTIONS,
        limit: int = 366,
    ) -> list[DaySum]:
        sql, bindings = _conditions(where, which)
        rows = self._database.rows(
            f"SELECT CAST(ended_at / {DAY} AS INTEGER) AS day, count(*), sum(outcome = 'done'), "
            "sum(cost), sum(CAST(cost AS REAL) * cost), sum(tokens), sum(seconds), "
            "sum(seconds * seconds) FROM executions "
            f"WHERE outcome <> 'cancelled' AND {sql} GROUP BY day ORDER BY day DESC LIMIT ?",
            [*bindings, limit],
        )
        return [DaySum(*row) for row in reversed(rows)]

    # --- retention ------------------------------------------------------------------------------

    def prune(self, older_than: float, limit: int = 500) -> int:
        old = "SELECT entry_id FROM executions WHERE ended_at < ?1 ORDER BY ended_at LIMIT ?2"
        if not self._database.rows(old, [older_than, 1]):
            return 0
        with self._database.write():
            found = [row[0] for row in self._database.rows(old, [older_than, limit])]
            self._purges.discard(found)
            told = {"executions": len(found), "first": min(found), "last": max(found)}
            self._audit.append(self._clock(), "executions.forgotten", actors.STORE, told)
        return len(found)


def _conditions(where: EntryFilter, which: ExecutionFilter) -> tuple[str, list[Value]]:
    """Return the condition on executions, and what is bound to it."""
    sql, bindings = live(where, many=True)
    parts = [f"entry_id IN (SELECT id FROM entries WHERE {sql})"]
    given = {"role": which.role, "task_type": which.task_type, "outcome": which.outcome}
    for column, value in given.items():
        if value is not None:
            parts.append(f"{column} = ?")
            bindings.append(value)
    if which.before is not None:
        parts.append("entry_id < ?")
        bindings.append(which.before)
    return " AND ".join(parts), bindings


def _execution(row: tuple[Any, ...]) -> Execution:
    fields = dict(zip(_COLUMNS.split(", "), row, strict=True))
    fields["files"] = tuple(json.loads(fields["files"]))
    return Execution(fields.pop("entry_id"), **fields)
