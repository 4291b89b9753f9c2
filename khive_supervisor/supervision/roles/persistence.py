"""What is stored of the roles, as it comes about: their rows, their limits, what workers let go of.

It goes through the maintenance thread. What the disk does not take is owed, and tried again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

from khive_supervisor import logs
from khive_supervisor.budgets.limits import BudgetLimits, limits_of
from khive_supervisor.config import snapshot
from khive_supervisor.config.settings.roles import Role
from khive_supervisor.host import processes
from khive_supervisor.host.processes import ProcessEntry, alive
from khive_supervisor.routing.model import FREE
from khive_supervisor.store.interface import Store
from khive_supervisor.supervision.maintenance.outbox import InThread, Outbox
from khive_supervisor.supervision.roles.lifecycle import FINAL
from khive_supervisor.supervision.roles.pool import RolePool
from khive_supervisor.supervision.roles.worker import RoleWorker
from khive_supervisor.tasks.model import LEASED, Released, RoleRow, TaskFilter
from khive_supervisor.tasks.records import node_of

log = logs.get("khive.roles")

#: Tasks at work that are looked at when the supervisor starts; there are as many as workers.
HELD_LIMIT = 1000


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
        self._changes = self._stored = 0
        self.outbox = Outbox(self._write_owed, self._not_stored)

    def changed(self) -> None:
        """Have the rows of the roles be what their pools are."""
        self._changes += 1
        self.outbox.wake()

    def release(self, worker: RoleWorker, *, died: bool) -> None:
        """Have what a worker held go back to the queue: it is gone."""
        self._releases.append((f"{worker.name}:{worker.pid}", died))
        self.outbox.wake()

    async def limit(self, roles: Iterable[Role]) -> None:
        """Have the budgets of roles hold for every claim from now on.

        A store that cannot be written gives no claims either; what is owed is tried again.
        """
        limits = _limits(roles)
        await self.outbox.attempt(
            lambda: self._in_thread(lambda store: store.budgets.set_limits(limits))
        )

    async def claimable(self) -> set[str]:
        """Return the roles with tasks that their budgets allow now; raises KhiveError."""
        depths = await self._in_thread(lambda store: store.tasks.queue_depths())
        blocked = await self._in_thread(lambda store: store.budgets.blocked())
        return set(depths) - set(blocked)

    async def _write_owed(self) -> None:
        while self._releases:
            worker, died = self._releases[0]
            released = await self._in_thread(
                lambda store: store.tasks.release(worker, died=died)  # noqa: B023 - awaited
            )
            self._releases.pop(0)
            self._on_released(released, worker)
        if self._stored != self._changes:
            changes = self._changes
            # Tasks may be given to whoever has worked, or does.
            known = (p for p in self._pools.values() if p.current is not None or not p.in_service)
            rows = [_row_of(pool) for pool in known]
            limits = _limits(pool.role for pool in self._pools.values())
            await self._in_thread(lambda store: store.roles.set(rows))
            await self._in_thread(lambda store: store.budgets.set_limits(limits))
            self._stored = changes

    def _not_stored(self, error: Exception) -> None:
        self._changes += 1  # what is in the store now is not known
        log.warning("roles.not_stored", error=str(error))


def _row_of(pool: RolePool) -> RoleRow:
    """Return what sessions read of a role, and the next supervisor."""
    role, current = pool.role, pool.current
    given_up = current is not None and current.state in FINAL
    return RoleRow(
        role=role.role,
        task_types=role.task_types,
        digest=current.digest if current else "",
        generation=current.number if current else pool.newest,
        workers=role.workers,
        attempts=role.attempts,
        in_service=pool.in_service and not given_up,
        priority=role.priority,
    )


def _limits(roles: Iterable[Role]) -> dict[str, BudgetLimits]:
    """Return those of the roles that have any, by name."""
    found = ((role.role, limits_of(role.budget, free=_has_free(role))) for role in roles)
    return {name: limits for name, limits in found if limits is not None}


def _has_free(role: Role) -> bool:
    return any(one.price == FREE for one in role.candidates)


def release_dead(store: Store) -> None:
    """Queue at once what workers of an earlier supervisor held that are dead, too.

    Those that live finish what they hold. A number that is another process's by now costs the rest
    of a lease, nothing more.
    """
    held = store.tasks.page(TaskFilter(state=LEASED), limit=HELD_LIMIT)
    # The process of another node's worker is none of this machine's; its lease ends by itself.
    ours = {task.worker for task in held if task.worker and node_of(task.worker) == store.node}
    dead = {worker for worker in ours if _is_dead(worker)}
    if dead:
        end_strays(dead)  # before somebody else begins with the same
    for worker in dead:
        store.tasks.release(worker)


def _is_dead(worker: str) -> bool:
    pid = worker.rpartition(":")[2]
    return pid.isdecimal() and not alive(int(pid))


def end_strays(workers: Collection[str]) -> int:
    """End the processes that tasks of these workers left; return how many there were.

    Args:
        workers: names of dead ones, each with its process number behind a colon, if that is known.
    """
    named = dict(worker.partition(":")[::2] for worker in workers)
    leaders = [int(pid) for pid in named.values() if pid.isdecimal()]
    ended = processes.end_all(lambda: _left(named, leaders))
    if ended:
        log.info("role.strays", workers=sorted(named), ended=ended)
    return ended


def _left(names: Collection[str], leaders: Collection[int]) -> Iterator[ProcessEntry]:
    yield from processes.marked(names)
    for leader in leaders:
        yield from processes.of_session(leader, snapshot.VARIABLE)
