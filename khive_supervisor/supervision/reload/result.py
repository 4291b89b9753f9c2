"""What one reload did: for whoever asked, for the status, and for the audit chain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum

from khive_supervisor.audit.chain import TEXT_LIMIT
from khive_supervisor.config.changes import ConfigDiff
from khive_supervisor.supervision.roles.events import RoleOutcome


class ReloadPhase(StrEnum):
    """What a reload is doing, or how the last one ended."""

    IDLE = "idle"
    PARSING = "parsing"
    STAGING = "staging"
    SWITCHING = "switching"
    DRAINING = "draining"
    WATCHING = "watching"
    ROLLED_BACK = "rolled_back"
    DONE = "done"
    FAILED = "failed"


#: Phases in which nothing is at work.
RESTING = (ReloadPhase.IDLE, ReloadPhase.ROLLED_BACK, ReloadPhase.DONE, ReloadPhase.FAILED)
#: What follows the staging of a valid configuration, in this order.
APPLYING = (ReloadPhase.SWITCHING, ReloadPhase.DRAINING, ReloadPhase.WATCHING)

#: Plain data that JSON can carry.
Record = dict[str, object]


@dataclass(frozen=True, slots=True)
class Result:
    """What one reload did; kept as `last_reload` in the status.

    Attributes:
        state: how it ended: done, failed or rolled_back.
        generation, previous: of the configuration in force after it, and before it.
        requested_by: SIGHUP or the operation that asked.
        plan: the digest of the plan; empty if there was no valid file.
        applied: the settings that were taken over.
        roles: what became of each role.
        timings_ms: milliseconds of each phase that was gone through.
        errors: all that was wrong.
        waits_for_restart: changed settings that only a start takes over.
    """

    state: ReloadPhase
    generation: int
    previous: int
    requested_by: str
    plan: str = ""
    applied: tuple[str, ...] = ()
    roles: Mapping[str, RoleOutcome] = field(default_factory=dict)
    timings_ms: Mapping[str, float] = field(default_factory=dict)
    errors: tuple[str, ...] = ()
    waits_for_restart: tuple[str, ...] = ()

    @property
    def changed(self) -> bool:
        """Return whether anything is different now."""
        return self.generation != self.previous

    def as_dict(self) -> Record:
        """Return plain data that JSON can carry."""
        return {"changed": self.changed, **asdict(self)}


def audit_entry(result: Result, plan: ConfigDiff | None, digest: str) -> tuple[str, Record]:
    """Return the kind and the detail of the entry on a reload that has ended.

    Args:
        result: how it ended.
        plan: what it was to change; None if there was no valid file.
        digest: of the configuration in force after it.
    """
    if result.state is ReloadPhase.FAILED and not result.changed:
        return "configuration.refused", {
            "by": result.requested_by,
            "digest": digest,
            "problems": len(result.errors),
        }
    return "configuration.reloaded", {
        "by": result.requested_by,
        "state": result.state,
        "generation": result.generation,
        "previous": result.previous,
        "digest": digest,
        "settings": list(result.applied),
        "roles": _changed_roles(result.roles, plan),
        "waits_for_restart": list(result.waits_for_restart),
        "errors": [error[:TEXT_LIMIT] for error in result.errors],
    }


def _changed_roles(outcomes: Mapping[str, RoleOutcome], plan: ConfigDiff | None) -> Record:
    """Return what became of each role that was to change, and which of its keys have."""
    keys = {} if plan is None else {c.role: [one.key for one in c.changes] for c in plan.roles}
    return {
        role: {"outcome": outcome, "keys": keys.get(role, [])}
        for role, outcome in outcomes.items()
        if outcome is not RoleOutcome.UNCHANGED
    }
