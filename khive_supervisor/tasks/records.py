"""What is believed of a role from how it did: recent days count more, and little is not much.

An execution counts half after a week, a quarter after two, and so on without a step. What another
handler (or the same one with other settings) did counts a quarter of that. A success that was
rated counts as much as its rating, and the rest of it against the role.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from khive_supervisor.profiles.posterior import UNKNOWN, Beta
from khive_supervisor.tasks.model import Record

#: Days after which an execution counts half.
HALF_LIFE = 7.0
#: What an execution of another handler counts.
OTHER_DIGEST = 0.25
#: How many executions the prior of a task type is worth.
PRIOR_STRENGTH = 2.0
#: Days that "recent" means, today included.
RECENT_DAYS = 7

DAY = 86_400


@dataclass(frozen=True, slots=True)
class Evidence:
    """Executions, each counted with a weight: for the role, against it."""

    good: float
    bad: float


@dataclass(frozen=True, slots=True)
class Summary:
    """How a role did at one type of task, for people; None where nothing is known.

    `expertise` is what a selection believes; the rest is plain counting.
    """

    task_type: str
    expertise: Beta
    executions: int
    successes: int
    recent: float | None
    quality: float | None
    latency: float | None


def named_here(worker: str, node: str) -> str:
    """Return a worker's name as other nodes of a team see it; its own without a team."""
    return f"{worker}@{node}" if node else worker


def node_of(worker: str) -> str:
    """Return the node of a worker's name, with or without the process behind it; empty: none."""
    return worker.rpartition("@")[2].partition(":")[0] if "@" in worker else ""


def day_of(wall: float) -> int:
    """The day of a time in unix seconds."""
    return int(wall // DAY)


def weight(record: Record, digest: str, today: int) -> float:
    """What one execution of a record counts today; one of the future counts as today's."""
    return recency(record.day, record.digest, digest, today)


def recency(day: int, by: str, digest: str, today: int) -> float:
    """What an execution of a day, by the handler `by`, counts today for the handler `digest`."""
    counts: float = 2.0 ** (-max(0, today - day) / HALF_LIFE)
    return counts if by == digest else counts * OTHER_DIGEST


def evidence(records: Iterable[Record], digest: str, today: int) -> Evidence:
    """All executions of some records, weighted."""
    good = bad = 0.0
    for record in records:
        counts = weight(record, digest, today)
        credit = record.successes - record.qualities + record.quality_sum
        good += counts * credit
        bad += counts * (record.executions - credit)
    return Evidence(max(good, 0.0), max(bad, 0.0))


def expertise(records: Iterable[Record], task_type: str, digest: str, today: int) -> Beta:
    """What is believed of a role at a type of task.

    It starts from how the role does at its other types, worth two executions; so a role of which
    little is known is believed to be average, and own experience soon outweighs that.
    """
    own: list[Record] = []
    others: list[Record] = []
    for record in records:
        (own if record.task_type == task_type else others).append(record)
    elsewhere = evidence(others, digest, today)
    mean = UNKNOWN.plus(elsewhere.good, elsewhere.bad).mean
    here = evidence(own, digest, today)
    return Beta(PRIOR_STRENGTH * mean + here.good, PRIOR_STRENGTH * (1.0 - mean) + here.bad)


def summary(records: Iterable[Record], task_type: str, digest: str, today: int) -> Summary:
    """What is known of a role at a type of task."""
    records = list(records)
    own = [record for record in records if record.task_type == task_type]
    recent = [record for record in own if today - record.day < RECENT_DAYS]
    return Summary(
        task_type,
        expertise(records, task_type, digest, today),
        sum(record.executions for record in own),
        sum(record.successes for record in own),
        _ratio(sum(r.successes for r in recent), sum(r.executions for r in recent)),
        _ratio(sum(r.quality_sum for r in own), sum(r.qualities for r in own)),
        _ratio(sum(r.latency_sum for r in own), sum(r.executions for r in own)),
    )


def _ratio(part: float, whole: int) -> float | None:
    return part / whole if whole else None
