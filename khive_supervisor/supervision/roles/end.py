"""Ending the workers of a role: queues closed, time to finish, then asked, then killed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from khive_supervisor import logs
from khive_supervisor.supervision.roles.generation import RoleGeneration
from khive_supervisor.supervision.roles.worker import TERM_GRACE, RoleWorker

log = logs.get("khive.roles")

#: Seconds in which a group must be gone that was killed.
KILL_PATIENCE = 5.0


async def end_generation(generation: RoleGeneration, patience: float) -> bool:
    """Close, wait, ask, kill; whether waiting was enough."""
    for worker in generation.alive:
        worker.drain()
    if await all_gone(generation.alive, patience):
        return True
    for worker in generation.alive:
        if patience:
            log.warning("role.drain_deadline", worker=worker.name, task=worker.task)
        worker.terminate()
    await all_gone(generation.alive, TERM_GRACE + KILL_PATIENCE)
    return False


async def see_out(worker: RoleWorker, patience: float) -> None:
    """Wait for one worker whose queue is closed, and end it if it takes too long."""
    if not await all_gone([worker], patience):
        log.warning("role.drain_deadline", worker=worker.name, task=worker.task)
        worker.terminate()
        await worker.ended.wait()


async def all_gone(workers: Sequence[RoleWorker], patience: float) -> bool:
    """Wait for their ends; whether all have come."""
    waits = [asyncio.ensure_future(worker.ended.wait()) for worker in workers]
    if not waits:
        return True
    _, left = await asyncio.wait(waits, timeout=patience)
    for wait in left:
        wait.cancel()
    return not left
