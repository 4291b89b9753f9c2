"""What comes of a change of the roles: what a reload is answered, and what is told later."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from khive_supervisor.config.settings.roles import Role


class RoleOutcome(enum.Enum):
    """What a reload did to one role."""

    UNCHANGED = "unchanged"
    LIVE = "live"
    ROLLED = "rolled"
    ADDED = "added"
    REMOVED = "removed"
    ROLLED_BACK = "rolled_back"
    FAILED = "failed"


#: What leaves a role as it was before.
UNDONE = frozenset({RoleOutcome.ROLLED_BACK, RoleOutcome.FAILED})


@dataclass(frozen=True, slots=True)
class RolledBack:
    """A role's new definition failed its first tasks, and the one before it works again."""

    bad: Role
    again: Role
    why: str


@dataclass(frozen=True, slots=True)
class GaveUp:
    """A role stays down until somebody mends it."""

    role: str
    why: str


@dataclass(frozen=True, slots=True)
class WatchResult:
    """How a new generation did its first tasks; one that is not kept may not be rolled back either.

    Then there was none before it, or that one does not start.
    """

    kept: bool
    rolled_back: RolledBack | None = None


#: What happens to roles while nobody waits for it.
RoleEvent = RolledBack | GaveUp


@dataclass(frozen=True, slots=True)
class Applied:
    """What became of a change of the roles.

    Attributes:
        outcomes: of every role of the plan.
        errors: why those are undone that are.
        rollbacks: of roles whose new workers failed their first tasks meanwhile.
    """

    outcomes: Mapping[str, RoleOutcome] = field(default_factory=dict)
    errors: tuple[str, ...] = ()
    rollbacks: tuple[RolledBack, ...] = ()
