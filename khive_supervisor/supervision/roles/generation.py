"""One definition of a role and the workers that run by it, and what all pools work with."""

from __future__ import annotations

import asyncio
import os
import random
import secrets
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from khive_supervisor import logs
from khive_supervisor.config import snapshot
from khive_supervisor.config.settings.model import Config
from khive_supervisor.config.settings.roles import Role, digest
from khive_supervisor.control.requests import RoleRequest
from khive_supervisor.errors import KhiveError
from khive_supervisor.supervision.processes.restart import (
    AGAIN_AFTER,
    Deaths,
    RestartPolicy,
    RestartVerdict,
    after_death,
)
from khive_supervisor.supervision.roles.environment import RoleEnvironment
from khive_supervisor.supervision.roles.events import RoleEvent
from khive_supervisor.supervision.roles.lifecycle import GenerationState, change
from khive_supervisor.supervision.roles.status import GenerationStatus
from khive_supervisor.supervision.roles.worker import KILL_PATIENCE, RoleWorker, WorkerObserver
from khive_supervisor.tasks.records import named_here

log = logs.get("khive.roles")
_JITTER = random.SystemRandom()

#: Tasks after which a new generation has proved itself, and seconds after which it has, too.
WATCH_TASKS, WATCH_SECONDS = 5, 30.0
#: So many failures and deaths without a success, and it is rolled back.
FAILURE_LIMIT = 3
#: The longest pause, in seconds, before a role that was given up is tried again; the first is twice
#: a child's. What it lacked may be there again, and a task that ends its workers runs out of tries.
AGAIN_AT_MOST = 1800.0


@dataclass(frozen=True, slots=True)
class PoolDependencies:
    """What a pool works with; the same for all of them."""

    #: Starts a process for a request, with copies of descriptors; raises KhiveError or OSError.
    spawn: Callable[[RoleRequest, Sequence[int]], None]
    #: Called with a worker that is gone, and whether it died rather than was ended.
    release: Callable[[RoleWorker, bool], None]
    #: Called when what is told of the roles has changed.
    changed: Callable[[], None]
    take_log: Callable[[int], None]
    environment: RoleEnvironment
    #: What happens while nobody waits for it.
    events: asyncio.Queue[RoleEvent]
    clock: Callable[[], float] = time.monotonic
    #: The name of this node of a team; empty without one.
    node: Callable[[], str] = lambda: ""
    #: Held while a worker of a reload starts and imports: one core is left to those at work.
    turns: asyncio.Semaphore = field(
        default_factory=lambda: asyncio.Semaphore(max(1, (os.cpu_count() or 1) - 1))
    )


@dataclass(slots=True, eq=False)
class RoleGeneration:
    """One definition of a role, and the workers that run by it.

    Attributes:
        broken: why it cannot go on; empty while it can.
        moved: set at each change; whoever waits for one clears it first.
    """

    number: int
    role: Role
    config: Config
    around: PoolDependencies
    observer: WorkerObserver
    state: GenerationState = GenerationState.STAGING
    workers: dict[str, RoleWorker] = field(default_factory=dict)
    successes: int = 0
    failures: int = 0
    deaths: int = 0
    restarts: int = 0
    last_error: str = ""
    broken: str = ""
    died_at: Deaths = ()
    moved: asyncio.Event = field(default_factory=asyncio.Event)

    # --- what it is -----------------------------------------------------------------------------

    @property
    def digest(self) -> str:
        """Return the name of what it does."""
        return digest(self.role)

    @property
    def alive(self) -> list[RoleWorker]:
        """Return its processes."""
        return [worker for worker in self.workers.values() if not worker.gone]

    @property
    def staying(self) -> list[RoleWorker]:
        """Return those that were not asked to end."""
        return [worker for worker in self.alive if not worker.leaving]

    @property
    def proven(self) -> bool:
        """Return whether enough tasks have gone through it."""
        return self.successes + self.failures >= WATCH_TASKS and not self.failing

    @property
    def failing(self) -> bool:
        """Return whether its first tasks all fail, or its workers die of them."""
        bad = self.failures + self.deaths
        return bool(self.broken) or (bad >= FAILURE_LIMIT and not self.successes)

    def describe(self, now: float) -> GenerationStatus:
        """Return what `status` shows."""
        return {
            "generation": self.number,
            "state": self.state.value,
            "digest": self.digest,
            "workers": [worker.describe(now) for worker in self.alive],
            "done": self.successes,
            "failed": self.failures,
            "restarts": self.restarts,
            "last_error": self.last_error,
        }

    # --- its life -------------------------------------------------------------------------------

    def move(self, state: GenerationState) -> None:
        """Enter another state; an impossible one raises AssertionError."""
        self.state = change(self.state, state)
        self.moved.set()
        log.info("role.generation", role=self.role.role, number=self.number, state=state.value)

    def start_workers(self, count: int) -> list[RoleWorker]:
        """Have so many more started; they say themselves when they are ready.

        Raises:
            KhiveError, OSError: it is impossible now; those before it are in the generation.
        """
        environment = self.around.environment.of(self.role)
        return [self._start_worker(environment) for _ in range(count)]

    def _start_worker(self, environment: dict[str, str]) -> RoleWorker:
        role, config = self.role, self.config
        name = named_here(f"{role.role}-{self.number}-{secrets.token_hex(4)}", self.around.node())
        worker = RoleWorker(name, role.role, self.observer, self.around.take_log, role.timeout)
        request: RoleRequest = {
            "kind": "role",
            "worker": name,
            "role": role.role,
            "generation": self.number,
            "digest": self.digest,
            "config": snapshot.dumps(replace(config, roles=(role,))),
            "env": environment,
            "log_level": config.log.level,
        }
        worker.start(self.around.spawn, request, role.warm_timeout)
        self.workers[name] = worker
        return worker

    async def warm_up(self) -> None:
        """Start all workers in turn, and wait until they are ready; `broken` says why not."""
        try:
            await asyncio.gather(*(self._warm_one() for _ in range(self.role.workers)))
        except asyncio.CancelledError:
            for worker in self.alive:
                worker.terminate()
            raise

    async def _warm_one(self) -> None:
        async with self.around.turns:
            if self.broken:
                return
            try:
                (worker,) = self.start_workers(1)
                # One that is late is killed; this is for what cannot be.
                patience = self.role.warm_timeout + KILL_PATIENCE
                await asyncio.wait_for(worker.settled.wait(), patience)
            except (KhiveError, OSError, TimeoutError) as error:
                self.broken = str(error) or "a worker neither got ready nor ended"

    def activate(self) -> None:
        """Let all workers that are ready take tasks; the others follow when they are."""
        if self.state is GenerationState.WARMING:
            self.move(GenerationState.READY)
        self.move(GenerationState.ACTIVE)
        for worker in self.staying:
            if worker.ready and not worker.active:
                worker.go()

    def close_queues(self) -> None:
        """Have its workers finish what they hold, and end."""
        if self.state is GenerationState.ACTIVE:
            self.move(GenerationState.DRAINING)
        for worker in self.alive:
            worker.drain()

    async def proves_itself(self) -> bool:
        """Wait for its first tasks, as long as it is watched; return whether it may stay."""
        end = self.around.clock() + WATCH_SECONDS
        while not self.failing and not self.proven:
            left = end - self.around.clock()
            if left <= 0 or self.state is not GenerationState.ACTIVE:
                break
            self.moved.clear()
            try:
                await asyncio.wait_for(self.moved.wait(), left)
            except TimeoutError:
                break
        return not self.failing

    def after_death(self, code: int | None, now: float) -> RestartVerdict:
        """Decide what follows the death of a worker; None: nobody knows how it ended."""
        verdict = after_death(
            RestartPolicy.of(self.config),
            self.died_at,
            now=now,
            code=code if code is not None else -signal.SIGKILL,
            jitter=_JITTER.random(),
        )
        self.died_at = verdict.deaths
        return verdict

    async def end(self, patience: float) -> bool:
        """Close all queues, wait, ask, and kill; return whether waiting was enough."""
        return all(await asyncio.gather(*(one.see_out(patience) for one in self.alive)))


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
