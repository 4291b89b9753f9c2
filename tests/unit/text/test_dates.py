"""Times that a query names, read as of a reader's clock."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import pytest

from khive_supervisor.text.dates import _NUMBERS, spans, without

#: A Sunday.
NOW = dt.datetime(2026, 11, 29, 15, 0, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("text", "since", "until"),
    [
        ("yesterday", "2026-11-28", "2026-11-29"),
        ("the day before yesterday", "2026-11-27", "2026-11-28"),
        ("what did we do today", "2026-11-29", "2026-11-30"),
        ("last night", "2026-11-28", "2026-11-29"),
        ("on Monday", "2026-11-23", "2026-11-24"),
        ("last Sunday", "2026-11-22", "2026-11-23"),
        ("last week", "2026-11-16", "2026-11-23"),
        ("this week", "2026-11-23", "2026-11-30"),
        ("last month", "2026-10-01", "2026-11-01"),
        ("last year", "2025-01-01", "2026-01-01"),
        ("3 weeks ago", "2026-11-05", "2026-11-12"),
        ("three days ago", "2026-11-26", "2026-11-27"),
        ("a couple of months ago", "2026-09-14", "2026-10-15"),
        ("2 years ago", "2024-01-01", "2025-01-01"),
        ("in the last 10 days", "2026-11-19", "2026-11-30"),
        ("last March", "2026-03-01", "2026-04-01"),
        ("last November", "2025-11-01", "2025-12-01"),
        ("in November", "2026-11-01", "2026-12-01"),
        ("in December", "2025-12-01", "2026-01-01"),
        ("in May", "2026-05-01", "2026-06-01"),
        ("March 2025", "2025-03-01", "2025-04-01"),
        ("on 12 March", "2026-03-12", "2026-03-13"),
        ("December 24", "2025-12-24", "2025-12-25"),
        ("on the 3rd of April 2024", "2024-04-03", "2024-04-04"),
        ("2026-03-12", "2026-03-12", "2026-03-13"),
        ("2026-03", "2026-03-01", "2026-04-01"),
        ("in 2025", "2025-01-01", "2026-01-01"),
        ("in Q2", "2026-04-01", "2026-07-01"),
        ("Q4 2024", "2024-10-01", "2025-01-01"),
        ("last summer", "2026-06-01", "2026-09-01"),
        ("last autumn", "2025-09-01", "2025-12-01"),
        ("this autumn", "2026-09-01", "2026-12-01"),
        ("winter 2024", "2024-12-01", "2025-03-01"),
    ],
)
def test_a_time_is_a_span_of_the_calendar(text: str, since: str, until: str) -> None:
    (found,) = spans(text, NOW)
    assert (found.since.date().isoformat(), found.until.date().isoformat()) == (since, until)
    assert found.since.time() == found.until.time() == dt.time()


@pytest.mark.parametrize(
    "text",
    ["may I deploy", "this may break", "march of the penguins", "error 2025", "v2026-03-12",
     "31 February", "the last error", "on fridays", "in 2025-2026", "10.2025.3", "fall back"],
)  # fmt: skip
def test_what_is_no_date_has_no_span(text: str) -> None:
    assert spans(text, NOW) == []


def test_a_query_may_name_several_times() -> None:
    text = "what changed since last March and yesterday"
    found = spans(text, NOW)
    assert [text[slice(*one.words)] for one in found] == ["last March", "yesterday"]


def test_the_rest_of_a_query_is_what_names_no_time() -> None:
    text = "what did we decide last March about backups"
    assert without(text, spans(text, NOW)) == "what did we decide about backups"


def test_days_are_those_of_the_reader() -> None:
    clock = NOW.replace(hour=3).astimezone(ZoneInfo("America/Los_Angeles"))
    (found,) = spans("today", clock)
    assert found.since.astimezone(dt.UTC) == dt.datetime(2026, 11, 28, 8, tzinfo=dt.UTC)


def dated(text: str, now: dt.datetime = NOW) -> tuple[str, str]:
    (found,) = spans(text, now)
    return found.since.date().isoformat(), found.until.date().isoformat()


WORDS = {
    "a": 1, "an": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7,
    "eight": 8, "nine": 9, "ten": 10, "eleven": 11, "twelve": 12, "couple of": 2, "a couple of": 2,
    "few": 3, "a few": 3, "17": 17,
}  # fmt: skip


@pytest.mark.parametrize("word", WORDS)
def test_numbers_may_be_words(word: str) -> None:
    day = NOW - dt.timedelta(days=WORDS[word])
    assert dated(f"{word} days ago")[0] == day.date().isoformat()
    assert set(_NUMBERS) < set(WORDS)


@pytest.mark.parametrize(
    ("text", "since", "until"),
    [
        ("spring 2024", "2024-03-01", "2024-06-01"),
        ("summer of 2024", "2024-06-01", "2024-09-01"),
        ("autumn 2024", "2024-09-01", "2024-12-01"),
        ("fall 2024", "2024-09-01", "2024-12-01"),
        ("last 2 days", "2026-11-27", "2026-11-30"),
        ("the last 2 weeks", "2026-11-15", "2026-11-30"),
        ("past 3 months", "2026-08-31", "2026-11-30"),
        ("previous two years", "2024-11-29", "2026-11-30"),
        ("the last day", "2026-11-28", "2026-11-29"),
        ("this day", "2026-11-29", "2026-11-30"),
        ("this Sunday", "2026-11-29", "2026-11-30"),
    ],
)
def test_how_long_a_span_is(text: str, since: str, until: str) -> None:
    assert dated(text) == (since, until)


@pytest.mark.parametrize(
    ("now", "text", "since"),
    [
        # A Tuesday: the latest Friday was in the week before.
        ("2026-12-01", "on Friday", "2026-11-27"),
        ("2026-12-01", "on Monday", "2026-11-30"),
        ("2026-12-01", "last Tuesday", "2026-11-24"),
        # On the very day that something begins, it has begun, and what was before it is over.
        ("2026-09-01", "this autumn", "2026-09-01"),
        ("2026-08-31", "this autumn", "2025-09-01"),
        ("2026-12-01", "last autumn", "2026-09-01"),
        ("2026-11-30", "last autumn", "2025-09-01"),
        ("2026-03-12", "on 12 March", "2026-03-12"),
        ("2026-03-11", "on 12 March", "2025-03-12"),
        ("2026-04-01", "in Q2", "2026-04-01"),
        ("2026-03-31", "in Q2", "2025-04-01"),
        # A winter is over in the year after the one that it begins in.
        ("2026-01-15", "this winter", "2025-12-01"),
        ("2026-01-15", "last winter", "2024-12-01"),
        ("2026-03-01", "last winter", "2025-12-01"),
        ("2026-12-05", "last winter", "2025-12-01"),
    ],
)
def test_the_latest_one_is_meant(now: str, text: str, since: str) -> None:
    assert dated(text, dt.datetime.fromisoformat(now).replace(tzinfo=dt.UTC))[0] == since


def test_a_rest_is_left_of_a_query_with_several_times() -> None:
    text = "what changed since last March and yesterday in tests"
    assert without(text, spans(text, NOW)) == "what changed since and in tests"


@pytest.mark.parametrize(
    ("now", "text", "since", "until"),
    [
        # A month without that day: its last one is in the middle.
        ("2026-12-31", "a month ago", "2026-11-15", "2026-12-16"),
        ("2026-03-31", "a month ago", "2026-02-13", "2026-03-16"),
        ("2024-03-31", "a month ago", "2024-02-14", "2024-03-16"),
        ("2026-11-30", "nine months ago", "2026-02-13", "2026-03-16"),
        ("2026-11-30", "last month", "2026-10-01", "2026-11-01"),
        # The 29th of February is in few years.
        ("2026-11-30", "on 29 February", "2024-02-29", "2024-03-01"),
        ("2024-02-28", "February 29", "2020-02-29", "2020-03-01"),
        ("2024-02-29", "February 29", "2024-02-29", "2024-03-01"),
        ("1904-02-28", "February 29", "1896-02-29", "1896-03-01"),
    ],
)
def test_months_end_on_different_days(now: str, text: str, since: str, until: str) -> None:
    clock = dt.datetime.fromisoformat(now).replace(tzinfo=dt.UTC)
    assert dated(text, clock) == (since, until)


#: Clocks that are changed in the middle of the day, at midnight, and never.
ZONES = ("UTC", "America/Los_Angeles", "America/Havana", "Asia/Kathmandu", "Pacific/Auckland")


@pytest.mark.parametrize("zone", ZONES)
def test_on_every_day_of_four_years_a_time_is_where_the_calendar_has_it(zone: str) -> None:
    first = dt.datetime(2024, 1, 1, 0, 30, tzinfo=ZoneInfo(zone))
    hour = 0
    for number in range(ZONES.index(zone), 4 * 365 + 1, len(ZONES)):
        hour = (hour + 7) % 24
        now = (first + dt.timedelta(days=number)).replace(hour=hour)
        day = now.date()
        assert dated("today", now)[0] == day.isoformat()
        assert dated("yesterday", now) == (str(day - dt.timedelta(days=1)), str(day))
        assert dated("last month", now)[1] == dated("this month", now)[0] == str(day)[:8] + "01"
        assert dated("last week", now)[1] == dated("this week", now)[0] <= str(day)
        assert dated("last year", now)[1] == dated("this year", now)[0] == f"{day.year}-01-01"
        assert dated("last March", now)[0][5:] == "03-01" <= dated("last March", now)[1][5:]
        assert str(day.year - 1) <= dated("last March", now)[0] < str(day)[:8] + "01"
        assert dated(f"on {day.day} {day:%B}", now)[0] == str(day)
        for months in (1, 5, 12):
            since, until = dated(f"{months} months ago", now)
            assert since[:7] <= _month_before(day, months) <= until[:7]
            assert since < _month_before(day, months) + "-31"


def _month_before(day: dt.date, months: int) -> str:
    count = day.year * 12 + day.month - 1 - months
    return f"{count // 12}-{count % 12 + 1:02}"


def test_a_midnight_that_is_twice_is_the_first_one() -> None:
    # Havana's clocks go from one o'clock back to midnight on this day.
    clock = dt.datetime(2026, 11, 1, 0, 30, tzinfo=ZoneInfo("America/Havana"), fold=1)
    (found,) = spans("today", clock)
    assert found.since.astimezone(dt.UTC) == dt.datetime(2026, 11, 1, 4, tzinfo=dt.UTC)
    assert found.until - found.since == dt.timedelta(days=1)
    assert found.until.astimezone(dt.UTC) == dt.datetime(2026, 11, 2, 5, tzinfo=dt.UTC)
