"""The server's clock as a node has it: its own of this boot, and what is to be added (pure)."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

#: Samples of which the quickest one counts, and how far the offset may be from it without being
#: written down anew, in seconds.
SAMPLES, DRIFT = 9, 0.02


@dataclass(frozen=True, slots=True)
class Sample:
    """One look at the server's clock: our clock before and after, and what it said (seconds)."""

    before: float
    after: float
    server: float

    @property
    def ahead(self) -> float:
        """How much the server's clock was ahead of ours, taken in the middle of the round trip."""
        return self.server - (self.before + self.after) / 2

    @property
    def error(self) -> float:
        """How far that may be from the truth: a busy machine may have waited on one way only."""
        return (self.after - self.before) / 2


@dataclass(slots=True)
class ServerClock:
    """What is known of the server's clock from the last looks at it."""

    written: float | None = None
    _samples: deque[Sample] = field(default_factory=lambda: deque(maxlen=SAMPLES))

    def take(self, sample: Sample) -> float | None:
        """Take a look into account; return the offset if it is to be written down anew.

        What is written stays as long as the best of the last looks does not contradict it.
        """
        self._samples.append(sample)
        best = min(reversed(self._samples), key=lambda one: one.error)
        if self.written is not None and abs(best.ahead - self.written) < DRIFT + best.error:
            return None
        self.written = best.ahead
        return best.ahead
