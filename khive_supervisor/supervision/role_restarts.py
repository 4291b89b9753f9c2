"""When a role's lost workers are started again, and when that has no use any more."""

from __future__ import annotations

import asyncio
import random
import signal
from collections.abc import Callable

from khive_supervisor import exitcodes
from khive_supervisor.supervision.restart import RestartPolicy, after_death
from khive_supervisor.supervision.role_generation import RoleGeneration
from khive_supervisor.supervision.role_worker import RoleWorker

_JITTER = random.SystemRandom()


class Restarts:
    """The restarts of one role that are still to come; used only from the supervisor's loop."""

    def __init__(
        self, restart: Callable[[RoleGeneration], None], clock: Callable[[], float]
    ) -> None:
        self._restart = restart
        self._clock = clock
        self._timers: set[asyncio.TimerHandle] = set()

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

        def restart() -> None:
            self._timers.discard(timer)
            self._restart(generation)

        timer = asyncio.get_running_loop().call_later(delay, restart)
        self._timers.add(timer)

    def cancel(self) -> None:
        """None follows any more."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
