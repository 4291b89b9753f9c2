"""A role's pool over workers that are only sockets: staging, switching, giving up, rolling back."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from unittest.mock import AsyncMock

import pytest
from pool_support import ROLE, Fakes, until, with_pool

from khive_supervisor import exitcodes
from khive_supervisor.config.settings.model import Config
from khive_supervisor.errors import BootFailure, StagingFailed, StoreUnavailable
from khive_supervisor.supervision.roles import generation
from khive_supervisor.supervision.roles.events import GaveUp, RolledBack
from khive_supervisor.supervision.roles.lifecycle import GenerationState
from khive_supervisor.supervision.roles.manager import Roles


@with_pool
async def test_each_first_worker_goes_as_soon_as_it_is_ready(fakes: Fakes) -> None:
    fakes.pool.begin()
    first, second = await fakes.started(1)
    assert not fakes.pool.warm
    first.say(ready=True)
    await until(lambda: fakes.pool.ready == 1)
    assert first.heard() == ["go"]
    assert second.heard() == []
    second.say(ready=True)
    await until(lambda: fakes.pool.ready == 2)
    assert fakes.pool.warm
    assert fakes.state(1) is GenerationState.ACTIVE


@with_pool
async def test_new_workers_start_in_turn(fakes: Fakes) -> None:
    """So that a core is left to those at work."""
    await fakes.begun()
    for _ in range(7):
        await fakes.turns.acquire()
    staging = asyncio.create_task(fakes.pool.stage(replace(ROLE, timeout=5.0), Config()))
    (first,) = await fakes.started(2, 1)
    await asyncio.sleep(0)
    assert len(fakes.of(2)) == 1
    first.say(ready=True)
    _, second = await fakes.started(2, 2)
    second.say(ready=True)
    assert (await staging).state is GenerationState.READY


@with_pool
async def test_the_new_are_ready_before_the_old_queues_close(fakes: Fakes) -> None:
    old = await fakes.begun()
    staging = asyncio.create_task(fakes.pool.stage(replace(ROLE, timeout=5.0), Config()))
    first, second = await fakes.started(2)
    first.say(ready=True)
    await until(lambda: fakes.find(first.name).ready)  # type: ignore[union-attr]  # it lives
    assert not staging.done()
    second.say(ready=True)
    new = await staging
    assert fakes.pool.ready == 2
    assert [worker.heard() for worker in old] == [["go"], ["go"]]  # and nothing else so far
    assert first.heard() == second.heard() == []
    before = fakes.pool.switch(new)
    assert [worker.heard() for worker in old] == [["end"], ["end"]]
    assert first.heard() == second.heard() == ["go"]
    assert fakes.pool.ready == 2
    retiring = asyncio.create_task(fakes.pool.retire(before))
    for worker in old:
        fakes.exit(worker)
    await retiring
    assert (fakes.state(1), fakes.state(2)) == (GenerationState.RETIRED, GenerationState.ACTIVE)
    assert {died for _, died in fakes.released} == {False}


@with_pool
async def test_a_start_that_fails_changes_nothing(fakes: Fakes) -> None:
    old = await fakes.begun()
    staging = asyncio.create_task(fakes.pool.stage(ROLE, Config()))
    first, second = await fakes.started(2)
    first.say(ready=True)
    second.say(failed="it cannot be imported")
    fakes.exit(second, exitcodes.BOOT_FAILURE)
    await until(lambda: "end" in first.heard())
    fakes.exit(first)
    with pytest.raises(StagingFailed, match="it cannot be imported"):
        await staging
    assert fakes.state(2) is GenerationState.FAILED
    assert fakes.pool.ready == 2
    assert [worker.heard() for worker in old] == [["go"], ["go"]]


@with_pool
async def test_a_worker_lost_between_ready_and_switch_stops_the_switch(fakes: Fakes) -> None:
    await fakes.begun()
    staging = asyncio.create_task(fakes.pool.stage(ROLE, Config()))
    first, second = await fakes.ready(2)
    new = await staging
    fakes.exit(first, 1)
    with pytest.raises(StagingFailed, match="exit code 1"):
        fakes.pool.switch(new)
    assert fakes.pool.current is not None
    assert fakes.pool.current.number == 1
    fakes.exit(second)
    await until(lambda: fakes.state(2) is GenerationState.FAILED)


@with_pool
async def test_a_spawner_that_refuses_fails_the_start(fakes: Fakes) -> None:
    await fakes.begun()
    fakes.refuse = StoreUnavailable("no process is to be had")
    with pytest.raises(StagingFailed, match="no process is to be had"):
        await fakes.pool.stage(ROLE, Config())
    assert fakes.pool.ready == 2


@with_pool
async def test_variables_are_passed_on_as_declared(fakes: Fakes) -> None:
    await fakes.begun()
    role = replace(ROLE, workers=1, env_require=("TOKEN",), env_allow=("ABSENT",))
    staging = asyncio.create_task(fakes.pool.stage(role, Config()))
    (worker,) = await fakes.ready(2, 1)
    await staging
    assert worker.request["env"] == {"TOKEN": "t"}
    fakes.environ.clear()
    with pytest.raises(StagingFailed, match="requires TOKEN"):
        await fakes.pool.stage(role, Config())


@with_pool
async def test_failures_and_no_success_bring_the_old_definition_back(fakes: Fakes) -> None:
    await fakes.begun()
    bad = replace(ROLE, workers=1, timeout=5.0)
    staging = asyncio.create_task(fakes.pool.stage(bad, Config()))
    (worker,) = await fakes.ready(2, 1)
    new = await staging
    old = fakes.pool.switch(new)
    watch = fakes.pool.watch(new, old)
    for task in range(generation.FAILURE_LIMIT):
        worker.say(took=task)
        worker.say(ended=task, ok=False, counts=True)
    again = await fakes.ready(3)
    assert await watch == RolledBack(bad, ROLE, fakes.pool.last_error)
    assert fakes.pool.role == ROLE
    assert fakes.state(2) is GenerationState.FAILED
    assert worker.heard() == ["go", "end"]
    assert [w.heard() for w in again] == [["go"], ["go"]]
    assert fakes.pool.last_error.startswith("Generation 2 was rolled back")


@with_pool
async def test_a_success_among_the_first_tasks_keeps_it(fakes: Fakes) -> None:
    await fakes.begun()
    staging = asyncio.create_task(fakes.pool.stage(replace(ROLE, workers=1), Config()))
    (worker,) = await fakes.ready(2, 1)
    new = await staging
    watch = fakes.pool.watch(new, fakes.pool.switch(new))
    for task, ok in enumerate((False, False, True, False, False)):
        worker.say(ended=task, ok=ok, counts=True)
    assert await watch is None
    assert fakes.state(2) is GenerationState.ACTIVE


@with_pool
async def test_a_worker_that_says_its_start_cannot_help_takes_the_role_down(fakes: Fakes) -> None:
    fakes.pool.begin()
    first, second = await fakes.started(1)
    first.say(failed="no such module")
    fakes.exit(first, exitcodes.BOOT_FAILURE)
    assert fakes.state(1) is GenerationState.FAILED
    assert "no such module" in fakes.pool.last_error
    assert fakes.events.get_nowait() == GaveUp("py", fakes.pool.last_error)
    assert fakes.pool.warm  # nobody waits for it
    assert second.heard() == ["end"]
    assert len(fakes.workers) == 2


@with_pool
async def test_a_recycled_worker_is_replaced_at_once_and_is_no_death(fakes: Fakes) -> None:
    first, _ = await fakes.begun()
    fakes.exit(first, exitcodes.RECYCLE)
    assert len(fakes.workers) == 3
    assert fakes.pool.current is not None
    assert fakes.pool.current.deaths == 0


@with_pool
async def test_what_a_dead_worker_held_is_released_as_a_death(fakes: Fakes) -> None:
    first, _ = await fakes.begun()
    fakes.exit(first, 1)
    assert fakes.released == [(first.name, True)]


@with_pool
async def test_surplus_workers_are_drained_idle_ones_first(fakes: Fakes) -> None:
    busy, idle = await fakes.begun()
    busy.say(took=7)
    await until(lambda: fakes.find(busy.name).task == 7)  # type: ignore[union-attr]  # it lives
    fakes.pool.adjust(replace(ROLE, workers=1), Config())
    assert idle.heard() == ["go", "end"]
    assert busy.heard() == ["go"]
    fakes.pool.adjust(replace(ROLE, workers=3), Config())
    assert len(fakes.workers) == 4


@with_pool
async def test_only_the_idle_are_woken_and_only_the_holder_is_told_to_stop(fakes: Fakes) -> None:
    busy, idle = await fakes.begun()
    busy.say(took=7)
    await until(lambda: fakes.find(busy.name).task == 7)  # type: ignore[union-attr]  # it lives
    fakes.pool.wake()
    roles = Roles(Config(), fakes.spawn, AsyncMock(), lambda _log: None)
    roles._pools["py"] = fakes.pool
    roles.cancel(7)
    assert busy.heard() == ["go", "cancel"]
    assert idle.heard() == ["go", "wake"]


@with_pool
async def test_a_drained_role_has_no_workers_and_a_death_brings_none_back(fakes: Fakes) -> None:
    workers = await fakes.begun()
    old = fakes.pool.suspend()
    retiring = asyncio.create_task(fakes.pool.retire(old))
    for worker in workers:
        fakes.exit(worker, 1)
    await retiring
    assert fakes.state(1) is GenerationState.RETIRED
    assert fakes.pool.ready == 0
    assert len(fakes.workers) == 2
    assert fakes.pool.describe(0.0)["state"] == "drained"


@with_pool
async def test_a_role_that_was_given_up_is_begun_again_later(fakes: Fakes) -> None:
    """What it lacked may be there again: half a package, a program, a directory."""
    fakes.refuse = BootFailure("not there")
    fakes.pool.begin()
    assert fakes.state(1) is GenerationState.FAILED
    given_up = fakes.pool.current
    assert given_up is not None
    fakes.pool._begin_again(given_up)
    assert fakes.state(2) is GenerationState.FAILED
    fakes.refuse = None
    fakes.pool._begin_again(given_up)  # something else has become of it meanwhile
    assert fakes.pool.newest == 2
    fakes.pool._begin_again(fakes.pool.current)  # type: ignore[arg-type]  # it is the second
    await fakes.ready(3)
    await until(lambda: fakes.pool.ready == 2)
    fakes.pool.suspend()
    fakes.pool._begin_again(given_up)
    assert fakes.pool.newest == 3
