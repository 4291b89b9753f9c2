"""The round that is made each second: who answers, and whether what we stand on is still there."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping

from khive_supervisor import logs
from khive_supervisor.supervision.control.sessions import SessionTable
from khive_supervisor.supervision.processes.builder import Builder
from khive_supervisor.supervision.processes.child import Child
from khive_supervisor.supervision.processes.liveness import TICK
from khive_supervisor.supervision.processes.spawner import Spawner
from khive_supervisor.supervision.roles.manager import Roles
from khive_supervisor.supervision.watch.store_file import StoreWatch
from khive_supervisor.supervision.watch.watcher import SERVING

log = logs.get("khive.supervisor")

#: The child that others wait for, and are told of when it does not answer.
EMBEDDER = "embedder"


class Rounds:
    """Looks after all processes; used only from the supervisor's loop."""

    def __init__(
        self,
        children: Mapping[str, Child],
        spawner: Spawner,
        sessions: SessionTable,
        roles: Roles,
        builder: Builder,
        store: StoreWatch,
        log_file: Callable[[], str],
    ) -> None:
        self._children = children
        self._spawner = spawner
        self._sessions = sessions
        self._roles = roles
        self._builder = builder
        self._store = store
        self._log_file = log_file

    async def run(self) -> None:
        """Make a round at each tick, until cancelled."""
        while True:
            await asyncio.sleep(TICK)
            for look in (
                self._look_at_children,
                self._spawner.look,
                self._sessions.look,
                self._roles.look_at_workers,
                self._builder.look,
                self._store.look,
                self._look_at_log,
            ):
                try:
                    look()
                except Exception as error:  # noqa: BLE001 - one defect must not end all watching
                    log.error("rounds.failed", look=look.__qualname__, error=repr(error))

    def _look_at_children(self) -> None:
        for child in self._children.values():
            was_well = child.well
            child.look()
            if was_well and not child.well and child.name == EMBEDDER:
                self._sessions.tell_all({"hint": "embedder"}, kinds=SERVING)

    def _look_at_log(self) -> None:
        if not os.path.exists(self._log_file()):
            log.warning("log.missing", file=self._log_file())  # which makes it again
