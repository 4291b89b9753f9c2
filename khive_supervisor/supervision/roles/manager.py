"""The workers of all roles: started, told of tasks, replaced at a reload, ended."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Iterator, Sequence

from khive_supervisor.config.changes import ConfigDiff
from khive_supervisor.config.settings.model import Config
from khive_supervisor.control.requests import RoleRequest
from khive_supervisor.errors import NotFound
from khive_supervisor.supervision.maintenance.outbox import InThread
from khive_supervisor.supervision.processes.child import describe_exit
from khive_supervisor.supervision.processes.liveness import of_store_users
from khive_supervisor.supervision.roles.environment import RoleEnvironment
from khive_supervisor.supervision.roles.events import RoleEvent
from khive_supervisor.supervision.roles.generation import PoolDependencies
from khive_supervisor.supervision.roles.persistence import RoleRows, end_strays
from khive_supervisor.supervision.roles.pool import RolePool
from khive_supervisor.supervision.roles.queue import RoleQueue
from khive_supervisor.supervision.roles.rollout import Rollout, report
from khive_supervisor.supervision.roles.status import RolesStatus, ServiceAnswer
from khive_supervisor.supervision.roles.worker import RoleWorker


class Roles:
    """All pools; used only from the supervisor's loop.

    Attributes:
        environment: what handlers may see of.
        events: what happens while nobody waits for it.
    """

    def __init__(
        self,
        config: Config,
        spawn: Callable[[RoleRequest, Sequence[int]], None],
        in_thread: InThread,
        take_log: Callable[[socket.socket], None],
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.environment = RoleEnvironment()
        self.events: asyncio.Queue[RoleEvent] = asyncio.Queue()
        self._config, self._prices = config, config.prices
        self._in_thread = in_thread
        self._clock = clock
        self._around = PoolDependencies(
            spawn,
            self._release,
            self._changed,
            lambda fd: take_log(socket.socket(fileno=fd)),
            self.environment,
            self.events,
            clock,
            lambda: self._node,
        )
        self._node = ""
        self._pools: dict[str, RolePool] = {}
        self._queue = RoleQueue(self._pools, in_thread, wall)
        self._rows = RoleRows(self._pools, in_thread, self._queue.released)
        self._warm = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._beginning: asyncio.Task[None] | None = None
        self._sweeps: set[asyncio.Task[int]] = set()
        self.wake, self.look = self._queue.wake, self._queue.look

    # --- start ----------------------------------------------------------------------------------

    async def start(self) -> None:
        """Start the workers of every role; returns before they are ready."""
        self._node = await self._in_thread(lambda store: store.node)
        rows = {row.role: row for row in await self._in_thread(lambda store: store.roles.own())}
        await self._rows.limit(self._config.roles)
        for role in self._config.roles:
            row = rows.get(role.role)
            self._pools[role.role] = RolePool(
                role,
                self._config,
                self._around,
                newest=row.generation if row else 0,
                in_service=row is None or not row.drained,
            )
        self._changed()
        self._beginning = asyncio.create_task(self._begin(list(self._pools.values())))
        self._tasks = [
            self._beginning,
            asyncio.create_task(self._rows.outbox.run()),
            asyncio.create_task(self._queue.run()),
        ]

    async def _begin(self, pools: Sequence[RolePool]) -> None:
        if pools:
            await self.environment.find_out(self._config)
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

    # --- the end --------------------------------------------------------------------------------

    async def stop(self, patience: float) -> None:
        """Close every queue, wait for what is at work, and end the rest."""
        await _cancel([self._beginning] if self._beginning else [])
        await asyncio.gather(*(pool.end(patience) for pool in self._pools.values()))
        await asyncio.gather(*self._sweeps, return_exceptions=True)
        await _cancel(self._tasks)
        await self._rows.outbox.flush()

    async def let_go(self, patience: float) -> None:
        """Close every queue for good: another release takes over.

        Workers finish what they hold; those that take longer than `patience` go on by themselves,
        renew their leases, and store their results, as when a supervisor dies.
        """
        await _cancel(self._tasks)
        await asyncio.gather(*(pool.let_go(patience) for pool in self._pools.values()))
        await self._rows.outbox.flush()

    # --- news -----------------------------------------------------------------------------------

    def worker_exited(self, name: str, code: int) -> None:
        """Take in that a worker's process has ended, as the spawner says."""
        worker = self._worker(name)
        if worker is not None:
            worker.exited(code, describe_exit(code))

    def worker_began(self, name: str, pid: int) -> None:
        """Take in which process a worker is, before that can say so itself."""
        worker = self._worker(name)
        if worker is not None and worker.pid is None:
            worker.pid = pid

    def _workers(self) -> Iterator[RoleWorker]:
        return (worker for pool in self._pools.values() for worker in pool.workers)

    def _worker(self, name: str) -> RoleWorker | None:
        return next((worker for worker in self._workers() if worker.name == name), None)

    def look_at_workers(self) -> None:
        """See which workers answer, and end those that hang."""
        limits = of_store_users(self._config.store.busy_timeout)
        for worker in list(self._workers()):
            worker.look(limits)

    def working(self) -> dict[int, int | None]:
        """Return the task of each worker's process; None of one that has none."""
        return {worker.pid: worker.task for worker in self._workers() if worker.pid is not None}

    def cancel(self, task: int) -> None:
        """Have a task stop: its worker hears it now rather than at its next renewal."""
        for worker in self._workers():
            if worker.task == task:
                worker.cancel(task)

    def _changed(self) -> None:
        self._rows.changed()
        self._warm.set()

    def _release(self, worker: RoleWorker, died: bool) -> None:
        self._rows.release(worker, died=died)
        self._warm.set()
        # Its own end sees to what its tasks left; a death does not.
        name = worker.name if worker.pid is None else f"{worker.name}:{worker.pid}"
        sweep = asyncio.create_task(asyncio.to_thread(end_strays, (name,)))
        self._sweeps.add(sweep)
        sweep.add_done_callback(self._sweeps.discard)

    def configure(self, config: Config) -> None:
        """Have the workers go by other prices; all else of roles is changed by a rollout."""
        if config.prices != self._prices:
            self._prices = config.prices
            for pool in self._pools.values():
                pool.reprice(config.prices)

    # --- changes --------------------------------------------------------------------------------

    async def rollout(self, plan: ConfigDiff, config: Config) -> Rollout:
        """Begin to make the roles what `config` says, without a gap; its steps are the caller's."""
        await self._begun()
        if config.roles:
            await self.environment.find_out(config)
        self._config = config
        self._forget_strangers()
        return Rollout(plan, config, self._pools, self._around, self._rows, self.wake)

    def _forget_strangers(self) -> None:
        """Roles of an earlier reload that never came to work are shown until the next one."""
        for name, pool in list(self._pools.items()):
            if pool.in_service and pool.current is None and self._config.role(name) is None:
                del self._pools[name]

    async def drain(self, role: str, *, reload: bool) -> ServiceAnswer:
        """Take a role out of service, or (`reload`) replace its workers; raises NotFound."""
        await self._begun()
        pool = self._find(role)
        if reload:
            return await self._replace(pool)
        async with pool.lock:
            await pool.settle()
            old = pool.suspend()
            await self._rows.outbox.flush()  # before it is answered: later supervisors go by it
            await pool.retire(old)
        return {"role": role, "in_service": False, "previous": old.number if old else None}

    async def resume(self, role: str) -> ServiceAnswer:
        """Put a drained role back in service; raises NotFound."""
        await self._begun()
        pool = self._find(role)
        if pool.in_service and pool.current is not None and not pool.current.broken:
            return {"role": role, "in_service": True, "generation": pool.current.number}
        return await self._replace(pool)

    async def _replace(self, pool: RolePool) -> ServiceAnswer:
        """Start new workers by the same definition, before the old ones end."""
        async with pool.lock:
            new = await pool.stage(pool.role, self._config)
            pool.in_service = True
            old = pool.switch(new)
            await pool.retire(old)
        report(pool.watch(new, old), self.events)
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

    # --- telling --------------------------------------------------------------------------------

    @property
    def failed(self) -> bool:
        """Return whether one is down that should work."""
        return any(pool.state == "failed" for pool in self._pools.values())

    def describe(self) -> RolesStatus:
        """Return what `status` shows: every role, and queues that no role serves."""
        now, queue = self._clock(), self._queue
        return {
            "roles": [
                {
                    **pool.describe(now),
                    "queued": queue.depth(name).queued,
                    "leased": queue.depth(name).leased,
                    "waiting": queue.depth(name).waiting,
                    "budget": queue.budget_state(name),
                }
                for name, pool in self._pools.items()
            ],
            "unserved": queue.unserved(),
        }


async def _cancel(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
