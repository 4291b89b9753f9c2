"""The maintenance thread and the index builder, as the supervisor's loop sees them.

Everything of the supervisor that may wait for a disk happens in that one thread, in turn.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from khive_supervisor import logs
from khive_supervisor.config.settings.model import Config
from khive_supervisor.errors import KhiveError
from khive_supervisor.store.interface import Store
from khive_supervisor.supervision.maintenance.loop import IndexStatus, Maintenance, StoreLook
from khive_supervisor.supervision.processes.jobs import Builder
from khive_supervisor.supervision.processes.liveness import until_due
from khive_supervisor.team.waiting import Standing

log = logs.get("khive.supervisor")
_T = TypeVar("_T")


class Upkeep:
    """Keeps the store small and the index fresh; used only from the supervisor's loop."""

    def __init__(
        self,
        config: Config,
        model_id: str | None,
        environment: dict[str, str],
        can_build: Callable[[], bool],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.model_id = model_id
        self.index_state = IndexStatus()
        self.builder = Builder(environment=environment, on_exit=self.check_again, clock=clock)
        #: Is told what waits for a team's server, at each look.
        self.on_waiting: Callable[[Standing], object] = bool
        self._config = config
        self._can_build = can_build
        self._clock = clock
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="maintenance")
        self._maintenance: Maintenance | None = None
        self._wanted = asyncio.Event()

    # --- life -----------------------------------------------------------------------------------

    def open(self) -> None:
        """Open the thread's store; raises KhiveError as `open_store` does."""
        opening = self._thread.submit(Maintenance, self._config, self.model_id)
        self._maintenance = opening.result()

    def close(self) -> None:
        """Close it, after what the thread is at."""
        if self._maintenance is not None:
            self._thread.submit(self._maintenance.close).result()
        self._thread.shutdown()

    def configure(self, config: Config) -> None:
        """Go by another configuration of the same store and model, at once."""
        self._config = config
        if self._maintenance is not None:
            self._thread.submit(self._maintenance.configure, config)
        self.wake()

    # --- what the thread is asked to do ---------------------------------------------------------

    async def with_store(self, work: Callable[[Store], _T]) -> _T:
        """Run something with the store, where that may wait for a disk; return what it returns."""
        return await self._in_thread(lambda maintenance: work(maintenance.store))

    async def look(self) -> IndexStatus:
        """The state of the index as of now."""
        self._found(await self._in_thread(Maintenance.look_at_all))
        return self.index_state

    async def _in_thread(self, work: Callable[[Maintenance], _T]) -> _T:
        assert self._maintenance is not None
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, work, self._maintenance)

    # --- its own turns --------------------------------------------------------------------------

    def wake(self) -> None:
        """Tend the store now rather than at the next turn."""
        self._wanted.set()

    def check_again(self) -> None:
        """The index may be another one, or damaged: look at its file anew."""
        if self._maintenance is not None:
            self._thread.submit(self._maintenance.forget_verdict)
        self.wake()

    async def run(self) -> None:
        """Tend the store at every turn, until cancelled."""
        while True:
            try:
                await self._tend()
            except (KhiveError, OSError) as error:  # busy, full, damaged: the next may do better
                log.warning("maintenance.failed", error=str(error))
            await self._pause()

    async def _tend(self) -> None:
        state = self._found(await self._in_thread(Maintenance.tend))
        if state is not None and state.reason is not None and self._can_build():
            self.builder.build(state.reason.value)

    def _found(self, look: StoreLook) -> IndexStatus | None:
        """Take in what a look has found; return the state of the index, if it was seen."""
        self.index_state = look.index or self.index_state
        self.on_waiting(look.waiting)
        return look.index

    async def _pause(self) -> None:
        interval = self._config.supervisor.checkpoint_interval
        # Not wait_for: before Python 3.12 it swallows a cancellation that comes with the wake-up.
        try:
            async with asyncio.timeout(until_due(self._clock(), interval)):
                await self._wanted.wait()
        except TimeoutError:
            return
        self._wanted.clear()
