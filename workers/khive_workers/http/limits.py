"""How many wrong tokens are answered with reasons; pure, with an injected clock."""

from __future__ import annotations

import collections
import math
from collections.abc import Callable


class FailureLimit:
    """Counts failures within a window: after `limit` of them more are to be put off.

    It says nothing of those who are right: they are let in whatever others do.
    """

    def __init__(self, limit: int, window: float, clock: Callable[[], float]) -> None:
        self._limit = limit
        self._window = window
        self._clock = clock
        self._failures: collections.deque[float] = collections.deque(maxlen=limit)

    def failed(self) -> int:
        """Note a failure; seconds to be put off for, 0 while there are few.

        One that is put off does not count: the window ends however often somebody tries.
        """
        now = self._clock()
        while self._failures and now - self._failures[0] >= self._window:
            self._failures.popleft()
        if len(self._failures) < self._limit:
            self._failures.append(now)
            return 0
        return max(1, math.ceil(self._failures[0] + self._window - now))
