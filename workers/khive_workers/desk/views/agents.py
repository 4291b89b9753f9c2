"""The view of roles and tasks: how they do, what they are at, what a reload would do. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from khive_supervisor.text.plain_json import JsonObject
from khive_workers.desk.drawing import plots
from khive_workers.desk.views import choices
from khive_workers.desk.views.wishes import STATUS, Page, Query, Reply, Wish, told
from khive_workers.desk.views.wording import counted

#: Tasks of a page; days of the learning curve, and attempts that are shown.
TASKS, DAYS, ATTEMPTS = 50, 30, 20
#: States in which a task can be taken back, and those in which it can be queued again.
OPEN, OVER = ("queued", "leased", "waiting"), ("failed", "dead", "cancelled")


def wishes(query: Query) -> Sequence[Wish]:
    """Return what is asked for; a task and a reload's plan only if they are to be seen."""
    args = {name: query[name] for name in ("role", "state", "task_type", "before") if name in query}
    asked = [
        STATUS,
        Wish("agents.roles"),
        Wish("agents.tasks", {**args, "limit": TASKS}),
        Wish("agents.budget"),
    ]
    asked.append(Wish("agents.task", {"task": query["task"]}) if "task" in query else Wish(""))
    plan = Wish("reload", {"dry_run": True}, supervisor=True)
    asked.append(plan if "plan" in query else Wish(""))
    which = {name: query[name] for name in ("role", "task_type") if name in query}
    asked.append(Wish("history.curve", {**which, "scope": "all", "days": DAYS}))
    asked.append(Wish("history.list", {**which, "scope": "all", "limit": ATTEMPTS}))
    return asked


def page(replies: Sequence[Reply], query: Query, now: float) -> Page:
    """Return what the template shows."""
    status, roles, tasks, budget, task, plan, curve, attempts = replies
    seen = status if isinstance(status, dict) else {}
    found = told(tasks, "tasks")
    why = task.get("why") if isinstance(task, dict) else None
    return {
        "query": query,
        "roles": _joined(seen.get("roles", []), told(roles, "roles"), told(budget, "roles")),
        "unserved": seen.get("unserved", {}),
        "reloaded": seen.get("reload", {}),
        "tasks": found,
        "older": found[-1]["task"] if len(found) == TASKS else "",
        "task": task if isinstance(task, dict) else {},
        "choices": choices.choices(why),
        "why": choices.others(why),
        "plan": plan if isinstance(plan, dict) else {},
        "days": told(curve, "days"),
        "course": plots.course(_shares(told(curve, "days"))),
        "costs": plots.bars(_costs(told(curve, "days"))),
        "together": curve.get("together") if isinstance(curve, dict) else None,
        "attempts": told(attempts, "executions"),
        "open": OPEN,
        "over": OVER,
        "now": now,
    }


def _shares(days: Sequence[JsonObject]) -> list[tuple[str, float, float, float]]:
    """Return each day's success and its interval, the oldest first."""
    ordered = sorted(days, key=lambda one: str(one["day"]))
    found = [(str(one["day"]), one["success"]) for one in ordered]
    return [(day, success["mean"], *success["interval"]) for day, success in found]


def _costs(days: Sequence[JsonObject]) -> Mapping[str, float]:
    """Return what each day has cost in dollars, the oldest first; empty if it cost nothing."""
    ordered = sorted(days, key=lambda one: str(one["day"]))
    costs = {str(one["day"]): one["cost"]["mean"] * one["executions"] for one in ordered}
    return costs if any(costs.values()) else {}


def _joined(
    pools: Sequence[JsonObject], known: Sequence[JsonObject], budgets: Sequence[JsonObject]
) -> list[dict[str, Any]]:
    """Return each role with its workers, its record and its budget."""
    records, accounts = _by_role(known), _by_role(budgets)
    return [
        {
            **pool,
            "records": [_record(one) for one in records.get(pool["role"], {}).get("records", [])],
            "account": accounts.get(pool["role"], {}),
            **_drain(pool.get("leased", 0), pool.get("queued", 0)),
        }
        for pool in pools
    ]


def _drain(leased: int, queued: int) -> dict[str, str]:
    """Return what draining and resuming a role will do, in words."""
    ends = f"finishes {counted(leased, 'task')} at work and " if leased else ""
    waits = f"; {counted(queued, 'task')} {'waits' if queued == 1 else 'wait'} until it is resumed"
    drained = f"Drained, it {ends}takes no more{waits if queued else ''}."
    begun = f"Resumed, it begins with {counted(queued, 'task')} that waited." if queued else ""
    return {"drained": drained, "resumed": begun or "Resumed, it takes tasks again; none waits."}


def _by_role(rows: Sequence[JsonObject]) -> Mapping[str, JsonObject]:
    return {str(one["role"]): one for one in rows}


def _record(one: JsonObject) -> JsonObject:
    """Return a role's record at a type of task, with the plot of what it is worth, if anything."""
    if not one["executions"]:
        return {**one, "plot": None}
    return {**one, "plot": plots.beta(one["success"], one["executions"] + 2.0, one["interval"])}
