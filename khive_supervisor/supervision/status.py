"""What `status` says, as plain data."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from khive_supervisor import __version__
from khive_supervisor.supervision.processes.states import ProcessState
from khive_supervisor.supervision.upgrade.handover import package_directory

if TYPE_CHECKING:
    from khive_supervisor.supervision.app import Supervisor


def describe(supervisor: Supervisor) -> dict[str, Any]:
    """The whole supervisor."""
    now = supervisor.clock()
    config = supervisor.config
    children = [child.describe() for child in supervisor.children.values()]
    return {
        "state": _overall(supervisor),
        "version": __version__,
        "prefix": sys.prefix,
        "package": package_directory(),
        "upgrade": supervisor.upgrader.describe(),
        "pid": os.getpid(),
        "uptime_seconds": round(now - supervisor.started, 1),
        "config_file": supervisor.config_file,
        "socket": supervisor.socket_path,
        "store": config.store.path,
        "store_problem": supervisor.store_watch.problem,
        "store_note": supervisor.store_watch.note,
        "log": config.log.file,
        "worker_start": supervisor.spawner.how,
        "children": children,
        "builder": supervisor.upkeep.builder.progress_status(),
        "index": _index(supervisor),
        "freshness": supervisor.watcher.describe(),
        "http": _http(supervisor),
        **supervisor.roles.describe(),
        "environment": supervisor.roles.environment.describe(),
        "sessions": [session.describe(now) for session in supervisor.sessions],
        "ignored": supervisor.terms.describe(),
        "sessions_served": supervisor.sessions.served,
        "sessions_hung": supervisor.sessions.hung,
        "reload": supervisor.reloader.describe(),
    }


def _overall(supervisor: Supervisor) -> str:
    states = {child.state for child in supervisor.children.values()}
    hangs = not all(child.well for child in supervisor.children.values())
    if supervisor.roles.failed or hangs or supervisor.store_watch.problem:
        return "degraded"
    if states <= {ProcessState.READY}:
        return "ready"
    return (
        "degraded" if ProcessState.FATAL in states or ProcessState.BACKOFF in states else "starting"
    )


def _http(supervisor: Supervisor) -> dict[str, Any]:
    if supervisor.http is None:
        return {"state": "off", "url": None, "token_file": None, "problem": ""}
    return supervisor.http.describe(supervisor.children["http"])


def _index(supervisor: Supervisor) -> dict[str, Any]:
    state = supervisor.upkeep.index_state
    if state.vectors is None:
        kind = supervisor.config.embedder.kind
        return {"state": "off" if kind == "none" else "unknown", "embedder": kind}
    generation = state.generation
    return {
        "state": "damaged" if state.damaged else "in use" if generation else "none yet",
        "problem": state.damaged,
        "generation": generation.generation if generation else None,
        "items": generation.items if generation else 0,
        "vectors": state.vectors.vectors,
        "waiting_to_be_embedded": state.vectors.missing,
        "model": state.vectors.model_id,
        "next_build": state.reason.value if state.reason else None,
    }
