"""Children that a signal has stopped: nobody continues them, and their clients wait.

Whoever has forked them sees it without asking, also while no supervisor watches.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from khive_supervisor.host import processes

#: Seconds, as far as they were watched, for which a child may be stopped; and while a supervisor
#: looks at it, too, which finds it sooner and says so.
STOPPED_FOR, SUPERVISED_FOR = 1.5, 3.5
#: Seconds between two looks while one is.
LOOK_EVERY = 0.5
#: Seconds between two looks after which nothing is known of the time in between: then this process
#: was stopped itself, with all others most likely.
LATE = 1.4
#: Seconds between two looks at the siblings of one whose supervisor is stopped.
STAND_IN_EVERY = 0.5
#: Looks at what may be a sibling that is stopped, before it is ended.
LOOKS = 3


def is_stopped(pid: int) -> bool:
    """Return whether a signal has stopped a process; a debugger holds it for its user."""
    return processes.signs_of_life(pid)[0] == "T"


async def end_stopped_siblings(
    socket: str,
    find: Callable[[str], list[int]] = processes.stopped_workers,
    stopped: Callable[[int], bool] = is_stopped,
    end: Callable[[int], None] = processes.end_group,
) -> None:
    """End workers of the same supervisor that stay stopped: it is gone, and cannot look.

    Their clients attach again, and start another.
    """
    found = find(socket)
    for _ in range(LOOKS):
        if not found:
            return
        await asyncio.sleep(STOPPED_FOR / LOOKS)
        found = [pid for pid in found if stopped(pid)]
    for pid in found:
        end(pid)


@dataclass(slots=True)
class StandIn:
    """Looks at the siblings in place of a supervisor that is stopped itself, and of its zygote.

    It is asked after calls, so that a worker whose client is idle never wakes for it; of those
    whose clients wait for a stopped one, a sibling is at work before long, or nobody is in a hurry.

    Attributes:
        socket: the supervisor's.
        supervisor: its process, or None while there is no link to it.
    """

    socket: str
    supervisor: Callable[[], int | None]
    stopped: Callable[[int], bool] = is_stopped
    end_siblings: Callable[[str], Awaitable[None]] = end_stopped_siblings
    _looked_at: float = float("-inf")
    _at_work: bool = False

    def is_due(self, now: float) -> bool:
        """Return whether `run` is to be begun, at most once in a while."""
        if self._at_work or now - self._looked_at < STAND_IN_EVERY:
            return False
        self._looked_at = now
        return self._is_stopped()

    async def run(self) -> None:
        """Look for as long as the supervisor is stopped."""
        self._at_work = True
        try:
            while self._is_stopped():
                await self.end_siblings(self.socket)
                await asyncio.sleep(STAND_IN_EVERY)
        finally:
            self._at_work = False

    def _is_stopped(self) -> bool:
        pid = self.supervisor()
        return pid is not None and self.stopped(pid)


@dataclass(slots=True)
class Halted:
    """The children that are stopped, and since when.

    `supervised`: whether a supervisor looks at them, too.
    """

    supervised: Callable[[], bool] = lambda: False
    stopped: Callable[[int], bool] = is_stopped
    end: Callable[[int], None] = processes.end_group
    _since: dict[int, float] = field(default_factory=dict)
    _looked_at: float = 0.0

    def __bool__(self) -> bool:
        """Return whether one is to be looked at again."""
        return bool(self._since)

    def note(self, pid: int, status: int, now: float) -> bool:
        """Hear what waitpid has said of a child; returns whether it was that it is stopped."""
        if os.WIFSTOPPED(status):
            if not self._since:
                self._looked_at = now
            self._since[pid] = now
            return True
        self._since.pop(pid, None)
        return False

    def look(self, now: float) -> None:
        """Reap what has ended, and see to those that are stopped."""
        while (found := _next())[0]:
            self.note(*found, now)
        self.see_to(now)

    def see_to(self, now: float) -> None:
        """End those that are stopped for too long."""
        late = now - self._looked_at > LATE
        self._looked_at = now
        limit = SUPERVISED_FOR if self.supervised() else STOPPED_FOR
        for pid, since in list(self._since.items()):
            if not self.stopped(pid):
                del self._since[pid]
            elif late:
                self._since[pid] = now
            elif now - since >= limit:
                del self._since[pid]
                self.end(pid)

    def end_stopped(self) -> None:
        """End those that are stopped: nobody looks at them any more."""
        for pid in self._since:
            if self.stopped(pid):
                self.end(pid)
        self._since.clear()


def _next() -> tuple[int, int]:
    try:
        return os.waitpid(-1, os.WNOHANG | os.WUNTRACED)
    except ChildProcessError:
        return 0, 0
