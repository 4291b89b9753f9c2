"""Starting the workers of a role: what each is asked to be, and what it may see."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from khive_supervisor.config import snapshot
from khive_supervisor.config.settings.roles import Role
from khive_supervisor.errors import BootFailure
from khive_supervisor.supervision.processes import login_shell
from khive_supervisor.supervision.roles.generation import PoolDependencies, RoleGeneration
from khive_supervisor.supervision.roles.worker import RoleWorker, WorkerObserver


def start_workers(
    generation: RoleGeneration, count: int, observer: WorkerObserver, around: PoolDependencies
) -> list[RoleWorker]:
    """Have so many workers of a generation started; they say themselves when they are ready.

    Raises:
        KhiveError, OSError: it is impossible now; those before it are in the generation.
    """
    environment = environment_of(generation.role, around.environ())
    return [_start_worker(generation, environment, observer, around) for _ in range(count)]


def environment_of(role: Role, environ: Mapping[str, str]) -> dict[str, str]:
    """The variables that a role's handler sees, in the place of those that its worker starts with.

    Raises:
        BootFailure: one is missing that it cannot do without.
    """
    lacking = [name for name in role.env_require if name not in environ]
    if lacking:
        raise BootFailure(
            f"The role {role.role} requires {', '.join(lacking)} in the environment.",
            hint="Start the supervisor with it, or take it out of env_require.",
        )
    asked = {name: environ[name] for name in role.variables if name in environ}
    return {**login_shell.usual(environ), **asked}


def _start_worker(
    generation: RoleGeneration,
    environment: dict[str, str],
    observer: WorkerObserver,
    around: PoolDependencies,
) -> RoleWorker:
    role, config = generation.role, generation.config
    name = f"{role.role}-{generation.number}-{secrets.token_hex(4)}"
    worker = RoleWorker(name, observer, around.take_log)
    request: dict[str, Any] = {
        "kind": "role",
        "worker": name,
        "role": role.role,
        "generation": generation.number,
        "digest": generation.digest,
        "config": snapshot.dumps(replace(config, roles=(role,))),
        "env": environment,
        "log_level": config.log.level,
    }
    worker.start(around.spawn, request, role.warm_timeout)
    generation.workers[name] = worker
    return worker
