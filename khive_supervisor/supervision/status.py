"""The form of what `status` says: plain data."""

from __future__ import annotations

from khive_supervisor.supervision.control.sessions import SessionStatus
from khive_supervisor.supervision.maintenance.loop import IndexReport
from khive_supervisor.supervision.processes.child import ChildStatus
from khive_supervisor.supervision.processes.http_listener import HttpStatus
from khive_supervisor.supervision.processes.jobs import BuilderStatus
from khive_supervisor.supervision.reload.reloader import ReloadStatus
from khive_supervisor.supervision.roles.status import RolesStatus
from khive_supervisor.supervision.team.replicator import TeamStatus
from khive_supervisor.supervision.upgrade.handover import UpgradeStatus
from khive_supervisor.supervision.watch.watcher import FreshnessStatus


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
    team: TeamStatus
    freshness: FreshnessStatus
    http: HttpStatus
    environment: dict[str, str]
    sessions: list[SessionStatus]
    ignored: list[dict[str, str]]
    sessions_served: int
    sessions_hung: int
    reload: ReloadStatus
