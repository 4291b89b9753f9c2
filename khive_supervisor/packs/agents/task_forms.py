"""How tasks and roles look from outside."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from typing import Required, TypedDict, cast

from khive_supervisor.config.load import namespace_allowed
from khive_supervisor.errors import InvalidInput, NotFound
from khive_supervisor.routing.model import with_intervals
from khive_supervisor.tasks.model import STATES, Task
from khive_supervisor.tasks.records import Summary
from khive_supervisor.text.plain_json import JsonObject
from khive_supervisor.verbs import forms, schema
from khive_supervisor.verbs.context import Context
from khive_supervisor.verbs.registry import Answer

_ID = re.compile(r"t([1-9][0-9]{0,17})")
_SPAN = re.compile(r"([0-9]{1,6})\s*(s|m|h|d|w)")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}

#: Where tasks are listed, for people and for agents.
_WHERE = "`khive-supervisor tasks` and the verb agents.tasks list them"
#: Characters of a role's or a type's name.
NAME_LIMIT = 64

ID = schema.text("A task's id, such as t12.")
ROLE = schema.text("A role; agents.roles lists them.", shortest=1, longest=NAME_LIMIT)
TYPE = schema.text("A type of task that roles declare.", shortest=1, longest=NAME_LIMIT)
STATE = schema.text("Only tasks in this state.", choices=STATES)

#: What a verb answers that shows one task.
SHOWN: JsonObject = schema.record(
    {
        "task": schema.text(),
        "state": schema.text(choices=STATES),
        "role": schema.text(),
    },
    ["task", "state", "role"],
)


def task_id(text: str) -> int:
    """Return the number behind a task's id; raises InvalidInput if it is none."""
    found = _ID.fullmatch(text.strip())
    if found is None:
        raise InvalidInput(
            f"{text[:80]!r} is not a task's id.",
            hint=f"They look like t12; {_WHERE}.",
        )
    return int(found[1])


def missing(text: str) -> NotFound:
    """Return the error of a task that is not there."""
    return NotFound(
        f"There is no task {text.strip()}.",
        hint=f"{_WHERE}; tasks that ended long ago are removed.",
    )


def existing(context: Context, text: str) -> Task:
    """Return the task of an id.

    Raises:
        InvalidInput: not an id.
        NotFound: there is none.
        Denied: it belongs to a namespace that is not allowed here.
    """
    found = context.store.tasks.find(task_id(text))
    if found is None:
        raise missing(text)
    context.namespace(found.namespace or None)
    return found


def those(context: Context, texts: list[str]) -> tuple[list[int], list[str]]:
    """Return the numbers of tasks, each once, and why others that are asked for are not among them.

    Raises:
        KhiveError: there is none of them; what is wrong with each.
    """
    found, notes = forms.each(texts, lambda text: existing(context, text).id)
    return list(dict.fromkeys(found)), notes


def visible(context: Context, task: Task) -> bool:
    """Return True if a listing may show it."""
    return not task.namespace or namespace_allowed(context.config, task.namespace)


def deadline(text: str, now: float) -> float:
    """A time, or how long from now, as unix seconds; raises InvalidInput if it is neither."""
    span = _SPAN.fullmatch(text.strip())
    if span is None:
        return forms.moment(text, now)
    after = dt.timedelta(**{_UNITS[span[2]]: int(span[1])}).total_seconds()
    return min(now + after, forms.LAST)  # as long as the calendar goes on


class ShownTask(TypedDict, total=False):
    """A task as agents and people see it; what it does not have is left out.

    The first five are always there; those from `payload` on are in whole ones alone.
    """

    task: Required[str]
    state: Required[str]
    role: Required[str]
    attempts: Required[str]
    created_at: Required[str]
    task_type: str
    priority: int
    worker: str
    progress: str
    error: str
    cancel_asked: bool
    quality: float
    candidate: str
    idempotency_key: str
    deadline: str
    started_at: str
    ended_at: str
    note: str
    payload: object
    result: object
    cwd: str
    session: str
    worktree: Mapping[str, object]
    log_tail: str
    why: Mapping[str, object]
    waits_for: str
    workflow: str
    step: str


def show(task: Task) -> ShownTask:
    """Return a task in a few fields: all that a listing says, and what is known of its end."""
    shown: ShownTask = {
        "task": f"t{task.id}",
        "state": task.state,
        "role": task.role,
        "attempts": f"{task.attempts} of {task.attempts_max}",
        "created_at": forms.timestamp(task.created_at),
    }
    known = {name: value for name, value in _optional(task).items() if value is not None}
    return cast("ShownTask", {**shown, **known})


def show_listed(task: Task, log_lines: int) -> ShownTask:
    """Return what a listing says of a task: of one at work, so many last lines of its log, too."""
    shown = show(task)
    if log_lines and task.log_tail:
        shown["log_tail"] = "\n".join(task.log_tail.splitlines()[-log_lines:])
    return shown


def _optional(task: Task) -> dict[str, object]:
    return {
        "task_type": task.task_type or None,
        "priority": task.priority or None,
        "worker": task.worker if task.state == "leased" else None,
        "progress": task.progress,
        "error": task.error,
        "cancel_asked": task.cancel_asked or None,
        "quality": task.quality,
        "candidate": task.route["candidate"] if task.route else task.candidate or None,
        "idempotency_key": task.idempotency,
        "deadline": _time(task.deadline),
        "started_at": _time(task.started_at),
        "ended_at": _time(task.ended_at),
    }


def _time(at: float | None) -> str | None:
    return None if at is None else forms.timestamp(at)


def show_whole(task: Task) -> ShownTask:
    """Return a task with everything that is known of it."""
    shown: ShownTask = {**show(task), "payload": task.payload}
    if task.state == "done":
        shown["result"] = task.result
    if task.cwd:
        shown["cwd"] = task.cwd
    if task.agent_session:
        shown["session"] = task.agent_session
    if task.place is not None:
        shown["worktree"] = dict(task.place)
    if task.log_tail is not None:
        shown["log_tail"] = task.log_tail
    if why := why_so(task):
        shown["why"] = why
    return shown


def why_so(task: Task) -> dict[str, object]:
    """Return why this role has the task, and which candidate of it; empty if nobody decided."""
    why: dict[str, object] = dict(task.chosen or {})
    return why if task.route is None else {**why, "route": with_intervals(task.route)}


def show_summary(known: Summary) -> Answer:
    """Return how a role does at one type of task."""
    low, high = known.expertise.interval()
    shown: dict[str, object] = {
        "task_type": known.task_type,
        "executions": known.executions,
        "successes": known.successes,
        "success": round(known.expertise.mean, 4),
        "interval": [round(low, 4), round(high, 4)],
    }
    for name, value in (
        ("recent_success", known.recent),
        ("quality", known.quality),
        ("latency_seconds", known.latency),
    ):
        if value is not None:
            shown[name] = round(value, 4)
    return shown
