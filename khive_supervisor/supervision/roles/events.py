"""What comes of a change of the roles: what a reload is answered, and what is told later."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from khive_supervisor.config.settings.roles import Role


class RoleOutcome(StrEnum):
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
    """A role's new definition failed its first tasks.

    `again` is the definition before it, which works again; None if there is none, or it fails too.
    """

    bad: Role
    again: Role | None
    why: str

    @property
    def role(self) -> str:
        """Return the name of the role."""
        return self.bad.role


@dataclass(frozen=True, slots=True)
class GaveUp:
    """A role stays down until somebody mends it."""

    role: str
    why: str


#: A watch on a new generation's first tasks; None: they went well.
Watch = asyncio.Task[RolledBack | None]

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
