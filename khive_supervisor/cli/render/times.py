"""Times as people write and read them: in their own zone. Verbs take and answer UTC."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

#: As verbs write a moment; no other text is taken for one.
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z")


def asked(text: str | None) -> str | None:
    """A time that was given on the command line, as verbs take it; what is none stays.

    Without a zone it is local time; a date is the day's first moment there. Of an hour that clocks
    have twice it is the first; in one that they leave out, it is as long after the hour before.
    `today` and `yesterday` are the first moments of these days.
    """
    if text is None:
        return None
    try:
        found = _named_day(text) or dt.datetime.fromisoformat(text.strip())
        # Without a zone, the system's own is meant: so does timestamp, also where clocks change.
        moment = dt.datetime.fromtimestamp(found.timestamp(), dt.UTC)
        return moment.isoformat().replace("+00:00", "Z")
    except (ValueError, OverflowError, OSError):
        return text  # an age, or something that the verb refuses


def _named_day(text: str) -> dt.datetime | None:
    days = {"today": 0, "yesterday": 1}.get(text.strip().lower())
    if days is None:
        return None
    today = dt.datetime.now(dt.UTC).astimezone().date()
    return dt.datetime.combine(today - dt.timedelta(days), dt.time())


def shown(text: Any) -> str:
    """A moment of a verb's answer in local time, with its offset; any other value as it is."""
    found = _local(str(text))
    if found is None:
        return str(text)
    return found.isoformat(sep=" ", timespec="milliseconds" if found.microsecond else "seconds")


def within(text: str) -> str:
    """A sentence of a verb's answer with its moments in local time."""
    return _MOMENT.sub(lambda found: shown(found[0]), text)


def day(text: str) -> str:
    """The local day of a moment."""
    found = _local(text)
    return text[:10] if found is None else found.date().isoformat()


def in_utc(text: str) -> str:
    """A moment of what is counted in UTC, such as a budget's window."""
    return f"{text[:16].replace('T', ' ')} UTC" if _MOMENT.fullmatch(text) else text


def _local(text: str) -> dt.datetime | None:
    if _MOMENT.fullmatch(text) is None:
        return None
    try:
        return dt.datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError, OSError):  # the calendar ends before it
        return None
