"""Whether a task may be queued now: a state machine without a memory of its own; pure.

Whatever happens (a task ends, a time comes, somebody decides), the answer follows from how things
stand. So it does not matter in which order they happened, or how often anybody has asked.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from khive_supervisor.tasks.model import DONE as TASK_DONE
from khive_supervisor.tasks.model import ENDED
from khive_supervisor.workflows.model import (
    ASKED,
    CANCEL,
    EXPIRED,
    FAIL,
    HOLD,
    PLANNED,
    REFUSED,
)


@dataclass(frozen=True, slots=True)
class Before:
    """A task that must have ended before: its number, its state, and what its failure does."""

    task: int
    state: str
    policy: str = CANCEL

    @property
    def failed(self) -> bool:
        """Return True if it has ended in any other way than done."""
        return self.state in ENDED and self.state != TASK_DONE


@dataclass(frozen=True, slots=True)
class Situation:
    """How things stand for a task; `approval` is the state of the one it needs, None: none.

    `refused` is what a refusal does, and `note` what was said with the decision.
    """

    before: tuple[Before, ...] = ()
    start_at: float | None = None
    approval: str | None = None
    refused: str = CANCEL
    note: str = ""


class Next(StrEnum):
    """What is to be done with a task that waits."""

    QUEUE = "queue"
    WAIT = "wait"
    ASK = "ask"
    HOLD = "hold"
    CANCEL = "cancel"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Readiness:
    """What is to be done, and why if the task ends by it or is held."""

    next: Next
    why: str = ""


def verdict(found: Situation, now: float) -> Readiness:
    """Return what is to be done with a task that waits, at `now` (unix seconds).

    What ends it comes first, also while other tasks that it waits for are at work. Nobody is asked
    for an approval before the tasks are through, so that whoever decides sees what they found.
    """
    failed = [one for one in found.before if one.failed]
    if fatal := [one for one in failed if one.policy == CANCEL]:
        return Readiness(Next.CANCEL, told(fatal))
    if found.approval in (REFUSED, EXPIRED):
        outcome = Next.FAIL if found.refused == FAIL else Next.CANCEL
        why = f": {found.note}" if found.note else ""
        return Readiness(outcome, f"its approval was {found.approval}{why}")
    if held := [one for one in failed if one.policy == HOLD]:
        return Readiness(Next.HOLD, told(held))
    if any(one.state not in ENDED for one in found.before) or found.approval == ASKED:
        return Readiness(Next.WAIT)
    if found.approval == PLANNED:
        return Readiness(Next.ASK)
    early = found.start_at is not None and now < found.start_at
    return Readiness(Next.WAIT if early else Next.QUEUE)


def told(before: Collection[Before]) -> str:
    """Return how tasks ended, in words: "t3 failed, t4 cancelled"."""
    return ", ".join(f"t{one.task} {one.state}" for one in before)


def outcome_of(parts: Collection[Before]) -> Readiness:
    """Return what becomes of a step that has fanned out, by its parts: QUEUE means that it is done.

    What the others found is not thrown away when one fails: they go on, and a retry repeats that
    one alone.
    """
    if any(one.state not in ENDED for one in parts):
        return Readiness(Next.WAIT)
    failed = [one for one in parts if one.failed]
    return Readiness(Next.FAIL, told(failed)) if failed else Readiness(Next.QUEUE)
