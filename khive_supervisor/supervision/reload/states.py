"""The steps of a reload, as a table of states and a pure function of what happened.

One reload is at work at a time.
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

    BEGUN = "begun"
    VALID = "valid"
    UNCHANGED = "unchanged"
    STAGED = "staged"
    SWITCHED = "switched"
    DRAINED = "drained"
    KEPT = "kept"
    REVERTED = "reverted"
    BROKEN = "broken"


#: Phases in which nothing is at work, and in which a valid configuration is being applied.
RESTING = frozenset(
    {ReloadPhase.IDLE, ReloadPhase.ROLLED_BACK, ReloadPhase.DONE, ReloadPhase.FAILED}
)
APPLYING = frozenset(ReloadPhase) - RESTING - {ReloadPhase.PARSING}

#: Every step there is; anything else is a bug and fails loudly.
STEPS: Mapping[tuple[ReloadPhase, ReloadEvent], ReloadPhase] = {
    **{(rest, ReloadEvent.BEGUN): ReloadPhase.PARSING for rest in RESTING},
    (ReloadPhase.PARSING, ReloadEvent.UNCHANGED): ReloadPhase.DONE,
    (ReloadPhase.PARSING, ReloadEvent.VALID): ReloadPhase.STAGING,
    (ReloadPhase.PARSING, ReloadEvent.BROKEN): ReloadPhase.FAILED,  # nothing was changed
    (ReloadPhase.STAGING, ReloadEvent.STAGED): ReloadPhase.SWITCHING,
    (ReloadPhase.SWITCHING, ReloadEvent.SWITCHED): ReloadPhase.DRAINING,
    (ReloadPhase.DRAINING, ReloadEvent.DRAINED): ReloadPhase.WATCHING,
    (ReloadPhase.WATCHING, ReloadEvent.KEPT): ReloadPhase.DONE,
    **{(phase, ReloadEvent.BROKEN): ReloadPhase.FAILED for phase in APPLYING},
    # No new worker became ready, or the first tasks failed: in a reload, or after its end.
    **{(phase, ReloadEvent.REVERTED): ReloadPhase.ROLLED_BACK for phase in APPLYING | RESTING},
}


@dataclass(frozen=True, slots=True)
class Coordinator:
    """Where reloads stand.

    Attributes:
        phase: of the reload at work, or the end of the last one.
        generation: of the configuration in force; 1 is the one of the start.
        digest: of the configuration in force.
    """

    phase: ReloadPhase = ReloadPhase.IDLE
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


def ending(outcomes: Mapping[str, RoleOutcome]) -> ReloadEvent:
    """Return how a reload ends, by what became of the roles."""
    return ReloadEvent.KEPT if UNDONE.isdisjoint(outcomes.values()) else ReloadEvent.REVERTED
