"""When a child that died is started again: exponential backoff, and one give-up rule.

Pure: a function of the policy, the history and the time. Backoff and limit do not cancel each
other out, since the limit counts within a window that is longer than the backoff's sum up to it.
"""

from __future__ import annotations

from dataclasses import dataclass

from khive_supervisor import exitcodes
from khive_supervisor.config.settings.model import Config

#: Exit codes that say "starting me again cannot help".
PERMANENT_EXITS = frozenset(
    {exitcodes.BOOT_FAILURE, exitcodes.CONFIG, exitcodes.STORE_REFUSED, exitcodes.PERMANENT}
)


#: Seconds after which a child that was given up is tried again: what made it impossible (a package
#: that was half removed, a model's file) may have been mended. And the least from one try to the
#: next when somebody needs it.
AGAIN_AFTER, AGAIN_AT_LEAST = 30.0, 5.0


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """Delays in seconds; `limit` deaths within `window` seconds end it."""

    backoff: float = 0.5
    backoff_max: float = 30.0
    limit: int = 5
    window: float = 60.0

    @classmethod
    def of(cls, config: Config) -> RestartPolicy:
        """Return how children that die are started again by a configuration."""
        settings = config.supervisor
        return cls(
            backoff=settings.restart_backoff,
            backoff_max=settings.restart_backoff_max,
            limit=settings.restart_limit,
            window=settings.restart_window,
        )


#: When those who died did so (monotonic seconds), as far as it still counts.
Deaths = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class RestartVerdict:
    """What to do after a death: start again at `at`, or never (None), and why."""

    at: float | None
    reason: str
    deaths: Deaths


def after_death(
    policy: RestartPolicy, before: Deaths, *, now: float, code: int, jitter: float
) -> RestartVerdict:
    """Decide what follows a death.

    Args:
        policy: the rules.
        before: earlier deaths.
        now: monotonic seconds.
        code: exit code; negative for a signal.
        jitter: 0 to 1, a random number: children that died together do not return together.
    """
    recent = (*(t for t in before if now - t < policy.window), now)
    if code in PERMANENT_EXITS:
        return RestartVerdict(None, f"exit code {code} says that another start cannot help", recent)
    if len(recent) > policy.limit:
        return RestartVerdict(None, f"{len(recent)} deaths within {policy.window:g} s", recent)
    delay = min(policy.backoff_max, policy.backoff * 2 ** (len(recent) - 1))
    return RestartVerdict(
        now + delay * (0.5 + 0.5 * jitter), f"restart after {delay:g} s at most", recent
    )
