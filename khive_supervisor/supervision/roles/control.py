"""What a reload asks of the part that runs the roles' workers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from khive_supervisor.config.changes import ConfigDiff
from khive_supervisor.config.settings.model import Config
from khive_supervisor.errors import NotFound
from khive_supervisor.supervision.reload.states import ReloadEvent, RoleOutcome

#: Told of each phase that is over, so that it is timed and shown in the status.
OnPhase = Callable[[ReloadEvent], None]


@dataclass(frozen=True, slots=True)
class Applied:
    """What became of every role of a plan, and what went wrong with those that did not change."""

    outcomes: Mapping[str, RoleOutcome] = field(default_factory=dict)
    errors: tuple[str, ...] = ()


class RoleControl(Protocol):
    """Runs the workers of all roles; used only from the supervisor's loop."""

    async def apply(self, plan: ConfigDiff, config: Config, entered: OnPhase) -> Applied:
        """Make the roles what `config` says, without a gap.

        New workers are started and ready (`entered(Event.STAGED)`), the routes are switched
        (`Event.SWITCHED`), the old ones are drained (`Event.DRAINED`), and the new ones have
        proved themselves (on return). A role whose new workers fail keeps or gets back its old
        ones and is ROLLED_BACK or FAILED; the others go on. May be cancelled at any point, by a
        supervisor that stops.
        """

    async def drain(self, role: str, *, reload: bool) -> dict[str, Any]:
        """Take a role out of service, or (`reload`) replace its workers; raises NotFound."""

    async def resume(self, role: str) -> dict[str, Any]:
        """Put a drained role back in service; raises NotFound."""

    def describe(self) -> dict[str, Any]:
        """What `status` shows of the roles."""


class NoRoles:
    """Control of the roles where none can run: they are accepted, and nobody works."""

    async def apply(
        self,
        plan: ConfigDiff,
        config: Config,  # noqa: ARG002 - the protocol's
        entered: OnPhase,
    ) -> Applied:
        """Every change is taken note of."""
        for event in (ReloadEvent.STAGED, ReloadEvent.SWITCHED, ReloadEvent.DRAINED):
            entered(event)
        outcomes = {
            "added": RoleOutcome.ADDED,
            "removed": RoleOutcome.REMOVED,
            "rolling": RoleOutcome.ROLLED,
            "live": RoleOutcome.LIVE,
            "unchanged": RoleOutcome.UNCHANGED,
        }
        return Applied({change.role: outcomes[change.kind] for change in plan.roles})

    async def drain(self, role: str, *, reload: bool) -> dict[str, Any]:  # noqa: ARG002 - as above
        """There is none to drain."""
        raise NotFound(f"There is no role {role!r}.")

    async def resume(self, role: str) -> dict[str, Any]:
        """There is none to resume."""
        raise NotFound(f"There is no role {role!r}.")

    def describe(self) -> dict[str, Any]:
        """Nothing runs."""
        return {}
