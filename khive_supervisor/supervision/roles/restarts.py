"""What a role does later: lost workers are started again, and a role that was given up is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from khive_supervisor.supervision.processes.restart import AGAIN_AFTER

#: The longest pause, in seconds, before a role that was given up is tried again; the first is twice
#: a child's. What it lacked may be there again, and a task that ends its workers runs out of tries.
AGAIN_AT_MOST = 1800.0


class Restarts:
    """The restarts of one role that are still to come; used only from the supervisor's loop."""

    def __init__(self) -> None:
        self._timers: set[asyncio.TimerHandle] = set()
        self._pause = AGAIN_AFTER

    def later(self, delay: float, work: Callable[[], None]) -> None:
        """Do something after a while (seconds)."""

        def call() -> None:
            self._timers.discard(timer)
            work()

        timer = asyncio.get_running_loop().call_later(max(0.0, delay), call)
        self._timers.add(timer)

    def much_later(self, work: Callable[[], None]) -> None:
        """Do something after a pause that is longer each time."""
        self._pause = min(AGAIN_AT_MOST, self._pause * 2)
        self.later(self._pause, work)

    def cancel(self) -> None:
        """Do nothing of all that any more."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
