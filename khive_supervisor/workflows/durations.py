"""Lengths of time as people write them: 90s, 30m, 12h, 7d, 2w, or a number of seconds; pure."""

from __future__ import annotations

import math
import re

from khive_supervisor.errors import InvalidInput

_SPAN = re.compile(r"([0-9]{1,9})\s*(s|m|h|d|w)")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
#: Seconds of the longest one: ten years.
LONGEST = 10 * 366 * 86_400.0


def seconds_of(value: object) -> float:
    """Return a length of time in seconds, more than none; raises InvalidInput if it is not one."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        seconds = float(value)
    elif isinstance(value, str) and (found := _SPAN.fullmatch(value.strip())):
        seconds = float(int(found[1]) * _UNITS[found[2]])
    else:
        seconds = math.nan
    if 0 < seconds <= LONGEST:
        return seconds
    raise InvalidInput(
        f"{str(value)[:40]!r} is no length of time.", hint="Use for example 30m, 12h or 7d."
    )
