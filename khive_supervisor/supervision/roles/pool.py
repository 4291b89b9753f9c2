"""The workers of one role, by generations: staged, switched to, watched, drained, replaced.

A new generation is ready before the old one's queues close, so there are never fewer workers that
can take tasks than before. What fails before the switch leaves the old one untouched; what fails
its first tasks is rolled back: the old definition starts again, with a number of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from khive_supervisor import exitcodes, logs
from khive_supervisor.config.settings.budget import ModelPrice
from khive_supervisor.config.settings.model import Config
from khive_supervisor.config.settings.roles import Role
from khive_supervisor.errors import KhiveError, StagingFailed
from khive_supervisor.supervision.roles.events import GaveUp, RolledBack, Watch
from khive_supervisor.supervision.roles.generation import PoolDependencies, Restarts, RoleGeneration
from khive_supervisor.supervision.roles.lifecycle import FINAL, GenerationState
from khive_supervisor.supervision.roles.status import PoolStatus
from khive_supervisor.supervision.roles.worker import RoleWorker

log = logs.get("khive.roles")
_T = TypeVar("_T")

#: Generations that are over and still shown.
REMEMBERED = 5


@dataclass(slots=True, eq=False)
class RolePool:
    """One role; used only from the supervisor's loop, one change at a time (`lock`).

    Attributes:
        newest: the number of the last generation that was begun.
        current: the one that tasks are routed to.
    """

    role: Role
    config: Config
    around: PoolDependencies
    newest: int = 0
    in_service: bool = True
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    current: RoleGeneration | None = None
    last_error: str = ""
    _generations: list[RoleGeneration] = field(default_factory=list)
    _restarts: Restarts = field(default_factory=Restarts)
    _watching: Watch | None = None
    _given_up_for: str = ""
    _background: set[asyncio.Task[Any]] = field(default_factory=set)

    # --- what there is --------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """Return the role's."""
        return self.role.role

    @property
    def ready(self) -> int:
        """Return how many workers take tasks."""
        return sum(worker.serving for worker in self.workers)

    @property
    def state(self) -> str:
        """Return how it is, in one word."""
        current = self.current
        if not self.in_service:
            return "drained"
        if current is None:
            return "failed" if self._generations else "starting"
        if current.state is GenerationState.FAILED:
            return "failed"
        if self.ready >= self.role.workers:
            return "ready"
        return "degraded" if self.ready or current.restarts or current.deaths else "starting"

    @property
    def warm(self) -> bool:
        """Return whether all workers are ready, or nothing is left to wait for."""
        now = self.current
        return now is None or now.state in FINAL or all(w.ready for w in now.staying)

    @property
    def workers(self) -> list[RoleWorker]:
        """Return all of its processes."""
        return [worker for generation in self._generations for worker in generation.alive]

    def wake(self) -> None:
        """Tell the workers that have nothing to do."""
        for worker in self.workers:
            if worker.idle:
                worker.wake()

    # --- the first generation -------------------------------------------------------------------

    def begin(self) -> None:
        """Start the first workers; each takes tasks as soon as it is ready."""
        generation = self._new_generation(self.role, self.config)
        self.current = generation
        try:
            generation.start_workers(self.role.workers)
        except (KhiveError, OSError) as error:
            self._give_up(generation, str(error))
            return
        generation.move(GenerationState.WARMING)
        if not self.role.workers:
            self._activate(generation)

    # --- staging --------------------------------------------------------------------------------

    async def stage(self, role: Role, config: Config) -> RoleGeneration:
        """Start workers by a definition, and wait until all of them are ready.

        Raises:
            StagingFailed: they cannot be; nothing of it is left.
        """
        await self.settle()
        generation = self._new_generation(role, config)
        generation.move(GenerationState.WARMING)
        await generation.warm_up()
        if generation.broken:
            await self._discard(generation)
            raise StagingFailed(f"The role {self.name} got no new workers: {generation.broken}")
        generation.move(GenerationState.READY)
        return generation

    async def _discard(self, generation: RoleGeneration) -> None:
        """End one that never had a task, so that there is nothing to wait for."""
        why = generation.last_error = self.last_error = generation.broken
        log.error("role.staging_failed", role=self.name, number=generation.number, error=why)
        await generation.end(0.0)
        generation.move(GenerationState.FAILED)

    def _new_generation(self, role: Role, config: Config) -> RoleGeneration:
        self.newest += 1
        over = [g for g in self._generations if g.state in FINAL and not g.alive]
        for old in over[:-REMEMBERED]:
            self._generations.remove(old)
        self._generations.append(RoleGeneration(self.newest, role, config, self.around, self))
        return self._generations[-1]

    # --- the switch -----------------------------------------------------------------------------

    def switch(self, new: RoleGeneration) -> RoleGeneration | None:
        """Give the tasks to a generation that is ready; return the one that had them before.

        Raises:
            StagingFailed: it has broken since it was ready.
        """
        if new.broken:
            self._spawn_task(self._discard(new))
            raise StagingFailed(f"The role {self.name} got no new workers: {new.broken}")
        old, self.current = self.current, new
        self.role, self.config = new.role, new.config
        self._activate(new)
        if old is not None and old.state not in FINAL:
            self._close_queues(old)
        self.around.changed()
        return old

    def _activate(self, generation: RoleGeneration) -> None:
        generation.activate()
        self._count("switched")

    def _close_queues(self, generation: RoleGeneration) -> None:
        generation.close_queues()
        self._count("closed")

    def suspend(self) -> RoleGeneration | None:
        """Take the role out of service, so that its tasks wait; return what is to be retired."""
        self.in_service = False
        self._restarts.cancel()
        old, self.current = self.current, None
        if old is not None and old.state not in FINAL:
            self._close_queues(old)
        self.around.changed()
        return old

    # --- draining -------------------------------------------------------------------------------

    async def retire(self, generation: RoleGeneration | None) -> None:
        """See a generation out whose queues are closed: wait up to its deadline, then end it."""
        if generation is None:
            return
        in_time = await generation.end(generation.role.drain_deadline)
        if generation.state in FINAL:
            return
        if generation.state is GenerationState.ACTIVE:
            generation.move(GenerationState.DRAINING)
        # One that was taken out of service before it served had nothing to finish.
        late = generation.state is GenerationState.DRAINING and not in_time
        generation.move(GenerationState.FAILED if late else GenerationState.RETIRED)
        self.around.changed()

    async def end(self, patience: float) -> None:
        """Finish what is held within `patience` (seconds), then end everything."""
        await self._begin_no_more()
        ends = (one.end(min(patience, one.role.drain_deadline)) for one in self._generations)
        await asyncio.gather(*ends)

    async def let_go(self, patience: float) -> None:
        """Start no more workers, and end nobody who is at work: another release takes over."""
        await self._begin_no_more()
        workers = self.workers
        for worker in workers:
            worker.drain()
        await asyncio.gather(*(worker.gone_within(patience) for worker in workers))

    async def _begin_no_more(self) -> None:
        self._restarts.cancel()
        tasks = list(self._background)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # --- watching, and rolling back -------------------------------------------------------------

    def watch(self, new: RoleGeneration, old: RoleGeneration | None) -> Watch:
        """See whether a generation does its first tasks, and roll it back if not."""
        self._watching = self._spawn_task(self._watch(new, old))
        return self._watching

    async def settle(self) -> None:
        """End a watch that is still on, since something else is to follow."""
        task, self._watching = self._watching, None
        if task is not None and not task.done() and task is not asyncio.current_task():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _watch(self, new: RoleGeneration, old: RoleGeneration | None) -> RolledBack | None:
        if await new.proves_itself():
            return None
        async with self.lock:
            return await self._roll_back(new, old)

    async def _roll_back(self, bad: RoleGeneration, old: RoleGeneration | None) -> RolledBack:
        """Go back to the definition before, if there is one and it starts."""
        why = bad.broken or bad.last_error or f"{bad.failures} of its first tasks failed"
        self.last_error = f"Generation {bad.number} was rolled back: {why}"
        log.error("role.rolling_back", role=self.name, number=bad.number, error=why)
        if old is None:  # the restart policy decides
            return RolledBack(bad.role, None, self.last_error)
        self._watching = None
        try:
            again = await self.stage(old.role, old.config)
            self.switch(again)
        except StagingFailed as error:
            self.last_error += f" The definition before it does not start either: {error}"
            log.error("role.not_rolled_back", role=self.name, error=str(error))
            return RolledBack(bad.role, None, self.last_error)
        if bad.state is not GenerationState.FAILED:
            bad.move(GenerationState.FAILED)
        bad.broken = bad.broken or why
        log.warning("role.rolled_back", role=self.name, bad=bad.number, number=again.number)
        self._spawn_task(bad.end(bad.role.drain_deadline))
        return RolledBack(bad.role, again.role, self.last_error)

    def _spawn_task(self, work: Coroutine[Any, Any, _T]) -> asyncio.Task[_T]:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return task

    # --- changes that need no new generation ----------------------------------------------------

    def adjust(self, role: Role, config: Config) -> None:
        """Take over what may change in place: the number of workers, task types, deadlines."""
        self.role, self.config = role, config
        current = self.current
        if current is None or current.state in FINAL:
            return
        current.role, current.config = role, config
        staying = current.staying
        surplus = len(staying) - role.workers
        if surplus > 0:
            staying.sort(key=lambda worker: (worker.ready, worker.task is not None))
            for worker in staying[:surplus]:
                worker.drain()
                self._spawn_task(worker.see_out(role.drain_deadline))
            self._count("scaled")
        elif surplus < 0:
            current.start_workers(-surplus)
        self.around.changed()

    def reprice(self, prices: tuple[ModelPrice, ...]) -> None:
        """Have all workers, those that come later among them, count with these prices."""
        self.config = replace(self.config, prices=prices)
        for generation in self._generations:
            generation.config = replace(generation.config, prices=prices)
        for worker in self.workers:
            worker.reprice(prices)

    # --- what workers do ------------------------------------------------------------------------

    def _generation_of(self, worker: RoleWorker) -> RoleGeneration:
        return next(g for g in self._generations if worker.name in g.workers)

    def worker_ready(self, worker: RoleWorker) -> None:
        """Let a worker that has become ready take tasks, if those are its generation's."""
        generation = self._generation_of(worker)
        log.info("role.worker_ready", role=self.name, worker=worker.name, worker_pid=worker.pid)
        if generation is not self.current or worker.leaving:
            return
        if generation.state is GenerationState.WARMING:
            self._activate(generation)
        elif generation.state is GenerationState.ACTIVE:
            worker.go()
            self._count("ready")
        self.around.changed()

    def worker_ended_task(self, worker: RoleWorker, *, ok: bool) -> None:
        """Count a task towards what its generation has proved."""
        generation = self._generation_of(worker)
        generation.successes += ok
        generation.failures += not ok
        generation.moved.set()
        if self.role.budget.limited:
            self.wake()  # what it had set aside may let another worker begin

    def worker_gone(self, worker: RoleWorker) -> None:
        """Forget a worker, have its tasks released, and see about another one."""
        generation = self._generation_of(worker)
        del generation.workers[worker.name]
        asked = worker.leaving
        tell = log.info if asked or not worker.code else log.warning
        tell("role.worker_gone", role=self.name, worker=worker.name, exit=worker.how)
        self.around.release(worker, not asked)
        if not asked and generation.state not in FINAL:
            self._lost(generation, worker)
        generation.moved.set()
        self._count("gone")

    def _lost(self, generation: RoleGeneration, worker: RoleWorker) -> None:
        """See about another worker for one that was meant to stay."""
        why = worker.failed or f"a worker ended with {worker.how}"
        if worker.code not in (exitcodes.OK, exitcodes.RECYCLE):
            generation.deaths += 1
            generation.last_error = self.last_error = why
        if generation is not self.current:
            generation.broken = why
            return
        if worker.code == exitcodes.RECYCLE:
            self._restart(generation)
            return
        now = self.around.clock()
        verdict = generation.after_death(worker.code, now)
        if verdict.at is None:
            self._give_up(generation, f"{why} ({verdict.reason})")
        else:
            self._restarts.later(verdict.at - now, lambda: self._restart(generation))

    def _restart(self, generation: RoleGeneration) -> None:
        """Bring a generation to its number of workers again."""
        if generation is not self.current or generation.state in FINAL:
            return
        if len(generation.staying) >= generation.role.workers:
            return
        generation.restarts += 1
        try:
            generation.start_workers(1)
        except (KhiveError, OSError) as error:
            generation.last_error = self.last_error = str(error)
            delay = self.config.supervisor.restart_backoff_max
            self._restarts.later(delay, lambda: self._restart(generation))

    def _give_up(self, generation: RoleGeneration, why: str) -> None:
        """Leave this role down for long, or until somebody mends it; the others go on."""
        generation.broken = generation.last_error = self.last_error = why
        log.error("role.gave_up", role=self.name, number=generation.number, error=why)
        generation.move(GenerationState.FAILED)
        for worker in generation.alive:
            worker.drain()
        if why != self._given_up_for:  # what is tried again and again is on record once
            self._given_up_for = why
            self.around.events.put_nowait(GaveUp(self.name, why))
        self.around.changed()
        self._restarts.much_later(lambda: self._begin_again(generation))

    def _begin_again(self, given_up: RoleGeneration) -> None:
        """Try a role that was given up, unless something else has become of it meanwhile."""
        if self.current is given_up and self.in_service and not self.lock.locked():
            log.info("role.tried_again", role=self.name)
            self.begin()
            self.around.changed()

    # --- telling --------------------------------------------------------------------------------

    def _count(self, why: str) -> None:
        log.info("role.workers", role=self.name, ready=self.ready, why=why)

    def describe(self, now: float) -> PoolStatus:
        """Return what `status` shows."""
        return {
            "role": self.name,
            "state": self.state,
            "in_service": self.in_service,
            "generation": self.current.number if self.current else None,
            "workers_wanted": self.role.workers if self.in_service else 0,
            "workers_ready": self.ready,
            "restarts": sum(generation.restarts for generation in self._generations),
            "last_error": self.last_error,
            "generations": [generation.describe(now) for generation in self._generations],
        }
