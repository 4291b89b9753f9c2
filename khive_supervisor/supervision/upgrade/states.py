"""When a supervisor gives way to another release: pure states; `handover` does it.

What counts is what a fresh interpreter of the supervisor's own environment would load. A release
that lies there and is newer has been installed in place; it is tried, and then takes over. Another
one, older or of another environment, takes over only when somebody asks for it.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass, replace

#: Seconds after which a release that could not be tried with success is tried again: installing
#: takes seconds, and what is wrong after that lasts; doubled up to the second number.
TRY_AGAIN, TRY_AGAIN_MAX = 2.0, 300.0

#: What `supervisor.upgrade` may be.
AUTO, ASK, OFF = "auto", "ask", "off"


class UpgradePhase(enum.Enum):
    """How far it is."""

    CURRENT = "current"
    #: Another release is on disk, and nothing is done about it unless somebody asks.
    OFFERED = "offered"
    #: A newer release is being tried in an interpreter of its own.
    TRYING = "trying"
    #: It could not be tried with success; that is tried again.
    NOT_YET = "not yet"
    #: It has been tried, and takes over.
    HANDING_OVER = "handing over"


@dataclass(frozen=True, slots=True)
class Upgrade:
    """What is known of another release. `release` is the one on disk, None while there is none.

    `problem` says why it does not take over; `failures` counts the attempts in vain, and
    `again_at` is the moment (monotonic) of the next one.
    """

    running: str
    phase: UpgradePhase = UpgradePhase.CURRENT
    release: str | None = None
    problem: str = ""
    failures: int = 0
    again_at: float = 0.0


def order_of(release: str) -> tuple[tuple[int, ...], int]:
    """A key that orders releases as people do: 0.9 before 0.10, 1.0rc1 before 1.0."""
    numbers = re.match(r"\d+(?:\.\d+)*", release)
    if numbers is None:
        return (), 0
    parts = tuple(int(part) for part in numbers[0].split("."))
    while parts and parts[-1] == 0:
        parts = parts[:-1]
    rest = release[numbers.end() :].lstrip(".-_+").lower()
    return parts, -1 if rest.startswith(("a", "b", "rc", "c", "dev", "pre")) else 0


def newer(release: str, than: str) -> bool:
    """Return whether one release comes after another."""
    return order_of(release) > order_of(than)


def seen(state: Upgrade, release: str | None, policy: str, now: float) -> Upgrade:
    """The state after a look at the disk, where this release lies now (None: none is whole)."""
    if state.phase in (UpgradePhase.TRYING, UpgradePhase.HANDING_OVER):
        return state
    if release is None or release == state.running:
        # None: somebody is installing at this moment, or has removed it; what runs goes on.
        return Upgrade(state.running)
    if policy == AUTO and newer(release, state.running):
        if (
            release == state.release
            and state.phase is UpgradePhase.NOT_YET
            and now < state.again_at
        ):
            return state
        failures = state.failures if release == state.release else 0
        return replace(state, phase=UpgradePhase.TRYING, release=release, failures=failures)
    problem = "" if policy == OFF else _why_offered(release, state.running)
    return Upgrade(state.running, UpgradePhase.OFFERED, release, problem)


def _why_offered(release: str, running: str) -> str:
    what = "A newer" if newer(release, running) else "An older"
    return f"{what} release, {release}, is installed. `khive-supervisor upgrade` hands over to it."


def tried(state: Upgrade, problem: str, now: float) -> Upgrade:
    """The state after a trial; an empty `problem` means that it was good."""
    if not problem:
        return replace(state, phase=UpgradePhase.HANDING_OVER, problem="")
    wait = min(TRY_AGAIN_MAX, TRY_AGAIN * 2**state.failures)
    return replace(
        state,
        phase=UpgradePhase.NOT_YET,
        problem=problem,
        failures=state.failures + 1,
        again_at=now + wait,
    )


def asked(state: Upgrade, release: str) -> Upgrade:
    """The state once somebody has asked for a release that was tried with success."""
    return replace(state, phase=UpgradePhase.HANDING_OVER, release=release, problem="")
