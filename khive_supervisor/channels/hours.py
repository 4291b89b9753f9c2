"""When a channel is told: at once, in digests, and not in its quiet hours. Pure."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

_DAY = 24 * 60
#: Seconds after which whoever is still within them asks again.
_SHORTEST = 1.0


@dataclass(frozen=True, slots=True)
class QuietHours:
    """Minutes of the day from which and until which nothing is sent; equal ones: never."""

    start: int
    end: int

    @classmethod
    def of(cls, text: str) -> QuietHours | None:
        """Return what `22:00-07:00` says; None for an empty text, or one without any minute."""
        if not text:
            return None
        start, end = (int(one[:2]) * 60 + int(one[3:]) for one in text.split("-"))
        return None if start == end else cls(start, end)

    def left(self, local: dt.datetime) -> float:
        """Return the seconds until they end; 0 outside of them.

        `local` is the time on the reader's clock, with its zone. They end when that clock shows
        their end, also if it is changed meanwhile: to a second that is elapsed and not shown.
        """
        minute = local.hour * 60 + local.minute + (local.second + local.microsecond / 1e6) / 60
        since = (minute - self.start) % _DAY
        length = (self.end - self.start) % _DAY
        if since >= length:
            return 0.0
        end = (local + dt.timedelta(minutes=length - since)).replace(fold=local.fold)
        # A clock that is put forward over their end shows a moment before it: then it is over.
        return max(_SHORTEST, end.timestamp() - local.timestamp())


def wait_of(digest: float, quiet: QuietHours | None, local: dt.datetime) -> float:
    """Return for how many seconds a new event is gathered; 0: it is told at once."""
    return max(digest, quiet.left(local) if quiet is not None else 0.0)
