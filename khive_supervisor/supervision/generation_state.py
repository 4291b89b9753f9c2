"""The life of one generation of a role's workers: states and transitions, nothing else."""

from __future__ import annotations

import enum


class Generation(enum.Enum):
    """What the workers of one generation are doing."""

    STAGING = "staging"
    WARMING = "warming"
    READY = "ready"
    ACTIVE = "active"
    DRAINING = "draining"
    RETIRED = "retired"
    FAILED = "failed"


#: Every transition there is; anything else is a bug and fails loudly.
TRANSITIONS: frozenset[tuple[Generation, Generation]] = frozenset(
    {
        (Generation.STAGING, Generation.WARMING),  # its processes run
        (Generation.STAGING, Generation.FAILED),  # they could not be started
        (Generation.STAGING, Generation.RETIRED),  # a newer one took its place before
        (Generation.WARMING, Generation.READY),  # they said so
        (Generation.WARMING, Generation.FAILED),  # they died, or took too long
        (Generation.WARMING, Generation.RETIRED),
        (Generation.READY, Generation.ACTIVE),  # tasks are routed to it
        (Generation.READY, Generation.FAILED),
        (Generation.READY, Generation.RETIRED),
        (Generation.ACTIVE, Generation.DRAINING),  # its successor has the route, or it is drained
        (Generation.ACTIVE, Generation.FAILED),  # its first tasks failed, or it crash-loops
        (Generation.DRAINING, Generation.ACTIVE),  # its successor failed: it has the route again
        (Generation.DRAINING, Generation.RETIRED),  # nothing is in flight any more
        (Generation.DRAINING, Generation.FAILED),  # killed at the deadline
    }
)
#: States that nothing follows.
FINAL = frozenset({Generation.RETIRED, Generation.FAILED})
#: States in which tasks may be in flight.
WORKING = frozenset({Generation.ACTIVE, Generation.DRAINING})


def change(old: Generation, new: Generation) -> Generation:
    """The one door for a transition; an impossible one raises AssertionError."""
    assert (old, new) in TRANSITIONS, f"impossible transition {old.value} -> {new.value}"
    return new
