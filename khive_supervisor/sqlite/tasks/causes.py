"""What led to an attempt, and what came of it: links between executions, and to memories."""

# ruff: noqa: S608 - statements are put together from this module's constants

from __future__ import annotations

import json

from khive_supervisor.history.model import BY, BY_ORDER
from khive_supervisor.sqlite.engine.database import Database
from khive_supervisor.store.links import CAUSED_BY, FOLLOWS, PRODUCED, RETRY_OF, LinkStore

#: How a session is called that is at work on a task.
_TASK_SESSION = "task-"
#: Memories of one attempt that are linked, and attempts at the tasks that it was to come after.
_MOST = 100
#: A task and the whole that it is a part of come after these.
_AFTER = """
    SELECT on_task FROM task_after WHERE task_id = ?1 OR task_id IN
        (SELECT part_of FROM task_waits WHERE task_id = ?1 AND part_of IS NOT NULL)
"""
#: The last attempts at these; what fanned out was done by its parts.
_BEFORE = f"""
    SELECT max(entry_id) FROM executions WHERE task_id IN
        ({_AFTER} UNION SELECT task_id FROM task_waits WHERE part_of IN ({_AFTER}))
    GROUP BY task_id ORDER BY 1 LIMIT ?2
"""


class CauseTable:
    """Links an execution when it is written, in the same transaction."""

    def __init__(self, database: Database, links: LinkStore) -> None:
        self._database = database
        self._links = links

    def link(self, entry: int, task: int, token: int, session: str, given_at: float) -> None:
        """Link an attempt to the one before, to what gave the task, and to what it came after."""
        self._link(entry, self._attempt_before(task, token), RETRY_OF)
        self._link(entry, self._cause(session, given_at), CAUSED_BY)
        before = [one for (one,) in self._database.rows(_BEFORE, [task, _MOST])]
        for one in before:
            self._link(entry, one, FOLLOWS)
        if not before:  # what a workflow says of the order says more than the order itself
            self._link(entry, self._seen_last(session, task, given_at), FOLLOWS, BY_ORDER)
        # Who gave the tasks that this one has caused may end after they do.
        for child in self._caused(task):
            self._link(child, entry, CAUSED_BY)

    def _link(self, entry: int, other: int | None, kind: str, by: str = BY) -> None:
        if other is not None:
            self._links.add(entry, other, kind, by)

    def _attempt_before(self, task: int, token: int) -> int | None:
        found: int | None = self._database.value(
            "SELECT entry_id FROM executions WHERE task_id = ? AND token < ? "
            "ORDER BY token DESC LIMIT 1",
            [task, token],
        )
        return found

    def _cause(self, session: str, given_at: float) -> int | None:
        """Return the attempt that gave the task; the one that was at work then, if it has ended."""
        parent = _task_of(session)
        if parent is None:
            return None
        found: int | None = self._database.value(
            "SELECT entry_id FROM executions WHERE task_id = ? AND began_at <= ? AND ended_at >= ? "
            "ORDER BY token DESC LIMIT 1",
            [parent, given_at, given_at],
        )
        return found

    def _seen_last(self, session: str, task: int, given_at: float) -> int | None:
        """Return what the same session had given before, and what ended last before this."""
        if not session:
            return None
        found: int | None = self._database.value(
            "SELECT entry_id FROM executions WHERE session = ? AND ended_at <= ? "
            "AND task_id IS NOT NULL AND task_id <> ? ORDER BY ended_at DESC, entry_id DESC "
            "LIMIT 1",
            [session, given_at, task],
        )
        return found

    def _caused(self, task: int) -> list[int]:
        """Return the executions of tasks that a task has given, and that nothing has caused yet."""
        rows = self._database.rows(
            "SELECT entry_id FROM executions WHERE session = ? AND NOT EXISTS "
            "(SELECT 1 FROM links WHERE from_id = entry_id AND kind = ?)",
            [f"{_TASK_SESSION}{task}", CAUSED_BY],
        )
        return [row[0] for row in rows]

    def link_produced(self, entry: int, task: int, began_at: float) -> None:
        """Link an attempt to the memories that were stored in it."""
        numbers = self._database.rows("SELECT id FROM provenance WHERE task = ?", [f"t{task}"])
        if not numbers:  # most tasks store nothing
            return
        rows = self._database.rows(
            "SELECT id FROM entries WHERE deleted_at IS NULL AND superseded_by IS NULL "
            "AND created_at >= ? AND +provenance_id IN (SELECT value FROM json_each(?)) "
            "ORDER BY id LIMIT ?",
            [began_at, json.dumps([number for (number,) in numbers]), _MOST],
        )
        for (one,) in rows:
            self._link(entry, one, PRODUCED)


def _task_of(session: str) -> int | None:
    """Return the task that a session is at work on; None for a session of anybody else."""
    number = session.removeprefix(_TASK_SESSION)
    return int(number) if number != session and number.isdecimal() else None
