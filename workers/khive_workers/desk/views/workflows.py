"""The view of workflows: what waits for an approval, runs and their graphs, schedules. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlencode

from khive_workers.desk.drawing import graphs
from khive_workers.desk.views.wishes import Page, Query, Reply, Wish, told

#: Runs of a page, and answered approvals that are shown.
RUNS, ANSWERED = 30, 10
#: States in which a run can be taken back, and those in which it can go on.
OPEN, OVER = ("running",), ("failed", "cancelled")


def wishes(query: Query) -> Sequence[Wish]:
    """Return what is asked for; one run only if it is to be seen."""
    which = {name: query[name] for name in ("state", "before") if name in query}
    return (
        Wish("workflow.approvals", {"all": True}),
        Wish("workflow.list", {**which, "limit": RUNS}),
        Wish("workflow.schedules"),
        Wish("workflow.show", {"run": query["run"]}) if "run" in query else Wish(""),
    )


def page(replies: Sequence[Reply], query: Query, now: float) -> Page:
    """Return what the template shows."""
    approvals, listed, schedules, run = replies
    asked = told(approvals, "approvals")
    runs = told(listed, "runs")
    steps = graphs.named(told(run, "tasks"))
    older = {**query, "before": str(runs[-1]["run"])} if len(runs) == RUNS else {}
    return {
        "query": query,
        "asked": [one for one in asked if one["state"] == "asked"],
        "answered": [one for one in asked if one["state"] != "asked"][:ANSWERED],
        "workflows": told(listed, "workflows"),
        "runs": runs,
        "older": "/workflows?" + urlencode(older) if older else "",
        "schedules": told(schedules, "schedules"),
        "run": run if isinstance(run, dict) else {},
        "steps": steps,
        "graph": graphs.graph(steps),
        "open": OPEN,
        "over": OVER,
        "now": now,
    }
