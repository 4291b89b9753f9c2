"""Times that a query names, read as of a reader's clock."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import pytest

from khive_supervisor.text.dates import spans, without

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
