"""The steps of a reload, as a table of states and a pure function of what happened.

One reload is at work at a time. A request that comes meanwhile waits, and only the newest of those
that wait counts: it reads the file as it is then, so the older ones are answered by it, too.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, replace

from khive_supervisor.supervision.roles.events import UNDONE, RoleOutcome


class ReloadPhase(enum.Enum):
    """What the coordinator of reloads is doing, or how the last one ended."""

    IDLE = "idle"
    PARSING = "parsing"
    STAGING = "staging"
    SWITCHING = "switching"
    DRAINING = "draining"
    WATCHING = "watching"
    ROLLED_BACK = "rolled_back"
    DONE = "done"
    FAILED = "failed"


class ReloadEvent(enum.Enum):
    """What happens to a reload."""

    ASKED = "asked"
    VALID = "valid"
    UNCHANGED = "unchanged"
    STAGED = "staged"
    SWITCHED = "switched"
    DRAINED = "drained"
    KEPT = "kept"
    REVERTED = "reverted"
    BROKEN = "broken"


#: Phases in which nothing is at work.
RESTING = frozenset(
    {ReloadPhase.IDLE, ReloadPhase.ROLLED_BACK, ReloadPhase.DONE, ReloadPhase.FAILED}
)

#: Every step there is; anything else is a bug and fails loudly.
STEPS: Mapping[tuple[ReloadPhase, ReloadEvent], ReloadPhase] = {
    **{(rest, ReloadEvent.ASKED): ReloadPhase.PARSING for rest in RESTING},
    # The first tasks came after the reload had ended, and failed.
    **{(rest, ReloadEvent.REVERTED): ReloadPhase.ROLLED_BACK for rest in RESTING},
    (ReloadPhase.PARSING, ReloadEvent.UNCHANGED): ReloadPhase.DONE,
    (ReloadPhase.PARSING, ReloadEvent.VALID): ReloadPhase.STAGING,
    (ReloadPhase.PARSING, ReloadEvent.BROKEN): ReloadPhase.FAILED,  # nothing was changed
    (ReloadPhase.STAGING, ReloadEvent.STAGED): ReloadPhase.SWITCHING,
    (
        ReloadPhase.STAGING,
        ReloadEvent.REVERTED,
    ): ReloadPhase.ROLLED_BACK,  # no new worker became ready
    (ReloadPhase.STAGING, ReloadEvent.BROKEN): ReloadPhase.FAILED,
    (ReloadPhase.SWITCHING, ReloadEvent.SWITCHED): ReloadPhase.DRAINING,
    (ReloadPhase.SWITCHING, ReloadEvent.REVERTED): ReloadPhase.ROLLED_BACK,
    (ReloadPhase.SWITCHING, ReloadEvent.BROKEN): ReloadPhase.FAILED,
    (ReloadPhase.DRAINING, ReloadEvent.DRAINED): ReloadPhase.WATCHING,
    (ReloadPhase.DRAINING, ReloadEvent.REVERTED): ReloadPhase.ROLLED_BACK,
    (ReloadPhase.DRAINING, ReloadEvent.BROKEN): ReloadPhase.FAILED,
    (ReloadPhase.WATCHING, ReloadEvent.KEPT): ReloadPhase.DONE,
    (ReloadPhase.WATCHING, ReloadEvent.REVERTED): ReloadPhase.ROLLED_BACK,  # the first tasks failed
    (ReloadPhase.WATCHING, ReloadEvent.BROKEN): ReloadPhase.FAILED,
}


@dataclass(frozen=True, slots=True)
class Coordinator:
    """Where reloads stand.

    Attributes:
        phase: of the reload at work, or the end of the last one.
        current: the number of the request at work, or last at work; 0 before the first.
        waiting: the newest request that waits for the one at work; 0 for none.
        asked: requests so far.
        generation: of the configuration in force; 1 is the one of the start.
        digest: of the configuration in force.
    """

    phase: ReloadPhase = ReloadPhase.IDLE
    current: int = 0
    waiting: int = 0
    asked: int = 0
    generation: int = 1
    digest: str = ""

    @property
    def busy(self) -> bool:
        """Return whether a reload is at work."""
        return self.phase not in RESTING


def after(now: Coordinator, event: ReloadEvent, *, digest: str = "") -> Coordinator:
    """Return what follows an event; an impossible one raises AssertionError.

    Args:
        now: where reloads stand.
        event: what happened.
        digest: with VALID, of the configuration that was found to be valid; one that is in force
            already makes the event UNCHANGED. With REVERTED, of what is in force after it.
    """
    if event is ReloadEvent.ASKED:
        return _asked(now)
    if event is ReloadEvent.VALID and digest == now.digest:
        event = ReloadEvent.UNCHANGED
    step = (now.phase, event)
    assert step in STEPS, f"impossible reload step {now.phase.value}: {event.value}"
    moved = replace(now, phase=STEPS[step])
    if event is ReloadEvent.VALID:
        return replace(moved, generation=now.generation + 1, digest=digest)
    if event is ReloadEvent.REVERTED:
        return replace(moved, digest=digest or now.digest)
    return moved


def next_request(now: Coordinator) -> Coordinator:
    """Begin with the request that waits, if nothing is at work."""
    if now.busy or not now.waiting:
        return now
    return replace(now, phase=ReloadPhase.PARSING, current=now.waiting, waiting=0)


def _asked(now: Coordinator) -> Coordinator:
    number = now.asked + 1
    if now.busy:
        return replace(now, asked=number, waiting=number)
    phase = STEPS[now.phase, ReloadEvent.ASKED]
    return replace(now, phase=phase, asked=number, current=number, waiting=0)


def ending(outcomes: Mapping[str, RoleOutcome]) -> ReloadEvent:
    """Return how a reload ends, by what became of the roles."""
    return ReloadEvent.KEPT if UNDONE.isdisjoint(outcomes.values()) else ReloadEvent.REVERTED
