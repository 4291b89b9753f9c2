"""What follows an attempt to deliver: it is over, it is tried again, or it is given up. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

#: Seconds before the second attempt; doubled with each up to the second number.
BACKOFF, BACKOFF_MAX = 1.0, 600.0
#: Seconds that a receiver may ask for at most.
RETRY_AFTER_MAX = 3600.0
#: Statuses of HTTP that a later attempt can change.
_LATER = frozenset({408, 421, 423, 425, 429})


class Verdict(StrEnum):
    """How an attempt ended."""

    DELIVERED = "delivered"
    LATER = "later"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class Attempt:
    """What an attempt came to: why, and how many seconds the receiver wants to be left alone."""

    verdict: Verdict
    why: str = ""
    retry_after: float = 0.0


@dataclass(frozen=True, slots=True)
class Bounds:
    """How often a message is tried, and how old in seconds it may become."""

    attempts: int
    age: float


@dataclass(frozen=True, slots=True)
class NextStep:
    """What becomes of the message.

    Attributes:
        state: "sent", "dead", or "waiting".
        wait: seconds until this message is tried again.
        pause: seconds in which the channel tries no other one either: the receiver is in trouble.
        why: in words; empty if it was delivered.
    """

    state: str
    wait: float = 0.0
    pause: float = 0.0
    why: str = ""


def of_status(status: int, retry_after: str | None) -> Attempt:
    """Return what an answer's status says of an attempt; redirects are not followed."""
    if 200 <= status < 300:
        return Attempt(Verdict.DELIVERED)
    why = f"the receiver answered {status}"
    if status in _LATER or status >= 500:
        return Attempt(Verdict.LATER, why, seconds_of(retry_after))
    return Attempt(Verdict.NEVER, why)


def seconds_of(retry_after: str | None) -> float:
    """Return the seconds that Retry-After asks for; 0 if it says none, or a date."""
    text = (retry_after or "").strip()
    return min(float(text), RETRY_AFTER_MAX) if text.isdecimal() and len(text) < 10 else 0.0


def backoff(attempts: int, jitter: float) -> float:
    """Return seconds to wait after so many failures; `jitter` is from 0 to 1.

    Between half and all of the doubled time, so that receivers are not asked by all at once.
    """
    longest = min(BACKOFF_MAX, BACKOFF * 2.0 ** min(attempts - 1, 30))
    return longest * (0.5 + 0.5 * jitter)


def after(
    attempt: Attempt, attempts: int, age: float, failures: int, bounds: Bounds, jitter: float
) -> NextStep:
    """Return what becomes of a message.

    Args:
        attempt: how this attempt ended.
        attempts: how often it was tried, this time among them.
        age: of the message, in seconds.
        failures: how often in a row the channel has failed, this time among them.
        bounds: when it is given up.
        jitter: from 0 to 1.
    """
    if attempt.verdict is Verdict.DELIVERED:
        return NextStep("sent")
    if attempt.verdict is Verdict.NEVER:
        return NextStep("dead", why=attempt.why)
    pause = max(attempt.retry_after, backoff(failures, jitter))
    if attempts >= bounds.attempts:
        return NextStep(
            "dead", pause=pause, why=f"{attempt.why}, as at {attempts - 1} attempts before"
        )
    if age > bounds.age:
        return NextStep("dead", pause=pause, why=f"{attempt.why}; it has become too old")
    wait = max(attempt.retry_after, backoff(attempts, jitter))
    return NextStep("waiting", wait, pause, attempt.why)
