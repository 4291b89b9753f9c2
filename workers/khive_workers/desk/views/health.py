"""The view of how it does: what is slow, stale, restarted or growing. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from khive_supervisor.text.plain_json import JsonObject
from khive_workers.desk.views import plots
from khive_workers.desk.views.wishes import COUNTERS, DISK, STATUS, Page, Query, Reply, Wish

#: Counts of memory.stats by age that are younger than a week, as it names them.
_YOUNG = ("today", "this week")


class Growth(NamedTuple):
    """How the store grows: bytes a day, and in how many days its disk is full; None: not soon."""

    daily: float
    full_in: float | None


def wishes(_query: Query) -> Sequence[Wish]:
    """Return what is asked for."""
    return (STATUS, Wish("memory.stats"), COUNTERS, DISK)


def page(replies: Sequence[Reply], query: Query, now: float) -> Page:
    """Return what the template shows."""
    status, stats, counters, disk = (one if isinstance(one, dict) else {} for one in replies)
    return {
        "query": query,
        "status": status,
        "sizes": stats.get("bytes", {}),
        "entries": stats.get("entries", {}),
        "kinds": stats.get("by_kind", {}),
        "ages": plots.bars({k: float(n) for k, n in stats.get("by_age", {}).items()}),
        "growth": growth(stats, disk),
        "disk": disk,
        "counts": counters.get("workers", {}),
        "reloads": counters.get("reloads", {}),
        "now": now,
    }


def growth(stats: JsonObject, disk: Mapping[str, float]) -> Growth | None:
    """Return how the store grows, by what came within a week; None while little is known."""
    total = sum(stats.get("entries", {}).values())
    young = sum(n for age, n in stats.get("by_age", {}).items() if age in _YOUNG)
    sizes = stats.get("bytes", {})
    if not total or not young:
        return None
    each = (sizes.get("store", 0) + sizes.get("index", 0)) / total
    daily = young / 7 * each
    days = disk.get("free", 0) / daily if daily and disk else None
    return Growth(daily, days)
