"""What time a query is about: "last March", "in 2025", "yesterday", "3 weeks ago" as spans; pure.

Everything is in the zone of the reader's clock. A word that is a date only sometimes (may, march)
needs one beside it that makes it one. What has no span is no date: nothing is guessed.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

_MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september",
    "october", "november", "december",
)  # fmt: skip
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_NUMBERS = {
    "a": 1, "an": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7,
    "eight": 8, "nine": 9, "ten": 10, "eleven": 11, "twelve": 12, "couple of": 2, "a couple of": 2,
    "few": 3, "a few": 3,
}  # fmt: skip
#: The first month of each season, on the northern half of the world.
_SEASONS = {"spring": 3, "summer": 6, "autumn": 9, "fall": 9, "winter": 12}
_DAY, _WEEK = dt.timedelta(days=1), dt.timedelta(days=7)
#: Years between two 29ths of February, at most.
_LEAP_YEARS = 8

_MONTH = (
    r"(?P<month>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?"
    r"|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\.?"
)
_SEASON = r"(?P<season>spring|summer|autumn|fall|winter)"
_YEAR = r"(?P<year>(?:19|20)\d\d)"
_NUMBER = rf"(?P<number>\d{{1,3}}|{'|'.join(sorted(_NUMBERS, key=len, reverse=True))})"
_UNIT = r"(?P<unit>day|week|month|year)"
_WHICH = r"(?P<which>last|past|previous|this|in|on|during|since|of|from|early|late|mid|around|by)"
_DATE_DAY = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?"


#: Every time that is named has one of these; to look for them takes a twentieth of reading.
_TELLING = re.compile(
    rf"(?:19|20)\d\d|\bq[1-4]\b|yesterday|today|night|this (?:m|a|e)|ago\b|{'|'.join(_DAYS)}"
    rf"|\b(?:last|past|previous|this|{'|'.join(name[:3] for name in _MONTHS)})",
    re.IGNORECASE,
)


class Span(NamedTuple):
    """From a moment until before another, and which part of the text says so."""

    since: dt.datetime
    until: dt.datetime
    words: tuple[int, int]


_Between = tuple[dt.datetime, dt.datetime]
_Ends = _Between | None
_Read = Callable[[re.Match[str], dt.datetime], _Ends]


def spans(text: str, now: dt.datetime) -> list[Span]:
    """Return the spans that a text names, in its order; `now` is the reader's clock."""
    found: list[Span] = []
    if not _TELLING.search(text):
        return found
    for place, ends in _found(text, now):
        if all(place[0] >= one.words[1] or place[1] <= one.words[0] for one in found):
            found.append(Span(*ends, place))
    return sorted(found, key=lambda one: one.words)


def without(text: str, named: list[Span]) -> str:
    """Return a text without the parts that name spans."""
    for span in sorted(named, key=lambda one: one.words, reverse=True):
        text = f"{text[: span.words[0]]} {text[span.words[1] :]}"
    return " ".join(text.split())


def _found(
    text: str, now: dt.datetime
) -> Iterator[tuple[tuple[int, int], tuple[dt.datetime, dt.datetime]]]:
    low = text.lower()
    for pattern, read in _RULES:
        for match in pattern.finditer(low):
            try:
                ends = read(match, now)
            except (ValueError, OverflowError):
                continue  # the 31st of February, the year 0
            if ends is not None:
                yield match.span(), ends


def _midnight(day: dt.datetime) -> dt.datetime:
    return day.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)


def _day(day: dt.datetime) -> _Between:
    return _midnight(day), _midnight(day) + _DAY


def _months(now: dt.datetime, year: int, month: int, count: int = 1) -> _Between:
    """Return some months from the first of one; the 13th is in the next year, the 0th before."""
    return _first(now, year, month), _first(now, year, month + count)


def _first(now: dt.datetime, year: int, month: int) -> dt.datetime:
    return _midnight(now).replace(year=year + (month - 1) // 12, month=(month - 1) % 12 + 1, day=1)


def _named_month(match: re.Match[str]) -> int:
    return next(n for n, name in enumerate(_MONTHS, 1) if name.startswith(match["month"][:3]))


def _ago(match: re.Match[str], now: dt.datetime) -> _Ends:
    """Three weeks ago: the day, or as much around it as the unit is long."""
    number, unit = _number(match), match["unit"]
    if unit == "day":
        return _day(now - number * _DAY)
    if unit == "week":
        middle = _midnight(now) - number * _WEEK
        return middle - 3 * _DAY, middle + 4 * _DAY
    if unit == "month":
        first, after = _months(now, now.year, now.month - number)
        middle = min(first + (now.day - 1) * _DAY, after - _DAY)  # few months have a 31st
        return middle - 15 * _DAY, middle + 16 * _DAY
    return _first(now, now.year - number, 1), _first(now, now.year - number + 1, 1)


def _number(match: re.Match[str]) -> int:
    said = match["number"]
    return int(said) if said.isdigit() else _NUMBERS[said]


def _last_units(match: re.Match[str], now: dt.datetime) -> _Ends:
    """The last three weeks: from then until now."""
    days = {"day": 1, "week": 7, "month": 30, "year": 365}[match["unit"]]
    return _midnight(now) - _number(match) * days * _DAY, _midnight(now) + _DAY


def _which_unit(match: re.Match[str], now: dt.datetime) -> _Ends:
    """Last week, this month: the whole one of the calendar."""
    back = 0 if match["which"] == "this" else 1
    if match["unit"] == "day":
        return _day(now - back * _DAY)
    if match["unit"] == "week":
        monday = _midnight(now) - now.weekday() * _DAY - back * _WEEK
        return monday, monday + _WEEK
    if match["unit"] == "month":
        return _months(now, now.year, now.month - back)
    return _months(now, now.year - back, 1, 12)


def _which_month(match: re.Match[str], now: dt.datetime) -> _Ends:
    """Last March: the one before this month. In March: the one that is, or was."""
    if match.group().endswith("this may"):
        return None
    month = _named_month(match)
    before = (
        month >= now.month if match["which"] in ("last", "past", "previous") else month > now.month
    )
    return _months(now, now.year - before, month)


def _which_day(match: re.Match[str], now: dt.datetime) -> _Ends:
    """Last Monday, on Monday: the latest one before today."""
    back = (now.weekday() - _DAYS.index(match["weekday"])) % 7
    return _day(now - (back or (0 if match["which"] == "this" else 7)) * _DAY)


def _season(match: re.Match[str], now: dt.datetime) -> _Ends:
    first = _SEASONS[match["season"]]
    if match["year"]:
        return _months(now, int(match["year"]), first, 3)
    # "Last" is the latest one that is over; else the latest one that has begun.
    counts = first + (3 if match["which"] in ("last", "past", "previous") else 0)
    back = next(years for years in range(3) if _first(now, now.year - years, counts) <= now)
    return _months(now, now.year - back, first, 3)


def _date(match: re.Match[str], now: dt.datetime) -> _Ends:
    """12 March, with a year or the latest one."""
    month, day = _named_month(match), int(match["day"])
    if match["year"]:
        return _day(_first(now, int(match["year"]), month).replace(day=day))
    for year in range(now.year, now.year - _LEAP_YEARS - 1, -1):
        first, after = _months(now, year, month)
        found = first + (day - 1) * _DAY
        if day and found < after and found <= now:
            return _day(found)
    return None


def _quarter(match: re.Match[str], now: dt.datetime) -> _Ends:
    first = 3 * int(match["quarter"]) - 2
    year = int(match["year"]) if match["year"] else now.year - (_first(now, now.year, first) > now)
    return _months(now, year, first, 3)


def _written(match: re.Match[str], now: dt.datetime) -> _Ends:
    """2026-03-12, 2026-03."""
    year, month = int(match["year"]), int(match["number"])
    if match["day"] is None:
        return _months(now, year, month)
    return _day(now.replace(year=year, month=month, day=int(match["day"])))


def _of_year(match: re.Match[str], now: dt.datetime) -> _Ends:
    return _months(now, int(match["year"]), 1, 12)


def _month_of_year(match: re.Match[str], now: dt.datetime) -> _Ends:
    return _months(now, int(match["year"]), _named_month(match))


def _rule(pattern: str, read: _Read) -> tuple[re.Pattern[str], _Read]:
    return re.compile(rf"(?<![\w./-]){pattern}(?![\w/-]|\.\w)"), read


_DATE_MONTH = rf"(?:on )?(?:the )?{_DATE_DAY} (?:of )?{_MONTH}(?:,? {_YEAR})?"
_LAST = r"(?P<which>last|past|previous|this)"
#: What names a span, the surer and longer ones first: nothing is read twice.
_RULES: tuple[tuple[re.Pattern[str], _Read], ...] = (
    _rule(rf"(?:on )?{_YEAR}-(?P<number>\d\d)(?:-(?P<day>\d\d))?", _written),
    _rule(_DATE_MONTH, _date),
    _rule(rf"(?:on )?{_MONTH} {_DATE_DAY}(?!:)(?:,? {_YEAR})?", _date),
    _rule(rf"(?:{_WHICH} )?{_MONTH},? (?:of )?{_YEAR}", _month_of_year),
    _rule(rf"(?:in |during )?q(?P<quarter>[1-4])(?:,? (?:of )?{_YEAR})?", _quarter),
    _rule(rf"(?:{_WHICH} )?(?:the )?{_SEASON} (?:of )?{_YEAR}", _season),
    _rule(r"the day before yesterday", lambda _match, now: _day(now - 2 * _DAY)),
    _rule(
        r"yesterday(?: (?:morning|afternoon|evening))?|last night",
        lambda _match, now: _day(now - _DAY),
    ),
    _rule(r"earlier today|today|this (?:morning|afternoon|evening)", lambda _match, now: _day(now)),
    _rule(rf"(?:about |around )?{_NUMBER} {_UNIT}s? ago", _ago),
    _rule(
        rf"(?:in |over |during |within )?(?:the )?(?:last|past|previous) {_NUMBER} {_UNIT}s?",
        _last_units,
    ),
    _rule(rf"(?:in |during )?(?:the )?{_LAST} {_UNIT}", _which_unit),
    _rule(rf"(?:in )?(?:the )?{_WHICH} {_MONTH}", _which_month),
    _rule(rf"(?P<which>last|past|previous|this|on) (?P<weekday>{'|'.join(_DAYS)})", _which_day),
    _rule(rf"{_LAST} {_SEASON}(?P<year>)", _season),
    _rule(rf"(?:in|during|since|of|from|year) {_YEAR}", _of_year),
)
