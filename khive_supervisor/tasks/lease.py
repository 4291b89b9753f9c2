"""Leases, on a clock that cannot be set and goes on while the machine sleeps."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path

#: Seconds for which a claim holds without being renewed, and between two renewals.
LEASE, RENEW_EVERY = 30.0, 10.0

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class Moment:
    """A time of the system's clock since boot, in seconds, and the boot that it belongs to."""

    boot: str
    at: float

    def after(self, seconds: float) -> Moment:
        """The moment that many seconds later, in the same boot."""
        return Moment(self.boot, self.at + seconds)


def good(until: Moment, now: Moment) -> bool:
    """Whether a lease still holds: in another boot, whoever held it is gone."""
    return until.boot == now.boot and now.at < until.at


@cache
def boot_id() -> str:
    """The name of this boot of the machine."""
    return _BOOT_ID.read_text(encoding="ascii").strip()


def now() -> Moment:
    """The moment that it is."""
    return Moment(boot_id(), time.clock_gettime(time.CLOCK_BOOTTIME))
