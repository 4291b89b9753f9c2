"""The view of profiles: what each has learned, whom it serves, and what it learned from. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from khive_supervisor.text.plain_json import JsonObject
from khive_workers.desk.drawing import plots
from khive_workers.desk.views.wishes import Page, Query, Reply, Wish, told

#: Targets that are shown, and days of feedback.
TARGETS, DAYS = 20, 30
#: The profile that serves whatever no binding names.
USUAL = "balanced-recall-v1"
_FEEDBACK = {"since": f"{DAYS}d", "feedback": True}


def wishes(query: Query) -> Sequence[Wish]:
    """Return what is asked for."""
    name = query.get("name", USUAL)
    return (
        Wish("brain.profiles"),
        Wish("brain.profile", {"name": name, "targets": TARGETS}),
        Wish("brain.bindings"),
        Wish("brain.event_counts", {**_FEEDBACK, "group": "day"}),
        Wish("brain.event_counts", {**_FEEDBACK, "group": "signal"}),
    )


def page(replies: Sequence[Reply], query: Query, now: float) -> Page:
    """Return what the template shows."""
    profiles, one, bindings, days, signals = replies
    counts = _counts(days, "day")
    chosen = one if isinstance(one, dict) else {}
    return {
        "query": query,
        "profiles": told(profiles, "profiles"),
        "chosen": chosen,
        "weights": _plotted(chosen.get("weights", {})),
        "targets": [{**target, "plot": _plot(target)} for target in chosen.get("targets", [])],
        "bindings": told(bindings, "bindings"),
        "days": plots.bars(plots.by_day(counts, now, DAYS)) if counts else [],
        "signals": _counts(signals, "signal"),
        "span": DAYS,
        "now": now,
    }


def _plotted(weights: Mapping[str, JsonObject]) -> list[tuple[str, JsonObject, plots.BetaPlot]]:
    return [(name, weight, _plot(weight)) for name, weight in weights.items()]


def _plot(known: JsonObject) -> plots.BetaPlot:
    return plots.beta(known["mean"], known["ess"], known["interval_90"])


def _counts(reply: Reply, by: str) -> dict[str, float]:
    return {str(one.get(by) or "(none)"): float(one["events"]) for one in told(reply, "counts")}
