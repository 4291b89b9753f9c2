"""The kept worker of hooks: who gets a hook, whatever happens to the worker."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Sequence
from typing import Any, Literal

from hypothesis import given
from hypothesis import strategies as st

from khive_supervisor.config.settings.model import Config
from khive_supervisor.supervision.processes.hook_worker import KEPT, MOST_HOOKS, HookWorker
from khive_supervisor.supervision.processes.spawner import Spawner, WorkerRequest

Step = Literal["hook", "free", "dies", "later", "configured"]


class Workers(Spawner):
    """Starts nothing: keeps what a kept worker would have, and counts those for one hook."""

    def __init__(self) -> None:
        super().__init__(None, {})  # type: ignore[arg-type]  # nobody is told
        self.kept: socket.socket | None = None
        self.alone: list[Any] = []
        self.began = 0

    def spawn(self, request: WorkerRequest, fds: Sequence[int]) -> None:
        if len(fds) == 1:
            self.alone.append(request["n"])
            return
        self.began += 1
        if self.kept is not None:
            self.kept.close()
        self.kept = socket.socket(fileno=os.dup(fds[1]))
        self.kept.setblocking(False)

    def received(self) -> int:
        """Return how many hooks the kept worker has been handed, and let go of them."""
        count = 0
        while self.kept is not None:
            try:
                data, fds, _, _ = socket.recv_fds(self.kept, 1 << 16, 1)
            except BlockingIOError:
                break
            if not data:
                break
            count += 1
            for fd in fds:
                os.close(fd)
        return count

    def free(self) -> None:
        assert self.kept is not None
        self.kept.send(b"free\n")

    def close_kept(self) -> None:
        if self.kept is not None:
            self.kept.close()
            self.kept = None


class Trial:
    def __init__(self) -> None:
        self.workers, self.now = Workers(), 0.0
        self.hooks = HookWorker(self.workers, lambda: self.now)
        self.asked = self.given = 0

    def hook(self) -> None:
        self.asked += 1
        with open(os.devnull) as connection:
            self.hooks.spawn({"n": self.asked}, [connection.fileno()])

    async def step(self, step: Step) -> None:
        if step == "hook":
            self.hook()
        elif step == "free" and self.workers.kept is not None and self.hooks.kept:
            self.workers.free()
        elif step == "dies":
            self.workers.close_kept()
        elif step == "later":
            self.now += KEPT
            self.hooks.look()
        else:
            self.hooks.configure(Config())
        self.given += self.workers.received()
        for _ in range(2):  # the loop looks, and then reads what the worker has said
            await asyncio.sleep(0)

    def end(self) -> None:
        self.hooks.end()
        self.workers.close_kept()


def tried(steps: Sequence[Step]) -> Trial:
    trial = Trial()

    async def main() -> None:
        for step in steps:
            await trial.step(step)
        trial.end()

    asyncio.run(main())
    return trial


STEPS = st.lists(st.sampled_from(["hook", "hook", "free", "dies", "later", "configured"]))


@given(STEPS)
def test_each_hook_is_given_to_one_worker(steps: list[Step]) -> None:
    trial = tried(steps)
    assert trial.given + trial.workers.began + len(trial.workers.alone) == trial.asked


def test_one_that_is_free_gets_the_next_hook_and_one_at_work_gets_none() -> None:
    trial = tried(["hook", "hook", "free", "hook", "hook"])
    assert (trial.workers.began, trial.given, trial.workers.alone) == (1, 1, [2, 4])


def test_it_is_let_go_of_when_idle_and_after_another_configuration() -> None:
    for step in ("later", "configured"):
        trial = tried(["hook", "free", step, "hook"])
        assert (trial.workers.began, trial.given) == (2, 0)
    assert tried(["hook", "later", "free", "hook"]).workers.began == 1, "it was at work"


def test_one_that_has_died_is_replaced() -> None:
    assert tried(["hook", "free", "dies", "hook"]).workers.began == 2


def test_one_serves_a_bounded_number_of_hooks() -> None:
    trial = tried(["hook", *["free", "hook"] * MOST_HOOKS])
    assert (trial.workers.began, trial.workers.alone) == (2, [])
