"""One change of all roles to what a plan says: staged, switched, drained, and watched.

Roles whose new workers fail keep or get back their old ones; the others go on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from khive_supervisor import logs
from khive_supervisor.config.changes import ConfigDiff, RoleClass
from khive_supervisor.config.settings.model import Config
from khive_supervisor.config.settings.roles import Role
from khive_supervisor.errors import StagingFailed
from khive_supervisor.supervision.roles.events import (
    UNDONE,
    Applied,
    RoleEvent,
    RoleOutcome,
    RolledBack,
    Watch,
)
from khive_supervisor.supervision.roles.generation import PoolDependencies, RoleGeneration
from khive_supervisor.supervision.roles.persistence import RoleRows
from khive_supervisor.supervision.roles.pool import RolePool

log = logs.get("khive.roles")

#: What becomes of a role that nothing goes wrong with.
_DONE: Mapping[RoleClass, RoleOutcome] = {
    "added": RoleOutcome.ADDED,
    "removed": RoleOutcome.REMOVED,
    "rolling": RoleOutcome.ROLLED,
    "live": RoleOutcome.LIVE,
    "unchanged": RoleOutcome.UNCHANGED,
}


@dataclass(slots=True, eq=False)
class Rollout:
    """Used once, step by step and only from the supervisor's loop; may be cancelled at any point.

    Attributes:
        plan: what is to change.
        config: what the roles are to be.
        pools: by name; those of roles that come are added, and those of roles that go deleted.
        around: what the pools work with.
        rows: what the store knows of the roles.
        wake: has everybody look for tasks.
    """

    plan: ConfigDiff
    config: Config
    pools: dict[str, RolePool]
    around: PoolDependencies
    rows: RoleRows
    wake: Callable[[], None]
    #: As they are to be; what fails is put in its place.
    _outcomes: dict[str, RoleOutcome] = field(init=False)
    _new: dict[RolePool, RoleGeneration] = field(default_factory=dict)
    _old: dict[RolePool, RoleGeneration | None] = field(default_factory=dict)
    _rollbacks: list[RolledBack] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._outcomes = {change.role: _DONE[change.kind] for change in self.plan.roles}

    async def stage(self) -> None:
        """Have new workers started, and wait until they are ready or have failed."""
        await asyncio.gather(*(self._stage(role) for role in self._of_kind("rolling", "added")))

    async def _stage(self, role: Role) -> None:
        pool = self._pool_of(role)
        if not pool.in_service:
            pool.adjust(role, self.config)  # for when it is put back
            return
        async with pool.lock:
            had = pool.current is not None
            try:
                self._new[pool] = await pool.stage(role, self.config)
            except StagingFailed:
                self._outcomes[pool.name] = _undone(had=had)

    async def switch(self) -> None:
        """Give the tasks to the new workers, all at once: half of the roles are never old."""
        await self.rows.limit(self._roles_to_be())
        for pool, generation in list(self._new.items()):
            try:
                self._old[pool] = pool.switch(generation)
            except StagingFailed as error:
                log.error("role.not_switched", role=pool.name, error=str(error))
                self._outcomes[pool.name] = _undone(had=pool.current is not None)
                del self._new[pool]
        for pool in self._removed():
            self._old[pool] = pool.suspend()
        for role in self._of_kind("live", "unchanged"):
            self._pool_of(role).adjust(role, self.config)
        self.around.changed()
        self.wake()  # what waited for another limit need not wait for the next look

    def _roles_to_be(self) -> list[Role]:
        """Return the definitions after the switch, if it succeeds: what is not staged stays."""
        wanted = {name: pool.role for name, pool in self.pools.items()}
        wanted |= {pool.name: generation.role for pool, generation in self._new.items()}
        wanted |= {role.role: role for role in self._of_kind("live", "unchanged")}
        return list(wanted.values())

    async def drain(self) -> None:
        """Wait until the old workers have finished what they hold, or their deadlines are over."""
        await asyncio.gather(*(pool.retire(old) for pool, old in self._old.items()))
        for pool in self._removed():
            del self.pools[pool.name]
        self.around.changed()

    async def prove(self) -> Applied:
        """Wait for the first tasks where there are any; elsewhere the watch goes on by itself.

        A rollback that comes after this is told as an event.
        """
        later = {pool: pool.watch(new, self._old.get(pool)) for pool, new in self._new.items()}

        async def wait(pool: RolePool) -> None:
            rolled_back = await asyncio.shield(later[pool])
            del later[pool]
            if rolled_back is not None:
                self._outcomes[pool.name] = RoleOutcome.ROLLED_BACK
                self._rollbacks.append(rolled_back)

        try:
            if later:
                # Tasks that wait for the end of a budget's window are no first tasks.
                due = await self.rows.claimable()
                waits = [p for p, new in self._new.items() if p.name in due or new.failing]
                await asyncio.gather(*(wait(pool) for pool in waits))
        finally:
            for watch in later.values():
                report(watch, self.around.events)
        return self._result()

    def _result(self) -> Applied:
        """Return what became of it so far."""
        undone = [name for name, outcome in self._outcomes.items() if outcome in UNDONE]
        errors = [self.pools[name].last_error for name in undone if name in self.pools]
        return Applied(
            self._outcomes, tuple(error for error in errors if error), tuple(self._rollbacks)
        )

    def _pool_of(self, role: Role) -> RolePool:
        """Return the pool of a role, made if there is none."""
        if role.role not in self.pools:
            self.pools[role.role] = RolePool(role, self.config, self.around)
        return self.pools[role.role]

    def _of_kind(self, *kinds: RoleClass) -> list[Role]:
        """Return the new definitions of the roles that change in one of some ways."""
        names = self._named(*kinds)
        return [role for role in self.config.roles if role.role in names]

    def _removed(self) -> list[RolePool]:
        """Return the pools of the roles that go."""
        return [self.pools[name] for name in self._named("removed") if name in self.pools]

    def _named(self, *kinds: RoleClass) -> list[str]:
        return [change.role for change in self.plan.roles if change.kind in kinds]


def report(watch: Watch, events: asyncio.Queue[RoleEvent]) -> None:
    """Have a rollback told as an event that comes of a watch which nobody waits for."""

    def ended(done: Watch) -> None:
        if not done.cancelled() and (rolled_back := done.result()) is not None:
            events.put_nowait(rolled_back)

    watch.add_done_callback(ended)


def _undone(*, had: bool) -> RoleOutcome:
    """Return what a role is whose new workers failed: one that had others keeps them."""
    return RoleOutcome.ROLLED_BACK if had else RoleOutcome.FAILED
