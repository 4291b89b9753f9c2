"""The life of one generation of a role's workers: states and transitions, nothing else."""

from __future__ import annotations

import enum


class GenerationState(enum.Enum):
    """What the workers of one generation are doing."""

    STAGING = "staging"
    WARMING = "warming"
    READY = "ready"
    ACTIVE = "active"
    DRAINING = "draining"
    RETIRED = "retired"
    FAILED = "failed"


#: Every transition there is; anything else is a bug and fails loudly.
TRANSITIONS: frozenset[tuple[GenerationState, GenerationState]] = frozenset(
    {
        (GenerationState.STAGING, GenerationState.WARMING),  # its processes run
        (GenerationState.STAGING, GenerationState.FAILED),  # they could not be started
        (GenerationState.STAGING, GenerationState.RETIRED),  # a newer one took its place before
        (GenerationState.WARMING, GenerationState.READY),  # they said so
        (GenerationState.WARMING, GenerationState.FAILED),  # they died, or took too long
        (GenerationState.WARMING, GenerationState.RETIRED),
        (GenerationState.READY, GenerationState.ACTIVE),  # tasks are routed to it
        (GenerationState.READY, GenerationState.FAILED),
        (GenerationState.READY, GenerationState.RETIRED),
        (
            GenerationState.ACTIVE,
            GenerationState.DRAINING,
        ),  # its successor has the route, or it is drained
        (
            GenerationState.ACTIVE,
            GenerationState.FAILED,
        ),  # its first tasks failed, or it crash-loops
        (
            GenerationState.DRAINING,
            GenerationState.ACTIVE,
        ),  # its successor failed: it has the route again
        (GenerationState.DRAINING, GenerationState.RETIRED),  # nothing is in flight any more
        (GenerationState.DRAINING, GenerationState.FAILED),  # killed at the deadline
    }
)
#: States that nothing follows.
FINAL = frozenset({GenerationState.RETIRED, GenerationState.FAILED})
#: States in which tasks may be in flight.
WORKING = frozenset({GenerationState.ACTIVE, GenerationState.DRAINING})


def change(old: GenerationState, new: GenerationState) -> GenerationState:
    """The one door for a transition; an impossible one raises AssertionError."""
    assert (old, new) in TRANSITIONS, f"impossible transition {old.value} -> {new.value}"
    return new
