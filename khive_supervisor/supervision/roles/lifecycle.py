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


STAGING, WARMING, READY, ACTIVE, DRAINING, RETIRED, FAILED = GenerationState

#: Every transition there is; anything else is a bug and fails loudly.
TRANSITIONS = frozenset(
    {
        (STAGING, WARMING),  # its processes run
        (STAGING, FAILED),  # they could not be started
        (STAGING, RETIRED),  # a newer one took its place before
        (WARMING, READY),  # they said so
        (WARMING, FAILED),  # they died, or took too long
        (WARMING, RETIRED),
        (READY, ACTIVE),  # tasks are routed to it
        (READY, FAILED),
        (READY, RETIRED),
        (ACTIVE, DRAINING),  # its successor has the route, or it is drained
        (ACTIVE, FAILED),  # its first tasks failed, or it crash-loops
        (DRAINING, ACTIVE),  # its successor failed: it has the route again
        (DRAINING, RETIRED),  # nothing is in flight any more
        (DRAINING, FAILED),  # killed at the deadline
    }
)
#: States that nothing follows.
FINAL = frozenset({RETIRED, FAILED})


def change(old: GenerationState, new: GenerationState) -> GenerationState:
    """Return the new state; an impossible transition raises AssertionError."""
    assert (old, new) in TRANSITIONS, f"impossible transition {old.value} -> {new.value}"
    return new
