"""Waits of a command: none is without a word, nor without an end."""

from __future__ import annotations

import time
from collections.abc import Callable

from khive_supervisor.cli.render.output import note

#: Seconds of a wait before it is said what is waited for.
SAY_AFTER = 1.0
#: Seconds between two attempts.
LOOK_AGAIN = 0.1


class Wait:
    """A wait of some seconds that has begun now."""

    def __init__(
        self,
        seconds: float,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._clock, self._pause = clock, pause
        self._began = clock()
        self._seconds = seconds
        self._said = False

    def goes_on(self, waits_for: str = "") -> bool:
        """Pause until the next look; False, at once, if the time is over.

        `waits_for` is the line that the user is told, once, if this takes long; empty: none.
        """
        waited = self._clock() - self._began
        if waited > self._seconds:
            return False
        if waits_for and waited > SAY_AFTER and not self._said:
            note(waits_for)
            self._said = True
        self._pause(LOOK_AGAIN)
        return True
