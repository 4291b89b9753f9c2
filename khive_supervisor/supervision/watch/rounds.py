"""The round that is made each second: who answers, and whether what we stand on is still there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence

from khive_supervisor import logs
from khive_supervisor.supervision.control.sessions import SessionTable
from khive_supervisor.supervision.processes.child import Child
from khive_supervisor.supervision.processes.liveness import TICK
from khive_supervisor.supervision.watch.watcher import SERVING

log = logs.get("khive.supervisor")

#: The child that others wait for, and are told of when it does not answer.
EMBEDDER = "embedder"


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


class ChildrenWatch:
    """Looks whether children answer, and tells workers of an embedder that does not."""

    def __init__(self, children: Iterable[Child], sessions: SessionTable) -> None:
        self._children = tuple(children)
        self._sessions = sessions

    def look(self) -> None:
        """See whether they answer."""
        for child in self._children:
            was_well = child.well
            child.look()
            if was_well and not child.well and child.name == EMBEDDER:
                self._sessions.tell_all({"hint": "embedder"}, kinds=SERVING)
