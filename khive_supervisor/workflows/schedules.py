"""When schedules are due: cron's five fields in a zone's time, after misses and changes of clocks.

Pure, with the time given. The rules are those of Debian's cron, which people know: a job of a fixed
time runs once on the day when clocks are changed; one with a star in its minutes or hours goes by
the time that passes. What was due while nothing ran is made up for by one run, or by none.
"""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from khive_supervisor.errors import InvalidInput
from khive_supervisor.workflows.model import CATCH_UP_ONE

#: Names that stand for five fields.
_NAMES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
#: Seconds by which a due time may be late and still counts as kept, not as missed.
ON_TIME = 60.0
#: Seconds by which a clock may be set back so that nothing is done but to wait for the old time;
#: beyond, the new time counts at once. So does cron.
SET_BACK = 3 * 3600.0
#: How far back the newest due time is looked for, in steps: a dense schedule is found in the first.
_WINDOWS = (3600.0, 86_400.0, 32 * 86_400.0, 366 * 86_400.0)
_LOCAL_TIME = "/etc/localtime"


@dataclass(frozen=True, slots=True)
class ScheduleLook:
    """What a look at a schedule found: the due time to run for, or only to note as missed."""

    run: float | None = None
    missed: float | None = None


def look(cron: str, zone: str, catch_up: str, seen: float, now: float) -> ScheduleLook:
    """Return what is due by `now`, when it was looked at up to `seen` before (unix seconds).

    Of several due times that have passed, the newest counts for all of them.
    """
    after = seen if seen - now <= SET_BACK else now
    due = newest_due(cron, zone, after, now)
    if due is None:
        return ScheduleLook()
    kept = now - due <= ON_TIME or catch_up == CATCH_UP_ONE
    return ScheduleLook(run=due) if kept else ScheduleLook(missed=due)


def newest_due(cron: str, zone: str, after: float, now: float) -> float | None:
    """Return the newest due time after one moment and not after another; None: there is none."""
    for window in (*_WINDOWS, now - after):
        start = max(after, now - window)
        found = None
        for due in _dues(cron, zone, start):
            if due > now:
                break
            found = due
        if found is not None or start == after:
            return found
    return None


def next_due(cron: str, zone: str, after: float) -> float | None:
    """Return the next due time after a moment; None: there is none within 50 years."""
    return next(_dues(cron, zone, after), None)


def _dues(cron: str, zone: str, after: float) -> Iterator[float]:
    """Return the due times after a moment, in order."""
    start = dt.datetime.fromtimestamp(after, zone_of(zone))
    last = after
    for found in CronSim(_fields(cron), start):
        at = found.timestamp()
        # In the hour that comes twice, a fixed time is of its first turn, which may have passed.
        if at > last:
            last = at
            yield at


def check(cron: str, zone: str) -> None:
    """Refuse what is no schedule; raises InvalidInput."""
    zone_of(zone)
    try:
        fields = _fields(cron)
        found = next(iter(CronSim(fields, dt.datetime(2024, 1, 1, tzinfo=dt.UTC))), None)
    except CronSimError as error:
        raise InvalidInput(
            f"{cron[:80]!r} is no cron expression: {error}.",
            hint="Minute, hour, day of month, month and day of week, such as '0 9 * * 1'.",
        ) from error
    if found is None:
        raise InvalidInput(f"{cron[:80]!r} is never due.", hint="There is no such day.")


def _fields(cron: str) -> str:
    fields = _NAMES.get(cron.strip().lower(), cron)
    if len(fields.split()) != 5:  # six would be with seconds, which no cron has
        raise CronSimError("Wrong number of fields")
    return fields


@cache
def zone_of(name: str) -> dt.tzinfo:
    """Return a zone by its name, the machine's for none; raises InvalidInput if there is none."""
    try:
        return ZoneInfo(name) if name else _machines()
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise InvalidInput(
            f"There is no time zone {name[:60]!r}.", hint="Such as Europe/Berlin, or UTC."
        ) from error


def _machines() -> dt.tzinfo:
    """Return the zone of this machine: TZ's, else that of its file, else UTC."""
    named = os.environ.get("TZ", "").removeprefix(":")
    if named and not os.path.isabs(named):
        try:
            return ZoneInfo(named)
        except (ZoneInfoNotFoundError, ValueError):
            return dt.UTC
    try:
        with open(named or _LOCAL_TIME, "rb") as file:
            return ZoneInfo.from_file(file)
    except (OSError, ValueError):
        return dt.UTC
