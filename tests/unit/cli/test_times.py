"""Times on the command line: local as they are written and read, UTC as verbs have them."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Iterator
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from khive_supervisor.cli.render import times
from khive_supervisor.cli.render.readable import readable

ZONES = ("Asia/Tokyo", "America/St_Johns", "America/New_York", "Europe/Berlin", "UTC")
In = Callable[[str], None]


@pytest.fixture
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[In]:
    """Sets the system's zone, as TZ does for a command."""

    def use(name: str) -> None:
        monkeypatch.setenv("TZ", name)
        time.tzset()

    yield use
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("where", "written", "utc"),
    [
        ("Asia/Tokyo", "2026-11-29 21:00", "2026-11-29T12:00:00Z"),
        ("Asia/Tokyo", "2026-11-29T21:00", "2026-11-29T12:00:00Z"),
        ("Asia/Tokyo", "2026-11-29", "2026-11-28T15:00:00Z"),
        ("America/St_Johns", "2026-11-29", "2026-11-29T03:30:00Z"),
        ("America/New_York", "2026-11-29 21:00", "2026-11-30T02:00:00Z"),
        ("Europe/Berlin", "2026-07-01 08:00", "2026-07-01T06:00:00Z"),
        ("UTC", "2026-11-29 21:00", "2026-11-29T21:00:00Z"),
        # With a zone of its own, a time means the same everywhere.
        ("Asia/Tokyo", "2026-11-29T21:00Z", "2026-11-29T21:00:00Z"),
        ("Asia/Tokyo", "2026-11-29 21:00+01:00", "2026-11-29T20:00:00Z"),
        # An hour that clocks have twice is its first one; one that they skip is an hour later.
        ("America/New_York", "2026-11-01 01:30", "2026-11-01T05:30:00Z"),
        ("America/New_York", "2026-03-08 02:30", "2026-03-08T07:30:00Z"),
        ("Europe/Berlin", "2026-10-25 02:30", "2026-10-25T00:30:00Z"),
        ("Europe/Berlin", "2026-03-29 02:30", "2026-03-29T01:30:00Z"),
        ("Europe/Berlin", "2026-10-25", "2026-10-24T22:00:00Z"),
        # What is no time is the verb's to read, or to refuse.
        ("Asia/Tokyo", "7d", "7d"),
        ("Asia/Tokyo", "30m", "30m"),
        ("Asia/Tokyo", "tomorrow", "tomorrow"),
        ("Asia/Tokyo", "0001-01-01", "0001-01-01"),
        ("Asia/Tokyo", "", ""),
    ],
)
def test_what_is_written_is_local(zone: In, where: str, written: str, utc: str) -> None:
    zone(where)
    assert times.asked(written) == utc


@pytest.mark.parametrize(
    ("where", "shown"),
    [
        ("Asia/Tokyo", "2026-11-29 09:30:00+09:00"),
        ("America/St_Johns", "2026-11-28 21:00:00-03:30"),
        ("Europe/Berlin", "2026-11-29 01:30:00+01:00"),
        ("UTC", "2026-11-29 00:30:00+00:00"),
    ],
)
def test_what_is_shown_is_local(zone: In, where: str, shown: str) -> None:
    zone(where)
    assert times.shown("2026-11-29T00:30:00Z") == shown
    assert times.day("2026-11-29T00:30:00Z") == shown[:10]
    told = readable(
        {"created_at": "2026-11-29T00:30:00Z", "events": [{"at": "2026-11-29T00:30:00Z"}]}
    )
    assert told == {"created_at": shown, "events": [{"at": shown}]}
    mine = {"title": "2026-11-29T00:30:00Z", "payload": {"at": "2026-11-29T00:30:00Z"}}
    assert readable(mine) == mine


def test_the_two_times_of_an_hour_that_comes_twice_differ(zone: In) -> None:
    zone("America/New_York")
    assert times.shown("2026-11-01T05:30:00Z") == "2026-11-01 01:30:00-04:00"
    assert times.shown("2026-11-01T06:30:00Z") == "2026-11-01 01:30:00-05:00"


@pytest.mark.parametrize("text", ["9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "soon", "Z"])
def test_what_no_calendar_has_is_shown_as_it_is(zone: In, text: str) -> None:
    zone("Asia/Tokyo")
    assert times.shown(text)
    assert times.day(text)


def test_a_window_that_is_counted_in_utc_says_so(zone: In) -> None:
    zone("Asia/Tokyo")
    assert times.in_utc("2026-11-30T00:00:00Z") == "2026-11-30 00:00 UTC"


@pytest.mark.parametrize("where", ZONES)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seconds=st.integers(157_766_400, 2_082_758_400))
def test_what_is_shown_can_be_written_again(zone: In, where: str, seconds: int) -> None:
    zone(where)
    moment = dt.datetime.fromtimestamp(seconds, dt.UTC)
    utc = moment.isoformat().replace("+00:00", "Z")
    shown = times.shown(utc)
    assert times.asked(shown) == utc
    local = moment.astimezone(ZoneInfo(where))
    assert shown == local.isoformat(sep=" ")
    if not local.fold:
        assert times.asked(local.replace(tzinfo=None).isoformat()) == utc


@pytest.mark.parametrize("where", ZONES)
def test_a_day_that_has_a_name_begins_at_its_local_midnight(zone: In, where: str) -> None:
    zone(where)
    for name, days in (("today", 0), (" Yesterday", 1)):
        day = dt.datetime.now(ZoneInfo(where)).date() - dt.timedelta(days)
        assert times.asked(name) == times.asked(day.isoformat())


def test_moments_within_a_sentence_are_local(zone: In) -> None:
    zone("Asia/Tokyo")
    said = "t2 waits for t1, the approval a1 by operator until 2026-11-29T12:00:00Z."
    assert times.within(said).endswith("until 2026-11-29 21:00:00+09:00.")
    assert times.within("nothing of the clock") == "nothing of the clock"
