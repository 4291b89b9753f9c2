"""When to look at the store after a hint, and when to tell the workers: pure, time handed in."""

from __future__ import annotations

from dataclasses import dataclass

#: Seconds between two pushes for each session, and at least: a worker needs about 0.5 ms to
#: refresh, so under heavy writing all of them use a thirtieth of a core, however many they are.
PUSH_A_SESSION, PUSH_MINIMUM = 0.015, 0.015

#: Seconds after a hint until the first look, and how often it is looked again, each time after
#: twice the wait (1 s in all). SQLite writes its log, syncs it, and only then makes the commit
#: visible: the hint of a write usually comes before there is anything to see.
FIRST_LOOK, LOOKS = 0.001, 10


@dataclass(slots=True)
class Pace:
    """Keeps pushes apart: the first leaves at once, what comes too soon after it waits."""

    _next: float = float("-inf")

    def wait(self, now: float) -> float:
        """Seconds until the next push may leave; 0: it may now."""
        return max(0.0, self._next - now)

    def sent(self, now: float, sessions: int) -> None:
        """A push to so many sessions has left."""
        self._next = now + max(PUSH_MINIMUM, sessions * PUSH_A_SESSION)


@dataclass(slots=True)
class Looks:
    """The looks that are due after the last hint: soon at first, then ever later, then none."""

    _done: int = LOOKS

    def hint(self) -> float:
        """There was a hint: begin again; seconds until the first look."""
        self._done = 0
        return FIRST_LOOK

    def looked(self) -> float | None:
        """A look is over; seconds until the next, or None if there is no reason for one."""
        self._done += 1
        return FIRST_LOOK * 2**self._done if self._done < LOOKS else None
