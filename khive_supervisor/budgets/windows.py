"""The windows that limits are for: the calendar week from Monday, and the calendar month, in UTC.

Windows are whole days, as spending is summed up by the day: both are counted from 1970.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

#: Seconds of a day; UTC has no other days.
DAY = 86_400

_EPOCH = dt.date(1970, 1, 1).toordinal()


@dataclass(frozen=True, slots=True)
class Window:
    """A span of days, `first` to before `after`; `name` is week or month."""

    name: str
    first: int
    after: int

    @property
    def start(self) -> int:
        """The unix time at which it starts."""
        return self.first * DAY

    @property
    def end(self) -> int:
        """The unix time at which it is over, and the next one starts."""
        return self.after * DAY


def week(now: float) -> Window:
    """The week that a unix time is in."""
    day = int(now // DAY)
    first = day - (day + 3) % 7  # the first day of 1970 was a Thursday
    return Window("week", first, first + 7)


def month(now: float) -> Window:
    """The month that a unix time is in."""
    date = dt.date.fromordinal(_EPOCH + int(now // DAY)).replace(day=1)
    after = (date + dt.timedelta(days=32)).replace(day=1)
    return Window("month", date.toordinal() - _EPOCH, after.toordinal() - _EPOCH)


def written(moment: int) -> str:
    """A window's start or end in words: `Mon 2026-11-23 00:00 UTC`."""
    at = dt.datetime.fromtimestamp(moment, dt.UTC)
    return f"{_DAYS[at.weekday()]} {at:%Y-%m-%d %H:%M} UTC"


#: By name, since the locale's own would differ from machine to machine.
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
