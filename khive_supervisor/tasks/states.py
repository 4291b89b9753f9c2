"""Which state of a task may follow which, and what a failed attempt leads to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from khive_supervisor.tasks.lease import Moment
from khive_supervisor.tasks.model import (
    CANCELLED,
    DEAD,
    DONE,
    FAILED,
    LEASED,
    QUEUED,
    WAITING,
    Outcome,
)

#: Every way that there is.
TRANSITIONS: Mapping[str, frozenset[str]] = {
    # Done without having been claimed: it has fanned out, and its parts are done.
    WAITING: frozenset({QUEUED, CANCELLED, FAILED, DONE}),
    QUEUED: frozenset({LEASED, CANCELLED, FAILED}),  # failed: its deadline passed
    LEASED: frozenset({DONE, FAILED, CANCELLED, DEAD, QUEUED}),
    DONE: frozenset(),
    FAILED: frozenset({QUEUED, WAITING}),
    CANCELLED: frozenset({QUEUED, WAITING}),
    DEAD: frozenset({QUEUED, WAITING}),
}
#: What `retry` takes back.
RETRIABLE = tuple(state for state, to in TRANSITIONS.items() if to == {QUEUED, WAITING})
#: Seconds before a failed task is tried again; doubled with each attempt up to the second number.
BACKOFF, BACKOFF_MAX = 1.0, 60.0


@dataclass(frozen=True, slots=True)
class After:
    """What a task becomes; `not_before` if it is queued and is to wait.

    `returned`: nobody could make the attempt, so that it does not count as one.
    """

    state: str
    not_before: Moment | None = None
    returned: bool = False


def backoff(attempts: int) -> float:
    """Seconds to wait after that many attempts have failed."""
    return float(min(BACKOFF_MAX, BACKOFF * 2.0 ** min(attempts - 1, 30)))


def after_failure(attempts: int, attempts_max: int, now: Moment) -> After:
    """What a failed attempt leads to: another one a little later, or the end."""
    if attempts >= attempts_max:
        return After(FAILED)
    return After(QUEUED, now.after(backoff(attempts)))


def after_outcome(
    outcome: Outcome, attempts: int, attempts_max: int, now: Moment, *, cancel_asked: bool
) -> After:
    """What an accepted outcome leads to.

    A failure of a task that was to be stopped is the stop, whatever it looked like to the handler.
    An attempt that its candidate could not begin goes back to the queue, and counts as none.
    """
    if outcome.state == FAILED and not cancel_asked:
        if outcome.unavailable is not None and not outcome.unavailable.begun:
            return After(QUEUED, returned=True)
        return After(FAILED) if outcome.final else after_failure(attempts, attempts_max, now)
    return After(DONE if outcome.state == DONE else CANCELLED)


def after_release(attempts: int, attempts_max: int, *, died: bool, cancel_asked: bool) -> After:
    """What the end of a lease without an outcome leads to.

    Not `died`: the worker was stopped, which says nothing about the task.
    """
    if cancel_asked:
        return After(CANCELLED)
    if died and attempts >= attempts_max:
        return After(DEAD)
    return After(QUEUED)
