"""What a session does, as it is shown: from its last hook, its process, and the time; pure."""

from __future__ import annotations

from dataclasses import dataclass

#: Seconds without a hook from which on a session is idle.
IDLE_AFTER = 1800.0


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known of a session.

    Attributes:
        state: as its last hook has told: working, waiting, ended.
        at: when that was, in unix seconds.
        lives: whether its client's process is there; None: nobody knows which it is.
    """

    state: str
    at: float
    lives: bool | None


def state_of(seen: Seen, now: float) -> str:
    """Return working, waiting (for its user), idle or ended; a clock may have been set back."""
    if seen.state == "ended" or seen.lives is False:
        return "ended"
    return "idle" if now - seen.at > IDLE_AFTER else seen.state
