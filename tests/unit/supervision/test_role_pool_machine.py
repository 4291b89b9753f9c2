"""Any course of reloads, failed starts, lost workers, drains and tasks keeps a pool's promises."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any, TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from pool_support import ROLE, Fakes, FakeWorker, until

from khive_supervisor import exitcodes
from khive_supervisor.config.settings.model import Config
from khive_supervisor.errors import StagingFailed
from khive_supervisor.supervision.roles.lifecycle import FINAL, GenerationState

T = TypeVar("T")


class PoolMachine(RuleBasedStateMachine):
    """Two workers, of which none is ever missed while the role is in service."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.turn = 0
        self.tasks = 0

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    def serving(self) -> list[FakeWorker]:
        """The workers of the generation that has the tasks."""
        current = self.pool.current
        return self.fakes.of(current.number)[-2:] if current is not None else []

    async def ready(self, number: int, count: int) -> None:
        for worker in (await self.fakes.started(number, count))[count - 1 :]:
            worker.say(ready=True)

    @initialize()
    def begin(self) -> None:
        async def work() -> None:
            self.fakes = Fakes()
            self.pool = self.fakes.pool
            await self.fakes.begun()

        self.run(work())

    async def stage(self, *, works: bool) -> None:
        """New workers by another definition; those that had the tasks end, as they are told."""
        self.turn += 1
        before, number = self.pool.ready, self.pool.newest + 1
        definition = replace(ROLE, timeout=1.0 + self.turn)
        staging = asyncio.create_task(self.pool.stage(definition, Config(roles=(definition,))))
        first, second = await self.fakes.started(number)
        first.say(ready=True)
        if not works:
            second.say(failed="no such module")
            self.fakes.exit(second, exitcodes.PERMANENT)
            await until(lambda: first.heard() or staging.done())
            self.fakes.exit(first)
            with pytest.raises(StagingFailed):
                await staging
            assert self.pool.ready == before
            return
        second.say(ready=True)
        new = await staging
        assert self.pool.ready == before
        old = self.pool.switch(new)
        self.pool.in_service = True
        assert self.pool.ready == 2
        await self.see_out(old.number if old else None, old)

    async def see_out(self, number: int | None, old: Any) -> None:
        if number is None:
            return
        retiring = asyncio.create_task(self.pool.retire(old))
        for worker in self.fakes.of(number):
            if self.fakes.find(worker.name):
                assert worker.heard()[-1] == "end"
                self.fakes.exit(worker)
        await retiring
        assert self.fakes.state(number) in FINAL

    @rule(works=st.booleans())
    def reload(self, works: bool) -> None:
        if works or self.pool.current is not None:
            self.run(self.stage(works=works))

    @precondition(lambda self: self.pool.current is not None)
    @rule(which=st.integers(0, 1), ok=st.booleans())
    def do_a_task(self, which: int, ok: bool) -> None:
        async def work() -> None:
            generation = self.pool.current
            assert generation is not None
            done = generation.successes + generation.failures
            self.tasks += 1
            worker = [w for w in self.serving() if self.fakes.find(w.name)][which]
            worker.say(took=self.tasks)
            worker.say(ended=self.tasks, ok=ok, counts=True)
            await until(lambda: generation.successes + generation.failures == done + 1)

        self.run(work())

    @precondition(lambda self: self.pool.current is not None)
    @rule()
    def lose_a_worker(self) -> None:
        async def work() -> None:
            current = self.pool.current
            assert current is not None
            count = len(self.fakes.of(current.number))
            lost = next(w for w in self.serving() if self.fakes.find(w.name))
            self.fakes.exit(lost, exitcodes.RECYCLE)
            await self.ready(current.number, count + 1)
            await until(lambda: self.pool.ready == 2)
            assert self.fakes.released[-1] == (lost.name, True)

        self.run(work())

    @precondition(lambda self: self.pool.current is not None)
    @rule()
    def take_out_of_service(self) -> None:
        async def work() -> None:
            old = self.pool.suspend()
            assert self.pool.ready == 0
            await self.see_out(old.number if old else None, old)

        self.run(work())

    @invariant()
    def the_role_is_served_by_one_generation_or_is_out_of_service(self) -> None:
        if not hasattr(self, "pool"):
            return
        states = [generation.state for generation in self.pool._generations]
        in_service = self.pool.current is not None
        assert states.count(GenerationState.ACTIVE) == in_service
        assert self.pool.ready == (2 if in_service else 0)
        assert all(state in FINAL for state in states if state is not GenerationState.ACTIVE)

    def teardown(self) -> None:
        async def work() -> None:
            for worker in self.fakes.workers:
                if worker.queue.fileno() >= 0:
                    if self.fakes.find(worker.name):
                        self.fakes.exit(worker)
                    worker.queue.close()
            await self.pool.end(0.0)

        if hasattr(self, "pool"):
            self.run(work())
        self.runner.close()


TestPool = PoolMachine.TestCase
TestPool.settings = settings(max_examples=60, stateful_step_count=15)
