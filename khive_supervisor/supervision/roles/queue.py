"""The queue of tasks as roles need it: who is woken, what nobody holds any more, how much waits.

While tasks are at work or wait, it is looked at each second or two; without any, nothing runs here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from khive_supervisor import logs
from khive_supervisor.budgets.account import UNLIMITED, Account
from khive_supervisor.errors import KhiveError
from khive_supervisor.store.workflows.offices import SCHEDULES, Office
from khive_supervisor.supervision.maintenance.outbox import InThread
from khive_supervisor.supervision.roles import clockwork
from khive_supervisor.supervision.roles.persistence import release_dead
from khive_supervisor.supervision.roles.pool import RolePool
from khive_supervisor.tasks.model import QueueDepth, Released

log = logs.get("khive.roles")

#: Seconds between two looks at the queue while tasks are at work, and while they only wait.
LOOK, LOOK_WAITING = 1.0, 2.0


@dataclass(slots=True, eq=False)
class RoleQueue:
    """Looks at the queue of all roles; used only from the supervisor's loop."""

    pools: Mapping[str, RolePool]
    in_thread: InThread
    wall: Callable[[], float]
    _depths: dict[str, QueueDepth] = field(default_factory=dict)
    _accounts: dict[str, Account] = field(default_factory=dict)
    _stirred: asyncio.Event = field(default_factory=asyncio.Event)
    _office: Office = field(default_factory=lambda: Office(SCHEDULES))

    def wake(self, role: str | None = None) -> None:
        """Have a role, or all, look for new tasks."""
        self._stirred.set()
        pools = self.pools.values() if role is None else [self.pools.get(role)]
        for pool in pools:
            if pool is not None:
                pool.wake()

    def released(self, tasks: Sequence[Released], worker: str) -> None:
        """Say which tasks are free again, and wake their roles."""
        for task in tasks:
            log.warning("task.released", task=task.id, state=task.state, worker=worker)
            self.wake(task.role)

    async def run(self) -> None:
        """Take back what nobody holds any more and wake for what is due, until cancelled."""
        self._stirred.set()
        first, again = True, None
        while True:
            await self._until_stirred(again)
            again = clockwork.LOOK
            try:
                if first:
                    await self.in_thread(release_dead)
                    first = False
                if self._depths:
                    self.released(
                        await self.in_thread(
                            lambda store: store.tasks.release_expired(store.tasks.now())
                        ),
                        "",
                    )
                again = await self.in_thread(
                    lambda store: clockwork.look(store, self.wall(), self._office)
                )
                await self.look()
                await self._look_at_budgets()
                due = self.in_thread(lambda store: store.tasks.due(store.tasks.now()))
                for role in await due:
                    if role in self.pools:
                        self.pools[role].wake()
            except (KhiveError, OSError) as error:
                log.warning("roles.no_look", error=str(error))
                self._stirred.set()
            if any(depth.queued or depth.leased for depth in self._depths.values()):
                self._stirred.set()
            at_work = any(depth.leased for depth in self._depths.values())
            await asyncio.sleep(LOOK if at_work else LOOK_WAITING)

    async def _until_stirred(self, seconds: float | None) -> None:
        """Wait until something happens, or something is due by the clock; None: nothing is."""
        try:
            async with asyncio.timeout(seconds):
                await self._stirred.wait()
        except TimeoutError:
            return
        self._stirred.clear()

    async def look(self) -> None:
        """See how much waits now."""
        self._depths = await self.in_thread(lambda store: store.tasks.queue_depths())

    async def _look_at_budgets(self) -> None:
        """See what is spent; once more after the last task has ended: only tasks change it."""
        found: list[Account] = []
        if any(pool.role.budget.limited for pool in self.pools.values()):
            found = await self.in_thread(lambda store: store.budgets.accounts())
        self._accounts = {account.role: account for account in found}

    def depth(self, role: str) -> QueueDepth:
        """Return how much waited and was at work at the last look."""
        return self._depths.get(role, QueueDepth())

    def unserved(self) -> dict[str, int]:
        """Return how much waited for each name that no role has."""
        return {
            name: depth.queued
            for name, depth in self._depths.items()
            if name not in self.pools and depth.queued
        }

    def budget_state(self, role: str) -> str:
        """Return it as the last look found it, which the end of a window makes better."""
        account = self._accounts.get(role)
        return UNLIMITED if account is None else account.state_at(self.wall())
