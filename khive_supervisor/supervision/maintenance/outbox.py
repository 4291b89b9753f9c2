"""Writes that are owed to the store: tried until the disk takes them, by one loop for all owners.

The supervisor acts whether or not the disk has room. What cannot be written yet stays with its
owner, in order, and is written as soon as that is possible.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from khive_supervisor.errors import KhiveError
from khive_supervisor.store.interface import Store

#: Runs something with the store where that may wait for a disk, and returns what it returns.
InThread = Callable[[Callable[[Store], Any]], Awaitable[Any]]

#: Seconds until a write is tried again.
AGAIN = 1.0


@dataclass(slots=True)
class Outbox:
    """Has what is owed written, one attempt at a time; used only from the supervisor's loop.

    Attributes:
        write_owed: writes everything that is owed; what it raises KhiveError or OSError for is
            still owed, and so is what came after it.
        on_failure: told of each attempt that failed.
    """

    write_owed: Callable[[], Awaitable[None]]
    on_failure: Callable[[Exception], None]
    _wanted: asyncio.Event = field(default_factory=asyncio.Event)
    _writing: asyncio.Lock = field(default_factory=asyncio.Lock)

    def wake(self) -> None:
        """Have `run` write soon: something is owed."""
        self._wanted.set()

    async def flush(self) -> bool:
        """Write what is owed now; return True if nothing is owed any more."""
        return await self.attempt(self.write_owed)

    async def attempt(self, write: Callable[[], Awaitable[None]]) -> bool:
        """Write something once, in turn with what is owed; return whether the disk took it."""
        try:
            async with self._writing:
                await write()
        except (KhiveError, OSError) as error:
            self.on_failure(error)
            return False
        return True

    async def run(self) -> None:
        """Write what comes to be owed, until cancelled."""
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            if not await self.flush():
                await asyncio.sleep(AGAIN)
                self._wanted.set()
