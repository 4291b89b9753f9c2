"""The history pack's verbs: executions that are like a task, listed, summed up and followed."""

from __future__ import annotations

import datetime as dt
import math

from khive_supervisor.access.grant import Audience
from khive_supervisor.budgets.amounts import MICRO
from khive_supervisor.history import curve
from khive_supervisor.history.curve import CurvePoint, Estimate
from khive_supervisor.history.model import COLLECTION, ExecutionFilter
from khive_supervisor.packs.agents import task_forms
from khive_supervisor.packs.history.lineage import lineage
from khive_supervisor.packs.history.shown import show_all
from khive_supervisor.packs.history.similar import similar
from khive_supervisor.tasks.model import OUTCOMES
from khive_supervisor.tasks.records import DAY
from khive_supervisor.text.plain_json import JsonObject
from khive_supervisor.verbs import answers, forms, schema
from khive_supervisor.verbs.context import Context
from khive_supervisor.verbs.registry import Answer, Arguments, Pack, Verb

#: Executions that are listed, by default and at most; days of a curve.
LISTED, LISTED_MAX, DAYS, DAYS_MAX = 20, 200, 30, 366


def listed(context: Context, args: Arguments) -> Answer:
    """Return the newest executions, newest first."""
    limit = args.get("limit", LISTED)
    where = forms.entry_filter(context, args, COLLECTION)
    found = context.store.executions.page(where, _which(args), limit)
    answer: dict[str, object] = {"executions": show_all(context, found, args)}
    if len(found) == limit:
        last = forms.show_id(COLLECTION, found[-1].entry)
        answer["next"] = f"Older ones: the same call with before={last}."
    return answer


def _which(args: Arguments) -> ExecutionFilter:
    before = forms.entry_id(args["before"]) if "before" in args else None
    return ExecutionFilter(args.get("role"), args.get("task_type"), args.get("outcome"), before)


def learning_curve(context: Context, args: Arguments) -> Answer:
    """Return how success, cost and time went, a day each, and over all of these days."""
    where = forms.entry_filter(context, args, COLLECTION)
    days = context.store.executions.days(where, _which(args), args.get("days", DAYS))
    whole = curve.total(days)
    return {
        "days": [{"day": _date(one.day), **_point(one)} for one in curve.points(days)],
        **({} if whole is None else {"together": _point(whole)}),
    }


def _date(day: int) -> str:
    return dt.datetime.fromtimestamp(day * DAY, dt.UTC).date().isoformat()


def _point(one: CurvePoint) -> Answer:
    return {
        "executions": one.executions,
        "success": _estimate(one.success, 4),
        "cost": _estimate(one.cost, 6, MICRO),
        "seconds": _estimate(one.seconds, 3),
    }


def _estimate(one: Estimate, digits: int, unit: float = 1.0) -> Answer:
    """Return a mean and its interval; one that has no end above says none."""
    high = None if math.isinf(one.high) else round(one.high / unit, digits)
    return {
        "mean": round(one.mean / unit, digits),
        "interval": [round(one.low / unit, digits), high],
    }


_WHICH: JsonObject = {
    "role": {**task_forms.ROLE, "description": "Only this role's."},
    "task_type": {**task_forms.TYPE, "description": "Only of this type."},
    "namespace": forms.FILTERS["namespace"],
    "since": forms.FILTERS["since"],
    "until": forms.FILTERS["until"],
    "scope": forms.FILTERS["scope"],
}
_OUTCOME = {"outcome": schema.text("Only those that ended so.", choices=OUTCOMES)}

PACK = Pack(
    "history",
    "What roles have tried, how it ended, and what led to it.",
    (
        Verb(
            "history.similar",
            "Find what was tried on tasks like one, and how it ended.",
            similar,
            {
                "query": schema.text("The task, in its words, or those of an error."),
                **_WHICH,
                **_OUTCOME,
                "limit": forms.LIMIT,
                "floor": answers.FLOOR,
            },
            ("query",),
            description="Call it before a task is given or begun: it shows who has done the like "
            "of it, whether that worked, and the error if not.",
            read_only=True,
            audience=Audience.AGENT,
        ),
        Verb(
            "history.list",
            "List executions, newest first: attempts at tasks that have ended.",
            listed,
            {
                **_WHICH,
                **_OUTCOME,
                "limit": schema.whole(
                    f"How many at most ({LISTED}).", least=1, most=LISTED_MAX
                ),
                "before": {**forms.ID, "description": "Only those older than this one."},
            },
            read_only=True,
            audience=Audience.AGENT,
        ),
        Verb(
            "history.curve",
            "Show how success, cost and time of executions went from day to day.",
            learning_curve,
            {
                **_WHICH,
                "days": schema.whole(
                    f"Days on which anything ended ({DAYS}), the newest ones.",
                    least=1,
                    most=DAYS_MAX,
                ),
            },
            description="Each with a 95 % interval. Cancelled executions do not count.",
            read_only=True,
            audience=Audience.AGENT,
        ),
        Verb(
            "history.lineage",
            "Show what led to a task, and what it has led to.",
            lineage,
            {"task": schema.text("A task such as t12, or an execution such as e3.")},
            ("task",),
            description="Attempts, what they retry, what caused them, what they follow and what "
            "they produced.",
            read_only=True,
            audience=Audience.AGENT,
        ),
    ),
)  # fmt: skip
