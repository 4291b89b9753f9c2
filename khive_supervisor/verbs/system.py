"""The system pack: how the supervisor and the store are doing."""

from __future__ import annotations

from typing import Any

from khive_supervisor import __version__
from khive_supervisor.errors import NotRunning
from khive_supervisor.verbs import audit
from khive_supervisor.verbs.context import Context
from khive_supervisor.verbs.registry import Arguments, Pack, Verb


def status(context: Context, _args: Arguments) -> dict[str, Any]:
    """The session, the store in numbers, and the supervisor if there is one."""
    stats = context.store.stats()
    answer: dict[str, Any] = {
        "version": __version__,
        "session": {
            "id": context.session.id,
            "namespace": context.session.namespace or context.config.session.namespace,
            "cwd": context.session.cwd,
        },
        "store": {
            "path": context.store.path,
            "entries": dict(stats.live),
            "namespaces": dict(stats.namespaces),
            "forgotten": stats.deleted,
            "superseded": stats.superseded,
            "bytes": stats.file_bytes,
        },
    }
    try:
        answer["supervisor"] = context.ask_supervisor("status")
    except NotRunning as error:
        answer["supervisor"] = {"state": "not running", "why": str(error)}
    return answer


PACK = Pack(
    "system",
    "The supervisor and the store.",
    (
        Verb(
            "system.status",
            "Show how the memory, its index and the supervisor are doing.",
            status,
            read_only=True,
            tool=True,
        ),
        Verb(
            "system.audit",
            "List what was done to tasks, profiles and the configuration, and by whom.",
            audit.audit,
            audit.PROPERTIES,
            read_only=True,
        ),
    ),
)
