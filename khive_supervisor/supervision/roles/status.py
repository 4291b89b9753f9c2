"""What is told of a role: by `status`, as plain data, and in the store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from khive_supervisor.supervision.roles.generation import RoleGeneration
from khive_supervisor.supervision.roles.lifecycle import GenerationState
from khive_supervisor.tasks.model import RoleRow

if TYPE_CHECKING:
    from khive_supervisor.supervision.roles.pool import RolePool


def describe(pool: RolePool, generations: Sequence[RoleGeneration], now: float) -> dict[str, Any]:
    """One role with its generations."""
    return {
        "role": pool.name,
        "state": state_of(pool),
        "in_service": pool.in_service,
        "generation": pool.current.number if pool.current else None,
        "workers_wanted": pool.role.workers if pool.in_service else 0,
        "workers_ready": pool.ready,
        "restarts": sum(generation.restarts for generation in generations),
        "last_error": pool.last_error,
        "generations": [generation.describe(now) for generation in generations],
    }


def state_of(pool: RolePool) -> str:
    """How it is, in one word."""
    if not pool.in_service:
        return "drained"
    current = pool.current
    if current is None and not pool.tried:
        return "starting"
    if current is None or current.state is GenerationState.FAILED:
        return "failed"
    if pool.ready >= pool.role.workers:
        return "ready"
    return "degraded" if pool.ready or current.restarts or current.deaths else "starting"


def row_of(pool: RolePool) -> RoleRow:
    """What sessions read of it, and the next supervisor."""
    role, current = pool.role, pool.current
    return RoleRow(
        role=role.role,
        task_types=role.task_types,
        digest=current.digest if current else "",
        generation=current.number if current else pool.newest,
        workers=role.workers,
        attempts=role.attempts,
        in_service=pool.in_service and not pool.given_up,
        priority=role.priority,
    )
