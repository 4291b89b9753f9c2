"""What is believed of a candidate, and what it costs, from how it did; pure.

What it did at the type of task counts in full, and less with each day. Where little is known, that
begins from what it did at other types, and from what the other candidates did at this one. These
count a quarter, as those of a role's other handlers do. A candidate that is configured otherwise
has another digest: it begins so, and what the old one learned is there when that comes back.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from khive_supervisor.profiles.posterior import UNKNOWN, Beta
from khive_supervisor.routing.model import CandidateRecord

#: Days after which an execution counts half.
HALF_LIFE = 7.0
#: Days after which one is not read any more: it counts less than a thousandth.
FORGOTTEN = 70
#: What an execution of another candidate counts, and how many executions the prior is worth.
OTHERS, PRIOR_STRENGTH = 0.25, 2.0
#: Millionths of a dollar in one.
_MICRO = 1_000_000


def belief(records: Sequence[CandidateRecord], digest: str, task_type: str, today: int) -> Beta:
    """Return what is believed of a candidate's success at a type of task."""
    own = [one for one in records if one.digest == digest]
    here = _evidence([one for one in own if one.task_type == task_type], today)
    elsewhere = _evidence([one for one in own if one.task_type != task_type], today)
    others = _evidence(
        [one for one in records if one.digest != digest and one.task_type == task_type], today
    )
    mean = UNKNOWN.plus(*(a + OTHERS * b for a, b in zip(elsewhere, others, strict=True))).mean
    return Beta(PRIOR_STRENGTH * mean + here[0], PRIOR_STRENGTH * (1.0 - mean) + here[1])


def _evidence(records: Iterable[CandidateRecord], today: int) -> tuple[float, float]:
    """Return executions for and against it; a success that was rated counts what it was rated."""
    good = bad = 0.0
    for record in records:
        counts = 2.0 ** (-max(0, today - record.day) / HALF_LIFE)
        credit = record.successes - record.qualities + record.quality_sum
        good += counts * credit
        bad += counts * (record.executions - credit)
    return max(good, 0.0), max(bad, 0.0)


def mean_cost(records: Iterable[CandidateRecord], digest: str, task_type: str) -> float | None:
    """Return what a task costs it on average, in dollars: at the type, else at all; None: unknown.

    A candidate that says nothing of costs is one whose tasks cost nothing.
    """
    own = [one for one in records if one.digest == digest and one.executions]
    found = [one for one in own if one.task_type == task_type] or own
    if not found:
        return None
    return sum(one.cost for one in found) / sum(one.executions for one in found) / _MICRO
