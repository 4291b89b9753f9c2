"""When a role's lost workers are started again, and when that has no use any more."""

from __future__ import annotations

import asyncio
import random
import signal
from collections.abc import Callable

from khive_supervisor import exitcodes
from khive_supervisor.supervision.processes.restart import AGAIN_AFTER, RestartPolicy, after_death
from khive_supervisor.supervision.roles.generation import RoleGeneration
from khive_supervisor.supervision.roles.worker import RoleWorker

_JITTER = random.SystemRandom()

#: The longest pause, in seconds, before a role that was given up is tried again; the first is twice
#: a child's. What it lacked may be there again, and a task that ends its workers runs out of tries.
AGAIN_AT_MOST = 1800.0


class Restarts:
    """The restarts of one role that are still to come; used only from the supervisor's loop."""

    def __init__(
        self, restart: Callable[[RoleGeneration], None], clock: Callable[[], float]
    ) -> None:
        self._restart = restart
        self._clock = clock
        self._timers: set[asyncio.TimerHandle] = set()
        self._pause = AGAIN_AFTER

    def after(self, generation: RoleGeneration, worker: RoleWorker, policy: RestartPolicy) -> str:
        """A worker was lost: another one follows; or the reason why none does."""
        if worker.code == exitcodes.RECYCLE:
            self._restart(generation)
            return ""
        verdict = after_death(
            policy,
            generation.history,
            now=self._clock(),
            code=worker.code if worker.code is not None else -signal.SIGKILL,
            jitter=_JITTER.random(),
        )
        generation.history = verdict.history
        if verdict.at is None:
            return verdict.reason
        self.later(max(0.0, verdict.at - self._clock()), generation)
        return ""

    def later(self, delay: float, generation: RoleGeneration) -> None:
        """Restart after a while."""
        self._call_later(delay, lambda: self._restart(generation))

    def begin_again_later(self, begin: Callable[[], None]) -> None:
        """The role was given up: begin it again after a pause, longer each time."""
        self._pause = min(AGAIN_AT_MOST, self._pause * 2)
        self._call_later(self._pause, begin)

    def _call_later(self, delay: float, work: Callable[[], None]) -> None:
        def call() -> None:
            self._timers.discard(timer)
            work()

        timer = asyncio.get_running_loop().call_later(delay, call)
        self._timers.add(timer)

    def cancel(self) -> None:
        """None follows any more."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
