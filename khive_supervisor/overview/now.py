"""The view of what runs now: whose turn it is, what is at work, and whether all is well. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from khive_supervisor.overview.asked import STATUS, Page, Query, Reply, Wish, told
from khive_supervisor.text.plain_json import JsonObject

#: States of a session in the order in which somebody wants to see them, and how they are told.
STATES: Mapping[str, str] = {
    "waiting": "waits for you",
    "working": "working",
    "idle": "idle",
    "ended": "ended",
}
#: Tasks that are shown, and lines of the log of each at work.
TASKS, LOG_LINES = 15, 4


def wishes(_query: Query) -> Sequence[Wish]:
    """Return what is asked for."""
    return (
        STATUS,
        Wish("sessions.list", {"limit": 200}),
        Wish("agents.tasks", {"state": "leased", "limit": TASKS, "log_lines": LOG_LINES}),
        Wish("agents.tasks", {"limit": 60}),
        Wish("agents.budget"),
        Wish("review.list", {"scope": "all", "limit": 100}),
        Wish("workflow.approvals"),
    )


def page(replies: Sequence[Reply], _query: Query, now: float) -> Page:
    """Return what the template shows."""
    status, sessions, at_work, tasks, budget, review, approvals = replies
    seen = status if isinstance(status, dict) else {}
    shown = [_session(one) for one in told(sessions, "sessions")]
    shown.sort(key=_urgency)
    live = [one for one in shown if one["state"] != "ended"]
    return {
        "status": seen,
        "sessions": live,
        "ended": len(shown) - len(live),
        "attached": told(sessions, "without_hooks"),
        "counts": _counts(live),
        "roles": seen.get("roles", []),
        "tasks": _at_work([*told(at_work, "tasks"), *told(tasks, "tasks")]),
        "budgets": told(budget, "roles"),
        "children": _processes(seen),
        "candidates": len(told(review, "candidates")),
        "approvals": told(approvals, "approvals"),
        "now": now,
    }


def _session(one: JsonObject) -> JsonObject:
    return {**one, "words": STATES.get(str(one["state"]), str(one["state"]))}


def _urgency(one: Mapping[str, Any]) -> tuple[int, str]:
    """Return a key that sorts who waits first, and then who has waited for longest."""
    names = list(STATES)
    state = str(one["state"])
    return (names.index(state) if state in names else len(names), str(one["since"]))


def _counts(sessions: Sequence[JsonObject]) -> list[tuple[str, str, int]]:
    """Return how many sessions there are of each state: its name, its words, the number."""
    states = [str(one["state"]) for one in sessions]
    return [(name, words, states.count(name)) for name, words in STATES.items() if name != "ended"]


def _at_work(tasks: Sequence[JsonObject]) -> list[JsonObject]:
    """Return the tasks at work, then those that wait, then the last that ended; each once."""
    order = {"leased": 0, "queued": 1}
    once = {str(one["task"]): one for one in reversed(tasks)}
    newest = reversed(once.values())
    return sorted(newest, key=lambda one: order.get(str(one["state"]), 2))[:TASKS]


def _processes(status: JsonObject) -> list[JsonObject]:
    return [*status.get("children", [])]
