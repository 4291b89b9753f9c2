"""Watching a new generation do its first tasks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from khive_supervisor.supervision.roles.generation import RoleGeneration
from khive_supervisor.supervision.roles.lifecycle import GenerationState

#: Seconds for which a new generation is watched, if it does not prove itself before.
WATCH_SECONDS = 30.0


async def keeps(new: RoleGeneration, clock: Callable[[], float]) -> bool:
    """Wait until a generation has proved itself, or failed; whether it may stay."""
    end = clock() + WATCH_SECONDS
    while not new.failing and not new.proven:
        left = end - clock()
        if left <= 0 or new.state is not GenerationState.ACTIVE:
            break
        new.moved.clear()
        try:
            await asyncio.wait_for(new.moved.wait(), left)
        except TimeoutError:
            break
    return not new.failing
