"""What is stored of the roles, as it comes about: their rows, their limits, what workers let go of.

It goes through the maintenance thread. What the disk does not take is owed, and tried again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

from khive_supervisor import logs
from khive_supervisor.budgets.limits import BudgetLimits, limits_of
from khive_supervisor.config.settings.roles import Role
from khive_supervisor.errors import KhiveError
from khive_supervisor.store.tasks import TaskStore
from khive_supervisor.supervision.roles.pool import RolePool
from khive_supervisor.supervision.roles.status import row_of
from khive_supervisor.supervision.roles.worker import RoleWorker
from khive_supervisor.tasks.model import Released

log = logs.get("khive.roles")

#: Seconds until a write is tried again.
AGAIN = 1.0

#: Runs something with the tasks of the store where that may wait for a disk.
InThread = Callable[[Callable[[TaskStore], Any]], Awaitable[Any]]


class RoleRows:
    """Stores what is owed to the store; used only from the supervisor's loop."""

    def __init__(
        self,
        pools: Mapping[str, RolePool],
        in_thread: InThread,
        on_released: Callable[[Sequence[Released], str], None],
    ) -> None:
        self._pools = pools
        self._in_thread = in_thread
        self._on_released = on_released
        self._releases: list[tuple[str, bool]] = []
        self._rows_owed = False
        self._storing = asyncio.Lock()
        self._wanted = asyncio.Event()

    def changed(self) -> None:
        """The rows of the roles are to be what their pools are."""
        self._rows_owed = True
        self._wanted.set()

    def release(self, worker: RoleWorker, *, died: bool) -> None:
        """A worker is gone: what it held goes back to the queue."""
        self._releases.append((f"{worker.name}:{worker.pid}", died))
        self._wanted.set()

    async def keep(self) -> None:
        """Store what is owed, as it comes; until cancelled."""
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            if not await self.settle():
                await asyncio.sleep(AGAIN)
                self._wanted.set()

    async def settle(self) -> bool:
        """Whether everything that is owed could be stored."""
        try:
            async with self._storing:
                await self._store_owed()
        except (KhiveError, OSError) as error:
            self._rows_owed = True
            log.warning("roles.not_stored", error=str(error))
            return False
        return True

    async def _store_owed(self) -> None:
        while self._releases:
            worker, died = self._releases[0]
            released = await self._in_thread(
                lambda tasks: tasks.release(worker, died=died)  # noqa: B023 - awaited
            )
            self._releases.pop(0)
            self._on_released(released, worker)
        if self._rows_owed:
            self._rows_owed = False
            rows = [row_of(pool) for pool in self._pools.values() if pool.known]
            limits = _limits(pool.role for pool in self._pools.values())
            await self._in_thread(lambda tasks: tasks.set_roles(rows))
            await self._in_thread(lambda tasks: tasks.set_limits(limits))

    async def limit(self, roles: Iterable[Role]) -> None:
        """Have the budgets of roles hold for every claim from now on."""
        limits = _limits(roles)
        try:
            async with self._storing:
                await self._in_thread(lambda tasks: tasks.set_limits(limits))
        except (KhiveError, OSError) as error:
            # A store that cannot be written gives no claims either; what is owed is tried again.
            log.warning("roles.not_limited", error=str(error))


def _limits(roles: Iterable[Role]) -> dict[str, BudgetLimits]:
    """Those of the roles that have any, by name."""
    found = ((role.role, limits_of(role.budget)) for role in roles)
    return {name: limits for name, limits in found if limits is not None}
