"""Rows of the tasks' table as values."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from khive_supervisor.tasks.lease import Moment
from khive_supervisor.tasks.model import WAITING, Claim, Task
from khive_supervisor.text import wellformed

_PLAIN = (
    "id, role, task_type, priority, idempotency, state, attempts, attempts_max, token, worker, "
    "generation, digest, boot, lease_until, cancel_asked, deadline, not_before, progress, error, "
    "chosen, quality, actor, namespace, session, created_at, started_at, ended_at, cwd, "
    "agent_session, agent_counted, place, project, candidate, route, waiting"
)
#: What `task_of` takes.
COLUMNS = f"{_PLAIN}, payload, result, log_tail"
_NAMES = tuple(COLUMNS.split(", "))

#: What `claim_of` takes.
CLAIMED_COLUMNS = (
    "id, token, role, task_type, payload, attempts, attempts_max, deadline, actor, namespace, "
    "session, cwd, agent_session, agent_counted, project, created_at"
)


def light_columns(table: str = "tasks") -> str:
    """Return what `task_of` takes without what is large, but for the log of a task at work."""
    names = [f"{table}.{name}" for name in _PLAIN.split(", ")]
    log = f"iif({table}.state = 'leased', {table}.log_tail, NULL)"
    return ", ".join([*names, "NULL", "NULL", log])


def task_of(row: tuple[Any, ...]) -> Task:
    """Return the task of a row of `COLUMNS` or `light_columns`."""
    fields = dict(zip(_NAMES, row, strict=True))
    boot, until, wait = fields.pop("boot"), fields.pop("lease_until"), fields["not_before"]
    for name in ("payload", "result", "chosen", "place", "project", "route"):
        if fields[name] is not None:
            fields[name] = _value(fields[name])
    if fields.pop("waiting"):
        fields["state"] = WAITING
    fields["cancel_asked"] = bool(fields["cancel_asked"])
    fields["lease"] = None if until is None else Moment(boot, until)
    fields["not_before"] = Moment(boot, wait) if wait else None
    return Task(**fields)


def claim_of(row: tuple[Any, ...], lease: Moment) -> Claim:
    """Return the claim of a row of `CLAIMED_COLUMNS`, as it will be once it is claimed."""
    task_id, token, role, task_type, payload, attempts, most, *rest, project, created = row
    found = Claim(
        task_id, token + 1, role, task_type, _value(payload), attempts + 1, most, lease, *rest
    )
    known = None if project is None else _value(project)
    return replace(found, project=known, created_at=created)


def _value(text: str) -> Any:
    """Return what JSON in a row stands for; earlier releases stored texts that are not Unicode."""
    return json.loads(wellformed.json_escapes(text))
