"""One worker of a role, as the supervisor sees it: its process, its queue, and what it says.

The queue is one end of a socket pair. Half of it is closed to drain the worker, which then ends by
itself; its own end means that it is gone, also if nobody reports how.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from khive_supervisor import logs
from khive_supervisor.config.settings.budget import ModelPrice
from khive_supervisor.control import measured, protocol
from khive_supervisor.control.requests import RoleRequest
from khive_supervisor.errors import KhiveError, ProtocolError
from khive_supervisor.host import processes
from khive_supervisor.supervision.processes.liveness import HangLimits
from khive_supervisor.supervision.processes.process import (
    ASK_WORKER,
    ProcessLink,
    SupervisedProcess,
)
from khive_supervisor.supervision.processes.states import ProcessEvent, ProcessState
from khive_supervisor.supervision.roles.status import WorkerStatus
from khive_supervisor.text.plain_json import JsonObject

log = logs.get("khive.roles")

#: Seconds to wait for the report of a worker's exit after its queue has ended: the zygote, which
#: would report it, may have died.
EXIT_PATIENCE = 2.0
#: Seconds beyond a task's own timeout after which a loop that says nothing is not held up by the
#: task any more: a function may keep the interpreter's lock for all of its time.
TASK_GRACE = 60.0
#: Seconds between asking a process to end and ending it, and until a killed group must be gone.
TERM_GRACE, KILL_PATIENCE = 3.0, 5.0


class WorkerObserver(Protocol):
    """What a worker tells its pool."""

    def worker_ready(self, worker: RoleWorker) -> None:
        """It can take tasks."""

    def worker_ended_task(self, worker: RoleWorker, *, ok: bool) -> None:
        """A task of it ended, and that says something of the handler."""

    def worker_gone(self, worker: RoleWorker) -> None:
        """Its process has ended."""


@dataclass(slots=True, eq=False)
class RoleWorker(SupervisedProcess):
    """One process of a role; used only from the supervisor's loop."""

    name: str
    role: str
    observer: WorkerObserver
    #: Takes the end of its log that a worker sends.
    take_log: Callable[[int], None]
    #: Seconds that a task of it may take.
    timeout: float
    every: float = field(default=ASK_WORKER, kw_only=True)
    #: Told to claim tasks.
    active: bool = False
    #: Asked to end.
    leaving: bool = False
    #: How it ended; None while it lives, or if nobody knows.
    code: int | None = None
    how: str = ""
    #: Why it could not start, in its own words.
    failed: str = ""
    task: int | None = None
    task_since: float = 0.0
    #: Set when it is ready or gone.
    settled: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    _queue: ProcessLink | None = None
    _decoder: protocol.FrameDecoder = field(default_factory=protocol.FrameDecoder)
    _timers: list[asyncio.TimerHandle] = field(default_factory=list)

    def start(
        self,
        spawn: Callable[[RoleRequest, Sequence[int]], None],
        request: RoleRequest,
        patience: float,
    ) -> None:
        """Have it started; raises KhiveError or OSError when that is impossible now.

        Killed if it is not ready after `patience`: what hangs at its start may hang for ever.
        """
        queue = ProcessLink(self._take, take_descriptor=self.take_log)
        self.begin(self.pid)
        with queue.theirs:
            try:
                spawn(request, [queue.theirs.fileno()])
            except (KhiveError, OSError):
                queue.close()
                raise
        self._queue = queue
        loop = asyncio.get_running_loop()
        self._timers.append(loop.call_later(patience, self._late, patience))

    def _late(self, patience: float) -> None:
        if self.ready or self.leaving or self.gone:
            return
        self.failed = f"a worker was not ready within {patience:g} s"
        self.end(signal.SIGKILL)

    def ask(self) -> None:
        """Ask whether it lives, over its queue."""
        self._say(do="ping")

    def look(self, limits: HangLimits) -> None:
        """See whether it answers, and end it if not."""
        if self.gone:
            return
        self.asks = self.ready and not self.leaving
        if self.task is not None or self.state is ProcessState.STARTING:
            patience = self.timeout + TASK_GRACE
            limits = replace(limits, silent=patience, busy=patience)
        if self.hangs(limits):
            log.error("role.hung", worker=self.name, worker_pid=self.pid, seconds=self.unheard)
            self.failed = f"a worker did not answer for {self.unheard:g} s"

    @property
    def ready(self) -> bool:
        """Return whether it has said so, and may take tasks."""
        return self.state is ProcessState.READY

    @property
    def gone(self) -> bool:
        """Return whether its process has ended."""
        return self.ended.is_set()

    @property
    def serving(self) -> bool:
        """Return whether it takes tasks, or would as soon as there are any."""
        return self.ready and self.active and not self.leaving and not self.gone

    @property
    def idle(self) -> bool:
        """Return whether a word of new tasks is news to it."""
        return self.serving and self.task is None

    # --- what it says ---------------------------------------------------------------------------

    def _take(self, data: bytes) -> None:
        if not data:
            self._queue_ended()
            return
        try:
            for message in self._decoder.feed(data):
                self._understand(message)
        except ProtocolError as error:
            log.error("role.garbled", worker=self.name, error=str(error))
            self.end(signal.SIGKILL)

    def _understand(self, message: JsonObject) -> None:
        if "pid" in message:
            self.pid = int(message["pid"])
        if message.get("alive"):
            self.heard()
        if "failed" in message:
            self.failed = str(message["failed"])
        if "took" in message:
            self._took(int(message["took"]), message.get("waited"))
        if "ended" in message:
            self._measure(measured.TASK_RUN, asyncio.get_running_loop().time() - self.task_since)
            self.task = None
            if message.get("counts"):
                self.observer.worker_ended_task(self, ok=bool(message.get("ok")))
        if message.get("ready"):
            self.step(ProcessEvent.READY)
            self.observer.worker_ready(self)
            self.settled.set()

    def _took(self, task: int, waited: object) -> None:
        self.task, self.task_since = task, asyncio.get_running_loop().time()
        if isinstance(waited, int | float):
            self._measure(measured.TASK_WAIT, float(waited))

    def _measure(self, what: str, seconds: float) -> None:
        measured.observe(what, self.role, max(0.0, seconds))

    # --- what it is told ------------------------------------------------------------------------

    def _say(self, **message: Any) -> None:
        if self._queue is None or self.leaving:
            return
        if not self._queue.send(protocol.encode(message)):
            # It reads nothing, and looks by itself every few seconds.
            log.debug("role.unheard", worker=self.name)

    def go(self) -> None:
        """Let it claim tasks."""
        self.active = True
        self._say(do="go")

    def wake(self) -> None:
        """Tell it that there are tasks."""
        self._say(do="wake")

    def reprice(self, prices: Sequence[ModelPrice]) -> None:
        """Tell it what tokens cost from now on."""
        self._say(do="prices", prices=[one.as_dict() for one in prices])

    def cancel(self, task: int) -> None:
        """Have it stop this task, if it is at it."""
        self._say(do="cancel", task=task)

    def drain(self) -> None:
        """Close its queue: it finishes what it holds, and ends. Again is harmless."""
        if self.leaving:
            return
        self.leaving = True
        self.step(ProcessEvent.TOLD)
        if self._queue is not None:
            self._queue.end()

    def end(self, number: signal.Signals) -> None:
        """Signal its process group; what it runs for a task ends with it."""
        if self.pid is not None and not self.gone:
            processes.end_group(self.pid, number)

    def terminate(self) -> None:
        """Ask the process to end, and end it if it does not."""
        self.drain()
        self.end(signal.SIGTERM)
        loop = asyncio.get_running_loop()
        self._timers.append(loop.call_later(TERM_GRACE, self.end, signal.SIGKILL))

    # --- its end --------------------------------------------------------------------------------

    def _queue_ended(self) -> None:
        loop = asyncio.get_running_loop()
        # No signal then: by now, its number may be another's.
        self._timers.append(
            loop.call_later(EXIT_PATIENCE, self.exited, None, "nobody reported how")
        )

    def exited(self, code: int | None, how: str) -> None:
        """Its process has ended; again is harmless."""
        if self.gone:
            return
        while self._queue is not None and self._queue.read():
            continue  # what it said last: why it could not start, for one
        self.step(ProcessEvent.ENDED)
        self.code, self.how = code, how
        for timer in self._timers:
            timer.cancel()
        if self._queue is not None:
            self._queue.close()
        self.settled.set()
        self.ended.set()
        self.observer.worker_gone(self)

    async def see_out(self, patience: float) -> bool:
        """Close its queue and wait, then ask, and kill; return whether waiting was enough."""
        self.drain()
        if await self.gone_within(patience):
            return True
        if patience:
            log.warning("role.drain_deadline", worker=self.name, task=self.task)
        self.terminate()
        await self.gone_within(TERM_GRACE + KILL_PATIENCE)
        return False

    async def gone_within(self, patience: float) -> bool:
        """Wait for its end; return whether it came within `patience` (seconds)."""
        try:
            async with asyncio.timeout(patience):
                await self.ended.wait()
        except TimeoutError:
            return False
        return True

    def describe(self, now: float) -> WorkerStatus:
        """Return what `status` shows."""
        if self.leaving:
            state = "draining"
        elif not self.ready:
            state = self.state.value
        else:
            state = "busy" if self.task is not None else "idle"
        return {
            "worker": self.name,
            "pid": self.pid,
            **self.shown(state),
            "task": self.task,
            "seconds": round(now - self.task_since, 1) if self.task is not None else None,
        }
