"""What `status` says, as plain data."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from typing import Protocol

from khive_supervisor import __version__
from khive_supervisor.supervision.control.sessions import SessionStatus, SessionTable
from khive_supervisor.supervision.control.terms import SessionTerms
from khive_supervisor.supervision.maintenance.loop import IndexReport
from khive_supervisor.supervision.maintenance.work import Upkeep
from khive_supervisor.supervision.processes.builder import BuilderStatus
from khive_supervisor.supervision.processes.child import Child, ChildStatus
from khive_supervisor.supervision.processes.http_listener import HTTP_OFF, HttpFront, HttpStatus
from khive_supervisor.supervision.processes.spawner import Spawner
from khive_supervisor.supervision.processes.states import ProcessState
from khive_supervisor.supervision.reload.reloader import Reloader, ReloadStatus
from khive_supervisor.supervision.roles.manager import Roles
from khive_supervisor.supervision.roles.status import RolesStatus
from khive_supervisor.supervision.upgrade.handover import Upgrader, package_directory
from khive_supervisor.supervision.upgrade.states import UpgradeStatus
from khive_supervisor.supervision.watch.store_file import StoreWatch
from khive_supervisor.supervision.watch.watcher import FreshnessStatus, Watcher

#: Seconds that `status` waits for a fresh look at the store.
PATIENCE = 0.5


class Status(RolesStatus):
    """The whole supervisor; docs/operations.md says what each field means."""

    state: str
    version: str
    prefix: str
    package: str
    upgrade: UpgradeStatus
    pid: int
    uptime_seconds: float
    config_file: str | None
    socket: str
    store: str
    store_problem: str
    store_note: str
    log: str
    worker_start: str
    children: list[ChildStatus]
    builder: BuilderStatus
    index: IndexReport
    freshness: FreshnessStatus
    http: HttpStatus
    environment: dict[str, str]
    sessions: list[SessionStatus]
    ignored: list[dict[str, str]]
    sessions_served: int
    sessions_hung: int
    reload: ReloadStatus


class Told(Protocol):
    """The parts of a supervisor that `status` tells of."""

    clock: Callable[[], float]
    started: float
    config_file: str | None
    socket_path: str
    reloader: Reloader
    upgrader: Upgrader
    store_watch: StoreWatch
    spawner: Spawner
    children: dict[str, Child]
    upkeep: Upkeep
    watcher: Watcher
    http: HttpFront | None
    roles: Roles
    sessions: SessionTable
    terms: SessionTerms


class StatusReport:
    """Tells of the parts of one supervisor."""

    def __init__(self, parts: Told) -> None:
        self._parts = parts

    async def fresh(self) -> Status:
        """Return what `status` answers, after a look at the store if that is to be had at once."""
        # An entry stored a moment ago should be counted; a slow disk should not delay the answer.
        look = asyncio.gather(self._parts.upkeep.look(), self._parts.roles.look())
        look.add_done_callback(lambda done: done.cancelled() or done.exception())
        await asyncio.wait([look], timeout=PATIENCE)
        return self.describe()

    def describe(self) -> Status:
        """Return what is known without a look."""
        parts = self._parts
        now, config = parts.clock(), parts.reloader.config
        return {
            "state": self._overall(),
            "version": __version__,
            "prefix": sys.prefix,
            "package": package_directory(),
            "upgrade": parts.upgrader.describe(),
            "pid": os.getpid(),
            "uptime_seconds": round(now - parts.started, 1),
            "config_file": parts.config_file,
            "socket": parts.socket_path,
            "store": config.store.path,
            "store_problem": parts.store_watch.problem,
            "store_note": parts.store_watch.note,
            "log": config.log.file,
            "worker_start": parts.spawner.how,
            "children": [child.describe() for child in parts.children.values()],
            "builder": parts.upkeep.builder.progress_status(),
            "index": parts.upkeep.index_state.describe(config.embedder.kind),
            "freshness": parts.watcher.describe(),
            "http": parts.http.describe(parts.children["http"]) if parts.http else HTTP_OFF,
            **parts.roles.describe(),
            "environment": parts.roles.environment.describe(),
            "sessions": [session.describe(now) for session in parts.sessions],
            "ignored": parts.terms.describe(),
            "sessions_served": parts.sessions.served,
            "sessions_hung": parts.sessions.hung,
            "reload": parts.reloader.describe(),
        }

    def _overall(self) -> str:
        parts = self._parts
        states = {child.state for child in parts.children.values()}
        hangs = not all(child.well for child in parts.children.values())
        if parts.roles.failed or hangs or parts.store_watch.problem:
            return "degraded"
        if states <= {ProcessState.READY}:
            return "ready"
        down = states & {ProcessState.FATAL, ProcessState.BACKOFF}
        return "degraded" if down else "starting"
