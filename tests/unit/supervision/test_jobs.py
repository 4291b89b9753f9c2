"""Children for one piece of work: one at a time, and after a failure later each time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest
from support import Clock, wait_until

from khive_supervisor.supervision.processes.jobs import Builder, JobChild
from khive_supervisor.supervision.team.applier import ApplierChild
from khive_supervisor.team.waiting import Standing

#: Modules of which a process ends at once: one prints a poem, the other is not there.
DONE, FAILS = "this", "no_such_module"


def end(job: JobChild) -> None:
    def over() -> bool:
        job.reap()
        return not job.running

    wait_until(over, "it has ended")


def in_loop(test: Callable[[], None]) -> None:
    async def run() -> None:
        test()

    asyncio.run(run())


def test_a_build_that_failed_is_tried_later_each_time_unless_it_is_asked_for() -> None:
    clock = Clock(100.0)

    def run() -> None:
        builder = Builder(module=FAILS, clock=clock)
        for failures, wait in enumerate((2.0, 4.0, 8.0), 1):
            assert builder.build("new entries")
            assert not builder.build("asked for", force=True), "one at a time"
            assert builder.progress_status()["progress"]["reason"] == "new entries"
            end(builder)
            assert builder.failures == failures
            assert builder.progress_status()["progress"] == {}
            clock.now += wait - 0.1
            assert not builder.build("new entries")
            clock.now += 0.1
        clock.now -= 1.0
        builder.module = DONE
        assert builder.build("asked for", force=True)
        assert builder.arguments == ("--force",)
        end(builder)
        assert (builder.failures, builder.last_exit) == (0, "exit code 0")
        assert builder.build("new entries"), "what failed before counts no more"
        assert builder.arguments == ()
        end(builder)

    in_loop(run)


@pytest.mark.parametrize("module", [DONE, FAILS])
def test_waiting_writes_are_applied_once_the_server_is_there(module: str) -> None:
    waiting = replace(Standing(), waiting=2)

    def run() -> None:
        server: list[str] = []
        applier = ApplierChild(module=module, clock=Clock(0.0), connected=lambda: bool(server))
        applier.found(waiting)
        assert not applier.running
        server.append("there")
        applier.found(Standing())
        assert not applier.running
        applier.found(waiting)
        assert applier.running
        end(applier)
        failed = module == FAILS
        assert bool(applier.problem) is failed
        applier.found(waiting)
        assert applier.running is not failed, "at once only after a success"
        if failed:
            applier.forgive()
            applier.found(waiting)
        assert applier.running
        end(applier)

    in_loop(run)
