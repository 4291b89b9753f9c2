"""A role's pool over workers that are only sockets, for tests of what it does."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from khive_supervisor.config.settings.model import Config
from khive_supervisor.config.settings.roles import Handler, Role
from khive_supervisor.control import protocol
from khive_supervisor.supervision.roles.environment import RoleEnvironment
from khive_supervisor.supervision.roles.events import RoleEvent
from khive_supervisor.supervision.roles.generation import PoolDependencies
from khive_supervisor.supervision.roles.lifecycle import GenerationState
from khive_supervisor.supervision.roles.pool import RolePool
from khive_supervisor.supervision.roles.worker import RoleWorker

ROLE = Role("py", ("work",), Handler(python="m:f"), workers=2)
DEADLINE = 60.0


class FakeWorker:
    """The other end of a queue."""

    def __init__(self, request: dict[str, Any], fd: int) -> None:
        self.request = request
        self.name = str(request["worker"])
        self.queue = socket.socket(fileno=fd)
        self.queue.setblocking(False)
        self._decoder = protocol.FrameDecoder()

    def say(self, **message: Any) -> None:
        self.queue.send(protocol.encode(message))

    def heard(self) -> list[str]:
        """What it was told since the last time; "end" if its queue has ended."""
        told: list[str] = []
        while True:
            try:
                data = self.queue.recv(65536)
            except BlockingIOError:
                return told
            if not data:
                return [*told, "end"]
            told += [str(message["do"]) for message in self._decoder.feed(data)]


class Fakes:
    """A pool, what it works with, and the workers that it has asked for."""

    def __init__(self) -> None:
        self.workers: list[FakeWorker] = []
        self.turns = asyncio.Semaphore(8)
        self.released: list[tuple[str, bool]] = []
        self.environ = {"TOKEN": "t", "OTHER": "o"}
        self.refuse: Exception | None = None
        self.now = 100.0
        self.events: asyncio.Queue[RoleEvent] = asyncio.Queue()
        self.dependencies = PoolDependencies(
            self.spawn,
            self._release,
            lambda: None,
            lambda _fd: None,
            RoleEnvironment(self.environ),
            self.events,
            clock=lambda: self.now,
            turns=self.turns,
        )
        self.pool = RolePool(ROLE, Config(roles=(ROLE,)), self.dependencies)

    def spawn(self, request: dict[str, Any], fds: Sequence[int]) -> None:
        if self.refuse is not None:
            raise self.refuse
        (fd,) = fds
        self.workers.append(FakeWorker(request, socket.dup(fd)))

    def _release(self, worker: RoleWorker, died: bool) -> None:
        self.released.append((worker.name, died))

    def find(self, name: str) -> RoleWorker | None:
        """The worker of this name as its pool sees it, while it lives."""
        return next((worker for worker in self.pool.workers if worker.name == name), None)

    def of(self, number: int) -> list[FakeWorker]:
        return [w for w in self.workers if w.request["generation"] == number]

    async def started(self, number: int, count: int = 2) -> list[FakeWorker]:
        await until(lambda: len(self.of(number)) >= count)
        return self.of(number)

    async def ready(self, number: int, count: int = 2) -> list[FakeWorker]:
        found = await self.started(number, count)
        for worker in found:
            worker.say(ready=True)
        return found

    def exit(self, worker: FakeWorker, code: int = 0) -> None:
        found = self.find(worker.name)
        assert found is not None
        worker.queue.close()
        found.exited(code, f"exit code {code}")

    async def begun(self) -> list[FakeWorker]:
        """The first generation, at work."""
        self.pool.begin()
        workers = await self.ready(1)
        await until(lambda: self.pool.ready == 2)
        return workers

    def state(self, number: int) -> GenerationState:
        return next(g.state for g in self.pool._generations if g.number == number)


async def until(condition: Callable[[], Any]) -> None:
    async def wait() -> None:
        while not condition():  # noqa: ASYNC110 - of what the loop itself brings about, so it has to turn
            await asyncio.sleep(0)

    await asyncio.wait_for(wait(), DEADLINE)


def with_pool(test: Callable[[Fakes], Awaitable[None]]) -> Callable[[], None]:
    """Run a test in a loop, and let go of everything at its end."""

    async def run() -> None:
        fakes = Fakes()
        try:
            await test(fakes)
        finally:
            for worker in fakes.workers:
                if worker.queue.fileno() >= 0:
                    if fakes.find(worker.name):
                        fakes.exit(worker)
                    worker.queue.close()
            await fakes.pool.end(0.0)

    def wrapped() -> None:
        asyncio.run(run())

    wrapped.__name__ = test.__name__
    return wrapped
