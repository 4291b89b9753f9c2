"""The round that is made each second: who answers, and whether what we stand on is still there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from khive_supervisor import logs
from khive_supervisor.supervision.processes.liveness import TICK

log = logs.get("khive.supervisor")


class Rounds:
    """Makes all looks in their order; used only from the supervisor's loop."""

    def __init__(self, looks: Sequence[Callable[[], None]]) -> None:
        self._looks = looks

    async def run(self) -> None:
        """Make a round at each tick, until cancelled."""
        while True:
            await asyncio.sleep(TICK)
            for look in self._looks:
                try:
                    look()
                except Exception as error:  # noqa: BLE001 - one defect must not end all watching
                    log.error("rounds.failed", look=look.__qualname__, error=repr(error))
