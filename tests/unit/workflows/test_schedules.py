"""When schedules are due: cron's fields, days on which clocks change, misses, clocks set back."""

from __future__ import annotations

import datetime as dt
import itertools
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khive_supervisor.errors import InvalidInput
from khive_supervisor.workflows import schedules
from khive_supervisor.workflows.model import CATCH_UP_NONE, CATCH_UP_ONE

BERLIN = "Europe/Berlin"


def at(text: str, zone: str = BERLIN, fold: int = 0) -> float:
    moment = dt.datetime.fromisoformat(text)
    return moment.replace(tzinfo=ZoneInfo(zone), fold=fold).timestamp()


def dues(cron: str, begin: float, count: int, zone: str = BERLIN) -> list[float]:
    found = []
    for _ in range(count):
        due = schedules.next_due(cron, zone, begin)
        assert due is not None
        found.append(due)
        begin = due
    return found


@pytest.mark.parametrize(
    ("cron", "begin", "expected"),
    [
        ("0 9 * * 1", at("2026-03-03T00:00"), ["2026-03-09T09:00", "2026-03-16T09:00"]),
        ("@daily", at("2026-03-03T00:00"), ["2026-03-04T00:00", "2026-03-05T00:00"]),
        ("0 0 13 * 5", at("2026-03-01T00:00"), ["2026-03-06T00:00", "2026-03-13T00:00"]),
        ("0 0 29 2 *", at("2026-03-01T00:00"), ["2028-02-29T00:00", "2032-02-29T00:00"]),
        # The hour that is left out: a fixed time in it is due at its end, once.
        ("30 2 * * *", at("2026-03-28T12:00"), ["2026-03-29T03:00", "2026-03-30T02:30"]),
        # The hour that comes twice: a fixed time in it is due in its first turn alone.
        ("30 2 * * *", at("2026-10-24T12:00"), ["2026-10-25T02:30", "2026-10-26T02:30"]),
    ],
)
def test_next_times(cron: str, begin: float, expected: list[str]) -> None:
    assert dues(cron, begin, len(expected)) == [at(one) for one in expected]


def test_a_star_goes_by_the_time_that_passes() -> None:
    found = dues("*/30 * * * *", at("2026-10-25T01:30"), 5)
    assert [b - a for a, b in itertools.pairwise(found)] == [1800.0] * 4
    found = dues("*/30 * * * *", at("2026-03-29T01:15"), 3)
    assert [b - a for a, b in itertools.pairwise(found)] == [1800.0] * 2


def test_the_second_turn_of_an_hour_is_not_due_again() -> None:
    second = at("2026-10-25T02:10", fold=1)
    assert schedules.next_due("30 2 * * *", BERLIN, second) == at("2026-10-26T02:30")
    assert schedules.newest_due("30 2 * * *", BERLIN, second, at("2026-10-25T12:00")) is None


NIGHT, THREE = "0 3 * * *", at("2026-06-10T03:00")


@pytest.mark.parametrize(
    ("catch_up", "seen", "now", "run", "missed"),
    [
        (CATCH_UP_ONE, THREE - 10, THREE + 1, THREE, None),
        (CATCH_UP_NONE, THREE - 10, THREE + 1, THREE, None),
        (CATCH_UP_ONE, THREE + 1, THREE + 2, None, None),
        # Five nights without the machine: one run for all, or none.
        (CATCH_UP_ONE, THREE - 5 * 86_400, THREE + 7200, THREE, None),
        (CATCH_UP_NONE, THREE - 5 * 86_400, THREE + 7200, None, THREE),
        # Set back by less than three hours: nothing until the old time is reached.
        (CATCH_UP_ONE, THREE + 60, THREE - 3600, None, None),
        # By more: the new time counts, and what is due by it was seen to once already.
        (CATCH_UP_ONE, THREE + 86_400, THREE - 60, None, None),
        # A year ahead: the newest time is what counts.
        (CATCH_UP_ONE, THREE - 365 * 86_400, THREE, THREE, None),
    ],
)
def test_what_a_look_finds(
    catch_up: str, seen: float, now: float, run: float | None, missed: float | None
) -> None:
    found = schedules.look(NIGHT, BERLIN, catch_up, seen, now)
    assert (found.run, found.missed) == (run, missed)


CRONS = st.sampled_from(
    ["* * * * *", "*/15 * * * *", "30 2 * * *", "0 */6 * * *", "0 0 1 * *", "15 2 * * 0"]
)


@given(CRONS, st.floats(1.7e9, 1.9e9), st.floats(0, 40 * 86_400))
def test_the_newest_due_time_is_the_last_of_all(cron: str, after: float, more: float) -> None:
    last, now = None, after + min(more, 86_400.0 if cron.startswith("*") else more)
    while (due := schedules.next_due(cron, BERLIN, after if last is None else last)) is not None:
        if due > now:
            break
        last = due
    assert schedules.newest_due(cron, BERLIN, after, now) == last


@pytest.mark.parametrize(
    ("cron", "zone"),
    [("", ""), ("* * * *", ""), ("0 * * * * *", ""), ("61 * * * *", ""), ("0 0 31 2 *", ""),
     ("@never", ""), ("0 0 * * *", "Mars/Olympus"), ("0 0 * * *", "../etc/passwd")],
)  # fmt: skip
def test_what_is_no_schedule_is_refused(cron: str, zone: str) -> None:
    with pytest.raises(InvalidInput):
        schedules.check(cron, zone)
