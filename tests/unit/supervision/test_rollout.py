"""A change of roles step by step, over a pool whose workers are only sockets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from unittest.mock import MagicMock

import pytest
from pool_support import ROLE, Fakes, FakeWorker, until, with_pool

from khive_supervisor import exitcodes
from khive_supervisor.config.changes import diff
from khive_supervisor.config.settings.model import Config
from khive_supervisor.config.settings.roles import Role
from khive_supervisor.errors import StoreUnavailable
from khive_supervisor.supervision.roles.events import RoleOutcome, RolledBack
from khive_supervisor.supervision.roles.generation import FAILURE_LIMIT
from khive_supervisor.supervision.roles.persistence import RoleRows
from khive_supervisor.supervision.roles.rollout import Rollout
from khive_supervisor.tasks.model import QueueDepth

CHANGED = replace(ROLE, timeout=5.0, workers=1)
OTHER = replace(ROLE, role="other", workers=0)


class Bench:
    """A role at work, and a rollout of what is to come."""

    def __init__(self, fakes: Fakes, *roles: Role) -> None:
        self.fakes = fakes
        self.pools = {"py": fakes.pool}
        self.store = MagicMock()
        self.store.tasks.queue_depths.return_value = self.store.budgets.blocked.return_value = {}
        self.refuse = False
        self.woken = 0
        config = Config(roles=roles)
        self.rollout = Rollout(
            diff(Config(roles=(ROLE,)), config),
            config,
            self.pools,
            fakes.dependencies,
            RoleRows(self.pools, self.in_thread, lambda _released, _worker: None),
            self.wake,
        )

    async def in_thread(self, work: Callable[[Any], Any]) -> Any:
        if self.refuse:
            raise StoreUnavailable("full")
        return work(self.store)

    def wake(self) -> None:
        self.woken += 1

    async def staged(self) -> FakeWorker:
        """The one new worker, ready."""
        staging = asyncio.create_task(self.rollout.stage())
        (worker,) = await self.fakes.ready(2, 1)
        await staging
        return worker

    async def drained(self, old: list[FakeWorker]) -> None:
        draining = asyncio.create_task(self.rollout.drain())
        await asyncio.sleep(0)
        assert not draining.done()
        for worker in old:
            self.fakes.exit(worker)
        await draining


async def fail_first_tasks(fakes: Fakes, worker: FakeWorker) -> None:
    """Have the new worker fail, and those of the old definition come back."""
    for task in range(FAILURE_LIMIT):
        worker.say(ended=task, ok=False, counts=True)
    await fakes.ready(3)


@with_pool
async def test_roles_change_come_and_go(fakes: Fakes) -> None:
    old = await fakes.begun()
    bench = Bench(fakes, CHANGED, OTHER)
    worker = await bench.staged()
    assert [one.heard() for one in old] == [["go"], ["go"]]
    await bench.rollout.switch()
    assert (worker.heard(), bench.woken) == (["go"], 1)
    await bench.drained(old)
    applied = await bench.rollout.prove()
    assert applied.outcomes == {"py": RoleOutcome.ROLLED, "other": RoleOutcome.ADDED}
    assert (applied.errors, applied.rollbacks, set(bench.pools)) == ((), (), {"py", "other"})


@with_pool
async def test_a_role_that_goes_is_drained_and_forgotten(fakes: Fakes) -> None:
    old = await fakes.begun()
    bench = Bench(fakes)
    await bench.rollout.stage()
    await bench.rollout.switch()
    await bench.drained(old)
    assert (await bench.rollout.prove()).outcomes == {"py": RoleOutcome.REMOVED}
    assert bench.pools == {}


@with_pool
async def test_a_role_without_new_workers_keeps_its_old_ones(fakes: Fakes) -> None:
    await fakes.begun()
    bench = Bench(fakes, CHANGED, OTHER)
    staging = asyncio.create_task(bench.rollout.stage())
    (worker,) = await fakes.started(2, 1)
    worker.say(failed="no such module")
    fakes.exit(worker, exitcodes.BOOT_FAILURE)
    await staging
    await bench.rollout.switch()
    await bench.rollout.drain()
    applied = await bench.rollout.prove()
    assert applied.outcomes == {"py": RoleOutcome.ROLLED_BACK, "other": RoleOutcome.ADDED}
    assert applied.errors == ("no such module",)
    assert (fakes.pool.ready, applied.rollbacks) == (2, ())


@with_pool
async def test_first_tasks_that_fail_while_somebody_waits_come_back_as_a_value(
    fakes: Fakes,
) -> None:
    old = await fakes.begun()
    bench = Bench(fakes, CHANGED)
    worker = await bench.staged()
    await bench.rollout.switch()
    await bench.drained(old)
    bench.store.tasks.queue_depths.return_value = {"py": QueueDepth(queued=1)}
    proving = asyncio.create_task(bench.rollout.prove())
    await fail_first_tasks(fakes, worker)
    applied = await proving
    assert applied.outcomes == {"py": RoleOutcome.ROLLED_BACK}
    assert applied.rollbacks == (RolledBack(CHANGED, ROLE, fakes.pool.last_error),)
    assert applied.errors == (fakes.pool.last_error,)
    assert fakes.events.empty()


@pytest.mark.parametrize("refuse", [False, True])
def test_first_tasks_that_fail_later_are_an_event(refuse: bool) -> None:
    @with_pool
    async def test(fakes: Fakes) -> None:
        old = await fakes.begun()
        bench = Bench(fakes, CHANGED)
        worker = await bench.staged()
        await bench.rollout.switch()
        await bench.drained(old)
        bench.refuse = refuse
        if refuse:
            with pytest.raises(StoreUnavailable):
                await bench.rollout.prove()
        else:
            assert (await bench.rollout.prove()).outcomes == {"py": RoleOutcome.ROLLED}
        await fail_first_tasks(fakes, worker)
        await until(lambda: not fakes.events.empty())
        assert fakes.events.get_nowait() == RolledBack(CHANGED, ROLE, fakes.pool.last_error)

    test()
