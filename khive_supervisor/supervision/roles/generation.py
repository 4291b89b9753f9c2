"""One definition of a role and the workers that run by it, and what all pools work with."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from khive_supervisor.config.settings.model import Config
from khive_supervisor.config.settings.roles import Role, digest
from khive_supervisor.supervision.processes.restart import History
from khive_supervisor.supervision.roles.lifecycle import GenerationState
from khive_supervisor.supervision.roles.worker import RoleWorker

#: Tasks after which a new generation has proved itself.
WATCH_TASKS = 5
#: So many failures and deaths without a success, and it is rolled back.
FAILURE_LIMIT = 3


@dataclass(slots=True, eq=False)
class RoleGeneration:
    """One definition of a role, and the workers that run by it."""

    number: int
    role: Role
    config: Config
    state: GenerationState = GenerationState.STAGING
    workers: dict[str, RoleWorker] = field(default_factory=dict)
    successes: int = 0
    failures: int = 0
    deaths: int = 0
    restarts: int = 0
    last_error: str = ""
    #: Why it cannot go on; empty while it can.
    broken: str = ""
    history: History = field(default_factory=History)
    moved: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def digest(self) -> str:
        """The name of what it does."""
        return digest(self.role)

    @property
    def alive(self) -> list[RoleWorker]:
        """Its processes."""
        return [worker for worker in self.workers.values() if not worker.gone]

    @property
    def staying(self) -> list[RoleWorker]:
        """Those that were not asked to end."""
        return [worker for worker in self.alive if not worker.leaving]

    @property
    def proven(self) -> bool:
        """Whether enough tasks have gone through it."""
        return self.successes + self.failures >= WATCH_TASKS and not self.failing

    @property
    def failing(self) -> bool:
        """Whether its first tasks all fail, or its workers die of them."""
        bad = self.failures + self.deaths
        return bool(self.broken) or (bad >= FAILURE_LIMIT and not self.successes)

    def describe(self, now: float) -> dict[str, Any]:
        """What `status` shows."""
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


@dataclass(frozen=True, slots=True)
class PoolDependencies:
    """What a pool works with; the same for all of them."""

    spawn: Callable[[dict[str, Any], Sequence[int]], None]
    #: Called with a worker that is gone, and whether it died rather than was ended.
    release: Callable[[RoleWorker, bool], None]
    #: Called when what is told of the roles has changed.
    changed: Callable[[], None]
    take_log: Callable[[int], None]
    #: Called with the definition that failed, the one that is back, and why.
    rolled_back: Callable[[Role, Role, str], None] = lambda _bad, _again, _why: None
    #: Called with a role that stays down until somebody mends it, and why.
    gave_up: Callable[[str, str], None] = lambda _role, _why: None
    environ: Callable[[], dict[str, str]] = lambda: dict(os.environ)
    clock: Callable[[], float] = time.monotonic
    #: Held while a worker of a reload starts and imports: one core is left to those at work.
    turns: asyncio.Semaphore = field(
        default_factory=lambda: asyncio.Semaphore(max(1, (os.cpu_count() or 1) - 1))
    )
