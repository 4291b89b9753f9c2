"""A candidate's circuit breaker; pure: state, event, now.

Closed, tasks go to the candidate. A fault opens it: for a while nothing goes there. When that is
over, it is half-open: one task is let through to probe it. What comes of the probe closes it, or
opens it for twice as long. A probe that is never heard of again makes room for another.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from khive_supervisor.routing.model import NO_KEY, NO_PROGRAM, OVERLOADED, RATE_LIMITED, Unavailable

CLOSED, OPEN, HALF_OPEN = "closed", "open", "half-open"
STATES = (CLOSED, OPEN, HALF_OPEN)

#: Seconds for which the first fault of each kind opens it; doubled by each that follows.
COOLDOWN: Mapping[str, float] = {
    RATE_LIMITED: 30.0, OVERLOADED: 10.0, NO_KEY: 60.0, NO_PROGRAM: 60.0,
}  # fmt: skip
#: The longest, and the longest that a candidate itself can ask for.
COOLDOWN_MAX, ASKED_MAX = 600.0, 3600.0
#: The part of a cooldown that is left to chance, so that not all come back at once.
JITTER = 0.2
#: Seconds that a probe is waited for before another one may follow.
PROBE = 120.0


@dataclass(frozen=True, slots=True)
class Breaker:
    """How available a candidate is.

    `faults` counts those in a row. `until` is when an open one lets a probe through, and until
    when a half-open one waits for its probe.
    """

    state: str = CLOSED
    faults: int = 0
    until: float = 0.0
    fault: str = ""

    def waits_until(self, now: float) -> float | None:
        """Return from when a task may go to it; None: now."""
        return None if self.state == CLOSED or now >= self.until else self.until


def took(breaker: Breaker, now: float) -> Breaker:
    """Return it after a task was given to the candidate, which is a probe unless it was closed."""
    if breaker.state == CLOSED:
        return breaker
    return replace(breaker, state=HALF_OPEN, until=now + PROBE)


def answered(breaker: Breaker) -> Breaker:
    """Return it after the candidate has done or failed a task: it is there.

    What began before it opened, and ends after that, says nothing of now.
    """
    return breaker if breaker.state == OPEN else Breaker()


def failed(breaker: Breaker, why: Unavailable, now: float, chance: float) -> Breaker:
    """Return it after a fault; `chance` is drawn from 0 to 1.

    Of several tasks that meet the same fault at once, the first one counts.
    """
    if breaker.state == OPEN:
        return replace(breaker, until=max(breaker.until, now + _asked(why, chance)))
    faults = breaker.faults + 1
    return Breaker(OPEN, faults, now + cooldown(why, faults, chance), why.kind)


def cooldown(why: Unavailable, faults: int, chance: float) -> float:
    """Return the seconds for which it opens: what is asked for, else what the kind of fault takes.

    Doubled by each fault in a row, with jitter; never shorter than what is asked for.
    """
    first = COOLDOWN[why.kind] if why.retry_after is None else why.retry_after
    longer = max(first, 0.0) * 2.0 ** min(faults - 1, 30)
    return max(min(longer, COOLDOWN_MAX) * (1.0 + JITTER * chance), _asked(why, chance))


def _asked(why: Unavailable, chance: float) -> float:
    """Return what the candidate asks for, and a little more: it is the earliest, not the best."""
    if why.retry_after is None:
        return 0.0
    return float(min(max(why.retry_after, 0.0), ASKED_MAX) * (1.0 + JITTER * chance))
