"""The view of how it does: what is slow, stale, restarted or growing. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from khive_supervisor.control import measured
from khive_supervisor.text.plain_json import JsonObject
from khive_workers.desk.drawing import plots
from khive_workers.desk.views.wishes import (
    COUNTERS,
    DISK,
    STATUS,
    WAITING,
    Page,
    Query,
    Reply,
    Wish,
)

#: Counts of memory.stats by age that are younger than a week, as it names them.
_YOUNG = ("today", "this week")


class Growth(NamedTuple):
    """How the store grows: bytes a day, and in how many days its disk is full; None: not soon."""

    daily: float
    full_in: float | None


def wishes(_query: Query) -> Sequence[Wish]:
    """Return what is asked for."""
    return (STATUS, Wish("memory.stats", lasts=True), COUNTERS, DISK, WAITING)


def page(replies: Sequence[Reply], query: Query, now: float) -> Page:
    """Return what the template shows."""
    status, stats, counters, disk, waits = (one if isinstance(one, dict) else {} for one in replies)
    return {
        "query": query,
        "status": status,
        "team": _team(status.get("team")),
        "writes": waits.get("writes", []),
        "sizes": stats.get("bytes", {}),
        "entries": stats.get("entries", {}),
        "kinds": stats.get("by_kind", {}),
        "ages": plots.bars({k: float(n) for k, n in stats.get("by_age", {}).items()}),
        "growth": growth(stats, disk),
        "disk": disk,
        "counts": counters.get("workers", {}),
        "latencies": latencies(counters.get("workers", {})),
        "errors": measured.errors(counters.get("workers", {})),
        "reloads": counters.get("reloads", {}),
        "now": now,
    }


def _team(found: object) -> JsonObject:
    """Return how it stands with a team's server; nothing where the store is this machine's own."""
    team = found if isinstance(found, dict) else {}
    return {} if team.get("state", "off") == "off" else team


class Latency(NamedTuple):
    """How long something took: how often, its mean, and below what half and 99 % were, in ms.

    The latter two are bounds of buckets; None: longer than the last of them.
    """

    what: str
    times: int
    mean: float
    half: float | None
    most: float | None


#: What is measured, and how it is told; what it is of follows.
_TOLD = {
    measured.CALL: "Call",
    measured.ARM: "Search, arm",
    measured.EMBEDDING: "Vector of a query",
    measured.WRITE: "Write",
    measured.LOCK_WAIT: "Wait for the store's lock",
}


def latencies(counts: Mapping[str, int]) -> list[Latency]:
    """Return how long things took, of all workers that run: the usual ones first, calls last."""
    found = [
        _latency(f"{words} {' by '.join(filter(None, labels))}".strip(), one)
        for what, words in reversed(_TOLD.items())
        for labels, one in sorted(measured.durations(counts, what).items())
    ]
    return [one for one in found if one.times]


def _latency(what: str, found: measured.Durations) -> Latency:
    times = sum(found.buckets)
    mean = found.seconds / times * 1000 if times else 0.0
    return Latency(what, times, mean, _below(found, 0.5), _below(found, 0.99))


def _below(found: measured.Durations, share: float) -> float | None:
    """Return a bound in ms below which that share of all is."""
    wanted, seen = share * sum(found.buckets), 0
    for bound, count in zip(measured.BOUNDS, found.buckets, strict=False):
        seen += count
        if seen >= wanted:
            return bound * 1000
    return None


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
