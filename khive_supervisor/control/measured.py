"""How long things took in this process, in fixed buckets; told to the supervisor with other counts.

Counts are plain numbers under flat names, so that the supervisor adds up those of all workers
without knowing what they are: `call|memory.recall,mcp|3` is how many calls fell into bucket 3,
`call|memory.recall,mcp|us` how many microseconds all took, `error|not_found` how many errors there
were. One for a process, since what is measured lies far apart in it. Threads may lose a count to
each other; none is ever taken back.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass

#: Upper bounds of buckets in seconds; one more is for whatever takes longer.
BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0)
#: The same of tasks, which wait and take as long as people's work.
TASK_BOUNDS = (0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 1800.0, 3600.0, 10800.0, 43200.0)
#: Names that a process counts under; what is new beyond that is not counted.
MOST_NAMES = 1500
#: What is measured: a verb's call on a surface, an arm of a search, a query's vector, a
#: transaction, and the wait for the store's lock before it; a client's attach, a hook's event, a
#: phase of a reload; a role's tasks until they are begun, and from then on.
CALL, ARM, EMBEDDING, WRITE, LOCK_WAIT, ERROR = (
    "call", "arm", "embedding", "write", "lock_wait", "error",
)  # fmt: skip
ATTACH, HOOK, RELOAD_PHASE, TASK_WAIT, TASK_RUN = (
    "attach", "hook", "reload_phase", "task_wait", "task_run",
)  # fmt: skip
_SUM = "us"

_counts: dict[str, int] = {}


def bounds_of(what: str) -> tuple[float, ...]:
    """Return the upper bounds of the buckets of something that is measured."""
    return TASK_BOUNDS if what in (TASK_WAIT, TASK_RUN) else BOUNDS


def took(what: str, labels: str, began: float) -> None:
    """Count what has taken from `began` (of time.perf_counter) until now."""
    observe(what, labels, time.perf_counter() - began)


def observe(what: str, labels: str, seconds: float) -> None:
    """Count something that took so many seconds; labels are joined by commas."""
    _add(f"{what}|{labels}|{bisect_left(bounds_of(what), seconds)}", 1)
    _add(f"{what}|{labels}|{_SUM}", max(0, int(seconds * 1e6)))


def failed(code: str) -> None:
    """Count an error by its code."""
    _add(f"{ERROR}|{code}", 1)


def _add(name: str, more: int) -> None:
    if name in _counts or len(_counts) < MOST_NAMES:
        _counts[name] = _counts.get(name, 0) + more


def counts() -> dict[str, int]:
    """Return all counts by their flat names."""
    return dict(_counts)


def clear() -> None:
    """Begin anew: what a process that forks has counted is not its children's."""
    _counts.clear()


@dataclass(frozen=True, slots=True)
class Durations:
    """How often something took how long.

    Attributes:
        buckets: counts by bucket, one more than there are bounds; not cumulative.
        seconds: the sum of all.
    """

    buckets: tuple[int, ...]
    seconds: float


def durations(counts: Mapping[str, int], what: str) -> dict[tuple[str, ...], Durations]:
    """Return what was measured of something, by its labels; foreign names are passed over."""
    most = len(bounds_of(what))
    found: dict[str, list[int]] = {}
    sums: dict[str, int] = {}
    for name, count in counts.items():
        kind, _, rest = name.partition("|")
        labels, _, bucket = rest.rpartition("|")
        if kind != what:
            continue
        if bucket == _SUM:
            sums[labels] = count
        elif bucket.isdecimal() and int(bucket) <= most:
            found.setdefault(labels, [0] * (most + 1))[int(bucket)] += count
    return {
        tuple(labels.split(",")): Durations(tuple(buckets), sums.get(labels, 0) / 1e6)
        for labels, buckets in found.items()
    }


def calls(counts: Mapping[str, int]) -> int:
    """Return how many calls there were."""
    return sum(sum(one.buckets) for one in durations(counts, CALL).values())


def errors(counts: Mapping[str, int]) -> dict[str, int]:
    """Return how many errors there were, by their codes."""
    start = f"{ERROR}|"
    return {name.removeprefix(start): n for name, n in counts.items() if name.startswith(start)}
