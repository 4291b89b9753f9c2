"""What the audit chain is told of the supervisor's acts: names and outcomes, never values.

A value may be somebody's secret, in an argument of a command, say. The digest of a configuration
tells whether it is the same one.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from khive_supervisor import __version__
from khive_supervisor.audit import actors
from khive_supervisor.audit.chain import TEXT_LIMIT
from khive_supervisor.config.changes import ConfigDiff, diff, digest_of
from khive_supervisor.config.settings.model import Config
from khive_supervisor.supervision.maintenance.outbox import AuditOutbox, InThread
from khive_supervisor.supervision.reload.states import ReloadPhase, Result, RoleOutcome


class AuditEvents:
    """The supervisor's entries, as they come about; used only from its loop."""

    def __init__(self, in_thread: InThread) -> None:
        self.trail = AuditOutbox(in_thread)

    def started(self, config: Config, file: str | None) -> None:
        """A supervisor begins to serve, by this configuration."""
        about = {"version": __version__, "pid": os.getpid()}
        who = actors.user()
        self.trail.note("supervisor.started", actors.SUPERVISOR, about, actor=who)
        # Also when it says that nothing else will be recorded.
        detail = _configuration(config, file)
        kind, subject = "configuration.loaded", actors.CONFIGURATION
        self.trail.note(kind, subject, detail, actor=who, always=True)

    async def stopped(self, who: str) -> None:
        """It has ended everything it had started."""
        self.trail.note("supervisor.stopped", actors.SUPERVISOR, {}, actor=who)
        await self.trail.flush()

    def reload_ended(self, who: str, result: Result, plan: ConfigDiff | None, digest: str) -> None:
        """See `Reloader.on_end`."""
        kind, detail = _reloaded(result, plan, digest)
        self.trail.note(kind, actors.CONFIGURATION, detail, actor=who)

    def reverted(self, role: str, digest: str) -> None:
        """See `Reloader.on_revert`."""
        detail = {"role": role, "digest": digest}
        self.trail.note("configuration.reverted", actors.CONFIGURATION, detail)

    def rolled_back(self, role: str, why: str) -> None:
        """A role has its old definition again."""
        self.trail.note("role.rolled_back", actors.role(role), {"why": why[:TEXT_LIMIT]})

    def gave_up(self, role: str, why: str) -> None:
        """A role stays down until somebody mends it."""
        self.trail.note("role.gave_up", actors.role(role), {"why": why[:TEXT_LIMIT]})


def _configuration(config: Config, file: str | None) -> dict[str, Any]:
    """The configuration that a supervisor starts with."""
    return {
        "digest": digest_of(config),
        "file": file,
        "not_default": [change.key for change in diff(Config(), config).settings],
        "roles": [role.role for role in config.roles],
        "audit": config.audit.enabled,
    }


def _reloaded(result: Result, plan: ConfigDiff | None, digest: str) -> tuple[str, dict[str, Any]]:
    """How a reload ended: the kind of the entry, and its detail."""
    if result.state is ReloadPhase.FAILED and not result.changed:
        return "configuration.refused", {
            "by": result.requested_by,
            "digest": digest,
            "problems": len(result.errors),
        }
    return "configuration.reloaded", {
        "by": result.requested_by,
        "state": result.state.value,
        "generation": result.generation,
        "previous": result.previous,
        "digest": digest,
        "settings": list(result.applied),
        "roles": _roles(result.roles, plan),
        "waits_for_restart": list(result.waits_for_restart),
        "errors": [error[:TEXT_LIMIT] for error in result.errors],
    }


def _roles(outcomes: Mapping[str, RoleOutcome], plan: ConfigDiff | None) -> dict[str, Any]:
    """What became of each role that was to change, and which of its keys have."""
    keys = {} if plan is None else {c.role: [one.key for one in c.changes] for c in plan.roles}
    return {
        role: {"outcome": outcome.value, "keys": keys.get(role, [])}
        for role, outcome in outcomes.items()
        if outcome is not RoleOutcome.UNCHANGED
    }
