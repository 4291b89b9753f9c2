"""What the supervisor itself does, on its way to the audit chain.

The supervisor acts whether or not the disk has room: what cannot be written yet is kept in order,
with its time, and written as soon as that is possible.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from khive_supervisor import logs
from khive_supervisor.audit import actors
from khive_supervisor.errors import KhiveError
from khive_supervisor.store.audit import AuditLog

log = logs.get("khive.audit")

#: Entries that may wait; beyond that the disk has been full for long, and the log has to do.
WAITING = 1000
#: Seconds until a write is tried again.
AGAIN = 1.0

#: Runs something with the store's chain where that may wait for a disk.
InThread = Callable[[Callable[[AuditLog], None]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class _Note:
    """An entry that is to be."""

    at: float
    kind: str
    subject: str
    detail: Mapping[str, Any]
    actor: str
    always: bool


class AuditOutbox:
    """The entries that wait; used only from the supervisor's loop."""

    def __init__(self, in_thread: InThread, *, wall_clock: Callable[[], float] = time.time) -> None:
        self._in_thread = in_thread
        self._wall_clock = wall_clock
        self._notes: deque[_Note] = deque()
        self._wanted = asyncio.Event()
        self._writing = asyncio.Lock()

    def note(
        self,
        kind: str,
        subject: str,
        detail: Mapping[str, Any],
        *,
        actor: str = actors.SUPERVISOR,
        always: bool = False,
    ) -> None:
        """Have an entry written, soon and in this order."""
        if len(self._notes) >= WAITING:
            log.error("audit.lost", kind=kind, subject=subject, actor=actor, detail=dict(detail))
            return
        self._notes.append(_Note(self._wall_clock(), kind, subject, detail, actor, always))
        self._wanted.set()

    async def flush(self) -> bool:
        """Write what waits; whether nothing waits any more."""
        async with self._writing:
            while self._notes:
                note = self._notes[0]
                try:
                    await self._in_thread(lambda chain: _write(chain, note))  # noqa: B023 - awaited
                except (KhiveError, OSError) as error:
                    log.warning("audit.not_written", waiting=len(self._notes), error=str(error))
                    return False
                self._notes.popleft()
        return True

    async def run(self) -> None:
        """Write what comes, until cancelled."""
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            if not await self.flush():
                await asyncio.sleep(AGAIN)
                self._wanted.set()


def _write(chain: AuditLog, note: _Note) -> None:
    chain.record(
        note.kind, note.subject, note.detail, actor=note.actor, always=note.always, at=note.at
    )
