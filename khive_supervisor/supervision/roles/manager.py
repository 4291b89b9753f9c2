"""The workers of all roles: started, told of tasks, replaced at a reload, ended.

While tasks are at work or wait, the queue is looked at each second; without any, nothing runs here.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from khive_supervisor import logs
from khive_supervisor.budgets.account import UNLIMITED, Account
from khive_supervisor.config.changes import ConfigDiff
from khive_supervisor.config.settings.model import Config
from khive_supervisor.config.settings.roles import Role
from khive_supervisor.errors import KhiveError, NotFound, StagingFailed
from khive_supervisor.supervision.processes.liveness import of_store_users
from khive_supervisor.supervision.processes.spawner import Begin, Exit
from khive_supervisor.supervision.processes.strays import end_strays
from khive_supervisor.supervision.reload.states import UNDONE, ReloadEvent, RoleOutcome
from khive_supervisor.supervision.roles.control import Applied, OnPhase
from khive_supervisor.supervision.roles.generation import PoolDependencies, RoleGeneration
from khive_supervisor.supervision.roles.orphans import release_dead
from khive_supervisor.supervision.roles.persistence import InThread, RoleRows
from khive_supervisor.supervision.roles.pool import RolePool
from khive_supervisor.supervision.roles.status import state_of
from khive_supervisor.supervision.roles.worker import RoleWorker
from khive_supervisor.tasks import lease
from khive_supervisor.tasks.model import QueueDepth, Released

log = logs.get("khive.roles")

#: Seconds between two looks at the queue while tasks are at work, and while they only wait.
LOOK, LOOK_WAITING = 1.0, 2.0


async def _nothing(_config: Config) -> None:
    """Every role sees what the supervisor was started with."""


class Roles:
    """All pools; used only from the supervisor's loop."""

    def __init__(
        self,
        config: Config,
        spawn: Callable[[dict[str, Any], Sequence[int]], None],
        in_thread: InThread,
        take_log: Callable[[socket.socket], None],
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._config = config
        self._in_thread = in_thread
        self._clock = clock
        self._wall = wall
        self._around = PoolDependencies(
            spawn,
            self._release,
            self._changed,
            lambda fd: take_log(socket.socket(fileno=fd)),
            self._rolled_back,
            lambda role, why: self.on_gave_up(role, why),  # noqa: PLW0108 - set later
            environ=lambda: dict(self.environ),
            clock=clock,
        )
        #: Told of each rollback: the definition that failed, the one that is back, and why.
        self.on_rollback: Callable[[Role, Role, str], None] = lambda _bad, _again, _why: None
        #: Told of each role that stays down, and why.
        self.on_gave_up: Callable[[str, str], None] = lambda _role, _why: None
        #: What roles' handlers may see of; as the supervisor was started, until `prepare` has run.
        self.environ: Mapping[str, str] = os.environ
        #: Finds out what `environ` is to be; roles wait for it.
        self.prepare: Callable[[Config], Awaitable[None]] = _nothing
        self._pools: dict[str, RolePool] = {}
        self._depths: dict[str, QueueDepth] = {}
        self._accounts: dict[str, Account] = {}
        self._stirred = asyncio.Event()
        self._rows = RoleRows(self._pools, in_thread, self._tell_released)
        self._warm = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._beginning: asyncio.Task[None] | None = None
        self._sweeps: set[asyncio.Task[int]] = set()

    # --- start ----------------------------------------------------------------------------------

    async def start(self) -> None:
        """Start the workers of every role; returns before they are ready."""
        rows = {row.role: row for row in await self._in_thread(lambda tasks: tasks.roles())}
        await self._rows.limit(self._config.roles)
        for role in self._config.roles:
            row = rows.get(role.role)
            drained = row is not None and row.drained
            self._add(role, self._config, row.generation if row else 0, drained=drained)
        self._changed()
        self._beginning = asyncio.create_task(self._begin(list(self._pools.values())))
        self._tasks = [
            self._beginning,
            asyncio.create_task(self._rows.keep()),
            asyncio.create_task(self._keep_queue()),
        ]
        self._stirred.set()

    async def _begin(self, pools: Sequence[RolePool]) -> None:
        if pools:
            await self.prepare(self._config)
        for pool in pools:
            if pool.in_service and pool.current is None:
                pool.begin()
        self._changed()

    async def _begun(self) -> None:
        """Wait until the roles of the start have been begun with."""
        if self._beginning is not None:
            await asyncio.wait([self._beginning])

    async def until_warm(self) -> None:
        """Wait until no role is still starting."""
        await self._begun()
        while not all(pool.warm for pool in self._pools.values()):
            self._warm.clear()
            await self._warm.wait()

    def _add(
        self, role: Role, config: Config, newest: int = 0, *, drained: bool = False
    ) -> RolePool:
        pool = RolePool(role, config, self._around, newest=newest, in_service=not drained)
        self._pools[role.role] = pool
        return pool

    # --- the end --------------------------------------------------------------------------------

    async def stop(self, patience: float) -> None:
        """Close every queue, wait for what is at work, and end the rest."""
        await self._begin_no_more()
        await asyncio.gather(*(pool.end(patience) for pool in self._pools.values()))
        await asyncio.gather(*self._sweeps, return_exceptions=True)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._rows.settle()

    async def _begin_no_more(self) -> None:
        if self._beginning is not None:
            self._beginning.cancel()
            await asyncio.gather(self._beginning, return_exceptions=True)

    async def let_go(self, patience: float) -> None:
        """Close every queue for good: another release takes over.

        Workers finish what they hold; those that take longer than `patience` go on by themselves,
        renew their leases, and store their results, as when a supervisor dies.
        """
        await self._begin_no_more()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(pool.let_go(patience) for pool in self._pools.values()))
        await self._rows.settle()

    # --- news -----------------------------------------------------------------------------------

    def worker_exited(self, ended: Exit) -> None:
        """The spawner says that a worker's process has ended."""
        for pool in self._pools.values():
            worker = pool.find(ended.worker)
            if worker is not None:
                worker.exited(ended.code, ended.how)
                return

    def worker_began(self, begin: Begin) -> None:
        """The spawner says which process a worker is, before that can say so itself."""
        for pool in self._pools.values():
            worker = pool.find(begin.worker)
            if worker is not None and worker.pid is None:
                worker.pid = begin.pid

    def look_at_workers(self) -> None:
        """See which workers answer; see `liveness`."""
        limits = of_store_users(self._config.store.busy_timeout)
        for pool in self._pools.values():
            pool.look(limits)

    def wake(self, role: str | None = None) -> None:
        """There may be new tasks, of a role or of any."""
        self._stirred.set()
        pools = self._pools.values() if role is None else [self._pools.get(role)]
        for pool in pools:
            if pool is not None:
                pool.wake()

    def working(self) -> dict[int, int | None]:
        """The task of each worker's process; None of one that has none."""
        return dict(pair for pool in self._pools.values() for pair in pool.working())

    def cancel(self, task: int) -> None:
        """A task is to stop; its worker hears it now rather than at its next renewal."""
        for pool in self._pools.values():
            pool.cancel(task)

    def _changed(self) -> None:
        self._rows.changed()
        self._warm.set()

    def _rolled_back(self, bad: Role, again: Role, why: str) -> None:
        self.on_rollback(bad, again, why)

    def _release(self, worker: RoleWorker, died: bool) -> None:
        self._rows.release(worker, died=died)
        self._warm.set()
        # Its own end sees to what its tasks left; a death does not.
        name = worker.name if worker.pid is None else f"{worker.name}:{worker.pid}"
        sweep = asyncio.create_task(asyncio.to_thread(end_strays, (name,)))
        self._sweeps.add(sweep)
        sweep.add_done_callback(self._sweeps.discard)

    # --- the queue ------------------------------------------------------------------------------

    def _tell_released(self, released: Sequence[Released], worker: str) -> None:
        for task in released:
            log.warning("task.released", task=task.id, state=task.state, worker=worker)
            self.wake(task.role)

    async def _keep_queue(self) -> None:
        """While there are tasks: take back what nobody holds any more, wake for what is due."""
        first = True
        while True:
            await self._stirred.wait()
            self._stirred.clear()
            try:
                if first:
                    await self._in_thread(release_dead)
                    first = False
                if self._depths:
                    released = await self._in_thread(lambda t: t.release_expired(lease.now()))
                    self._tell_released(released, "")
                await self.look()
                await self._look_at_budgets()
                for role in await self._in_thread(lambda t: t.due(lease.now())):
                    if role in self._pools:
                        self._pools[role].wake()
            except (KhiveError, OSError) as error:
                log.warning("roles.no_look", error=str(error))
                self._stirred.set()
            if self._depths:
                self._stirred.set()
            at_work = any(depth.leased for depth in self._depths.values())
            await asyncio.sleep(LOOK if at_work else LOOK_WAITING)

    async def _look_at_budgets(self) -> None:
        """Once more after the last task has ended: only tasks change what is spent."""
        found: list[Account] = []
        if any(pool.role.budget.limited for pool in self._pools.values()):
            found = await self._in_thread(lambda t: t.budgets())
        self._accounts = {account.role: account for account in found}

    async def look(self) -> None:
        """See how much waits now."""
        self._depths = await self._in_thread(lambda tasks: tasks.queue_depths())

    # --- reload ---------------------------------------------------------------------------------

    async def apply(self, plan: ConfigDiff, config: Config, entered: OnPhase) -> Applied:
        """See `role_control.RoleControl`."""
        await self._begun()
        if config.roles:
            await self.prepare(config)
        self._config = config
        self._forget_strangers()
        outcomes: dict[str, RoleOutcome] = {}
        kinds = {change.role: change.kind for change in plan.roles}
        new = await self._stage_all(kinds, config, outcomes)
        entered(ReloadEvent.STAGED)
        await self._rows.limit(self._roles_to_be(kinds, config, new))
        old = self._switch_all(kinds, config, new, outcomes)
        self._changed()
        self.wake()  # what waited for another limit need not wait for the next look
        entered(ReloadEvent.SWITCHED)
        await asyncio.gather(*(pool.retire(generation) for pool, generation in old))
        self._forget_removed(kinds)
        entered(ReloadEvent.DRAINED)
        await self._watch_all(new, dict(old), outcomes)
        undone = [name for name, outcome in outcomes.items() if outcome in UNDONE]
        errors = [self._pools[name].last_error for name in undone if name in self._pools]
        return Applied(outcomes, tuple(error for error in errors if error))

    async def _stage_all(
        self, kinds: Mapping[str, str], config: Config, outcomes: dict[str, RoleOutcome]
    ) -> dict[RolePool, RoleGeneration]:
        new: dict[RolePool, RoleGeneration] = {}

        async def stage(name: str, kind: str) -> None:
            role = config.role(name)
            assert role is not None
            pool = self._pools.get(name) or self._add(role, config)
            if not pool.in_service:
                pool.adjust(role, config)  # for when it is put back
                outcomes[name] = RoleOutcome.ROLLED
                return
            async with pool.lock:
                had = pool.current is not None
                try:
                    new[pool] = await pool.stage(role, config)
                except StagingFailed:
                    outcomes[name] = RoleOutcome.ROLLED_BACK if had else RoleOutcome.FAILED
                    return
            outcomes[name] = RoleOutcome.ROLLED if kind == "rolling" else RoleOutcome.ADDED

        wanted = [(n, kind) for n, kind in kinds.items() if kind in ("rolling", "added")]
        await asyncio.gather(*(stage(name, kind) for name, kind in wanted))
        return new

    def _roles_to_be(
        self, kinds: Mapping[str, str], config: Config, new: Mapping[RolePool, RoleGeneration]
    ) -> list[Role]:
        """The definitions after the switch, if it succeeds: what could not be staged stays."""
        wanted = {name: pool.role for name, pool in self._pools.items()}
        wanted |= {pool.name: generation.role for pool, generation in new.items()}
        for role in config.roles:
            if kinds.get(role.role) in ("live", "unchanged"):
                wanted[role.role] = role
        return list(wanted.values())

    def _switch_all(
        self,
        kinds: Mapping[str, str],
        config: Config,
        new: dict[RolePool, RoleGeneration],
        outcomes: dict[str, RoleOutcome],
    ) -> list[tuple[RolePool, RoleGeneration]]:
        """All at once: there is no moment at which half of the roles are old."""
        old: list[tuple[RolePool, RoleGeneration | None]] = []
        for pool, generation in list(new.items()):
            try:
                old.append((pool, pool.switch(generation)))
            except StagingFailed as error:
                log.error("role.not_switched", role=pool.name, error=str(error))
                outcomes[pool.name] = (
                    RoleOutcome.ROLLED_BACK if pool.current is not None else RoleOutcome.FAILED
                )
                del new[pool]
        for name, kind in kinds.items():
            if kind == "removed" and name in self._pools:
                old.append((self._pools[name], self._pools[name].suspend()))
                outcomes[name] = RoleOutcome.REMOVED
            elif kind in ("live", "unchanged"):
                role = config.role(name)
                assert role is not None
                pool = self._pools.get(name) or self._add(role, config)
                pool.adjust(role, config)
                outcomes[name] = RoleOutcome.LIVE if kind == "live" else RoleOutcome.UNCHANGED
        return [(pool, generation) for pool, generation in old if generation is not None]

    def _forget_removed(self, kinds: Mapping[str, str]) -> None:
        for name, kind in kinds.items():
            if kind == "removed":
                self._pools.pop(name, None)
        self._changed()

    def _forget_strangers(self) -> None:
        """Roles of an earlier reload that never came to work are shown until the next one."""
        for name, pool in list(self._pools.items()):
            if pool.in_service and pool.current is None and self._config.role(name) is None:
                del self._pools[name]

    async def _watch_all(
        self,
        new: Mapping[RolePool, RoleGeneration],
        old: Mapping[RolePool, RoleGeneration],
        outcomes: dict[str, RoleOutcome],
    ) -> None:
        """Wait for the first tasks where there are any; elsewhere the watch goes on by itself."""
        watches = {pool: pool.watch(g, old.get(pool)) for pool, g in new.items()}
        if not watches:
            return
        depths = await self._in_thread(lambda tasks: tasks.queue_depths())
        blocked = await self._in_thread(lambda tasks: tasks.blocked())

        async def wait(pool: RolePool, watch: asyncio.Task[bool]) -> None:
            # Tasks that wait for the end of a budget's window are no first tasks.
            if (pool.name in depths and pool.name not in blocked) or new[pool].failing:
                kept = await asyncio.shield(watch)
                outcomes[pool.name] = outcomes[pool.name] if kept else RoleOutcome.ROLLED_BACK

        await asyncio.gather(*(wait(pool, watch) for pool, watch in watches.items()))

    # --- by hand --------------------------------------------------------------------------------

    async def drain(self, role: str, *, reload: bool) -> dict[str, Any]:
        """See `role_control.RoleControl`."""
        await self._begun()
        pool = self._find(role)
        if reload:
            return await self._replace(pool)
        async with pool.lock:
            await pool.settle()
            old = pool.suspend()
            await self._rows.settle()  # before it is answered: it holds for later supervisors, too
            await pool.retire(old)
        return {"role": role, "in_service": False, "previous": old.number if old else None}

    async def resume(self, role: str) -> dict[str, Any]:
        """See `role_control.RoleControl`."""
        await self._begun()
        pool = self._find(role)
        if pool.in_service and pool.current is not None and not pool.current.broken:
            return {"role": role, "in_service": True, "generation": pool.current.number}
        return await self._replace(pool)

    async def _replace(self, pool: RolePool) -> dict[str, Any]:
        """New workers by the same definition, before the old ones end."""
        async with pool.lock:
            new = await pool.stage(pool.role, self._config)
            pool.in_service = True
            old = pool.switch(new)
            await pool.retire(old)
        pool.watch(new, old)
        return {
            "role": pool.name,
            "in_service": True,
            "generation": new.number,
            "previous": old.number if old else None,
        }

    def _find(self, role: str) -> RolePool:
        if role not in self._pools:
            known = ", ".join(sorted(self._pools)) or "none"
            raise NotFound(f"There is no role {role!r}.", hint=f"Configured: {known}.")
        return self._pools[role]

    @property
    def failed(self) -> bool:
        """Whether one is down that should work."""
        return any(state_of(pool) == "failed" for pool in self._pools.values())

    # --- telling --------------------------------------------------------------------------------

    def describe(self) -> dict[str, Any]:
        """What `status` shows: every role, and queues that no role serves."""
        now = self._clock()
        roles = []
        for pool in self._pools.values():
            depth = self._depths.get(pool.name, QueueDepth())
            roles.append(
                {
                    **pool.describe(now),
                    "queued": depth.queued,
                    "leased": depth.leased,
                    "budget": self._budget_state(pool.name),
                }
            )
        unserved = {
            name: depth.queued
            for name, depth in self._depths.items()
            if name not in self._pools and depth.queued
        }
        return {"roles": roles, "unserved": unserved}

    def _budget_state(self, role: str) -> str:
        """As the last look found it, which the end of a window makes better."""
        account = self._accounts.get(role)
        if account is None:
            return UNLIMITED
        return account.state_at(self._wall())
