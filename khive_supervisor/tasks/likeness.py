"""What is believed of a role at a task from how it did at tasks like it; pure.

A type of task may hold different kinds of work. What a role did at tasks that are like this one
says more than what it did at others of the type: it is added with a weight, and the more of it
there is the less the record of the type counts. Where nothing is alike, that record stands.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from khive_supervisor.profiles.posterior import Beta
from khive_supervisor.tasks.records import recency

#: What an attempt at an equal task counts beside one of the type, and how many attempts at equal
#: tasks halve what the record of the type counts.
COUNTS, HALVED_BY = 2.0, 1.0
#: What is less like a task than this is not counted.
LEAST = 0.1


@dataclass(frozen=True, slots=True)
class AlikeAttempt:
    """An attempt at a task that is like the one to be given.

    `likeness` is 0 to 1; `success` 0 to 1, too: a success that was rated is what it was rated.
    `day` is in days since 1970, and `digest` names the handler that did it.
    """

    role: str
    digest: str
    day: int
    success: float
    likeness: float


@dataclass(frozen=True, slots=True)
class AlikeEvidence:
    """Attempts at tasks like one: how many, and what they count for a role and against it."""

    attempts: int = 0
    good: float = 0.0
    bad: float = 0.0

    @property
    def weight(self) -> float:
        """Return how many attempts at an equal task today they are worth."""
        return self.good + self.bad

    @property
    def success(self) -> float:
        """Return the share that succeeded, by what each counts; only where there is any."""
        return self.good / self.weight


#: Of a role that has done nothing like it.
NOTHING_ALIKE = AlikeEvidence()


def evidence(attempts: Iterable[AlikeAttempt], role: str, digest: str, today: int) -> AlikeEvidence:
    """Return what a role's attempts say; one counts less with each day, and by another handler."""
    found: Sequence[AlikeAttempt] = [
        one for one in attempts if one.role == role and one.likeness >= LEAST
    ]
    good = bad = 0.0
    for one in found:
        counts = min(one.likeness, 1.0) * recency(one.day, one.digest, digest, today)
        good += counts * one.success
        bad += counts * (1.0 - one.success)
    return AlikeEvidence(len(found), good, bad)


def weighed(by_type: Beta, alike: AlikeEvidence) -> Beta:
    """Return what is believed of a role at a task: as by its type where nothing is alike.

    Its mean lies between that of the type and the share of alike attempts that succeeded.
    """
    if alike.weight <= 0.0:
        return by_type
    kept = HALVED_BY / (HALVED_BY + alike.weight)
    return Beta(
        kept * by_type.alpha + COUNTS * alike.good, kept * by_type.beta + COUNTS * alike.bad
    )
