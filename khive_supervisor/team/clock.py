"""The server's clock as a node has it: its own of this boot, and what is to be added (pure)."""

from __future__ import annotations

import statistics
from collections import deque
from dataclasses import dataclass, field

#: Samples that the offset is the median of, and how far it may drift before it is written down.
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


@dataclass(slots=True)
class ServerClock:
    """What is known of the server's clock from the last looks at it."""

    written: float | None = None
    _samples: deque[Sample] = field(default_factory=lambda: deque(maxlen=SAMPLES))

    def take(self, sample: Sample) -> float | None:
        """Take a look into account; return the offset if it is to be written down anew."""
        self._samples.append(sample)
        ahead = statistics.median(one.ahead for one in self._samples)
        if self.written is not None and abs(ahead - self.written) < DRIFT:
            return None
        self.written = ahead
        return ahead
