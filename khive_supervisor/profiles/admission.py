"""Bounded mass: how much of what one source says about one thing counts, for now.

Each source has a mass for each target, which grows with what was counted and halves every week.
What would raise it above the cap is noted but does not count, so that nobody who repeats himself
outvotes the others.
"""

from __future__ import annotations

from dataclasses import dataclass

from khive_supervisor.profiles.signals import RECALL_MISS, Signal

#: Seconds in which a mass halves: what was said a week ago leaves half of its room.
HALF_LIFE = 7 * 86_400.0
#: All implicit feedback on a target together counts as one explicit `useful`, never more.
IMPLICIT_CAP = 1.0
#: What one session (or one actor) may say about one target: two clear words, or one correction.
EXPLICIT_CAP = 2.0
#: The least share of a weight that is worth counting: without it, one who repeats himself would
#: have every few seconds' decay counted, and every cached copy of the profile read again.
LEAST_SHARE = 0.01
#: The source of all implicit feedback together.
IMPLICIT = ""
#: In the place of a target, for what is about none.
NO_TARGET = 0


@dataclass(frozen=True, slots=True)
class MassAccount:
    """Where a signal's mass is kept, and how large it may be."""

    entry_id: int
    source: str
    cap: float


def account(signal: Signal, entry_id: int | None, session: str, actor: str) -> MassAccount:
    """The account of a signal: a session's, else an actor's; implicit feedback has one in common.

    A recall that missed is about no target: what a source says of that has one account, too.
    """
    if signal.implicit:
        return MassAccount(entry_id or NO_TARGET, IMPLICIT, IMPLICIT_CAP)
    target = NO_TARGET if signal.name == RECALL_MISS or entry_id is None else entry_id
    if session:
        return MassAccount(target, f"session:{session}", EXPLICIT_CAP)
    return MassAccount(target, f"actor:{actor}", EXPLICIT_CAP)


def decayed(mass: float, at: float, now: float) -> float:
    """What is left of a mass; a clock that was set back leaves all of it."""
    elapsed = max(0.0, now - at)
    return float(mass * 0.5 ** (elapsed / HALF_LIFE))


def admitted(mass: float, at: float, now: float, weight: float, cap: float) -> tuple[float, float]:
    """How much of a weight counts now, and the mass from now on."""
    left = decayed(mass, at, now)
    counted = min(weight, cap - left)
    if counted < LEAST_SHARE * weight:
        counted = 0.0
    return counted, left + counted
