"""What `status` shows of the roles, as plain data."""

from __future__ import annotations

from typing import NotRequired, TypedDict

from khive_supervisor.supervision.processes.states import ShownState


class WorkerStatus(ShownState):
    """One process."""

    worker: str
    pid: int | None
    task: int | None
    seconds: float | None


class GenerationStatus(TypedDict):
    """One definition of a role, and the workers that run by it."""

    generation: int
    state: str
    digest: str
    workers: list[WorkerStatus]
    done: int
    failed: int
    restarts: int
    last_error: str


class PoolStatus(TypedDict):
    """One role with its generations."""

    role: str
    state: str
    in_service: bool
    generation: int | None
    workers_wanted: int
    workers_ready: int
    restarts: int
    last_error: str
    generations: list[GenerationStatus]


class RoleStatus(PoolStatus):
    """One role with its queue."""

    queued: int
    leased: int
    waiting: int
    budget: str


class RolesStatus(TypedDict):
    """All roles, and how many tasks wait for names that no role has."""

    roles: list[RoleStatus]
    unserved: dict[str, int]


class ServiceAnswer(TypedDict):
    """What became of a role by hand: `generation` is missing when it is out of service."""

    role: str
    in_service: bool
    generation: NotRequired[int]
    previous: NotRequired[int | None]
