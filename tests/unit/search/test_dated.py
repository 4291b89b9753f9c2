"""What was said at the time that a query names comes first; what was said at another is found."""

from __future__ import annotations

import datetime as dt

from khive_supervisor.search.dated import BESIDE, LONGEST, Times, prefer, times
from khive_supervisor.search.fusion import Fused, Weighted
from khive_supervisor.text.analysis import read_query

ARMS = (Weighted(0.5, 0.0), Weighted(0.5, 0.0))
NOW = dt.datetime(2026, 11, 29, 15, 0, tzinfo=dt.UTC)
DAY = 86_400.0
YESTERDAY = (NOW.timestamp() - 39 * 3600, NOW.timestamp() - 15 * 3600)


def fused(*scores: float) -> list[Fused]:
    return [Fused(number, score, None, None, ARMS) for number, score in enumerate(scores, 1)]


def test_a_query_without_a_time_prefers_nothing() -> None:
    assert times("the port of the gateway", NOW) == Times((), "the port of the gateway")


def test_a_time_is_named_in_moments_and_left_out_of_what_is_asked() -> None:
    found = times("the deploy of yesterday", NOW)
    assert found == Times([YESTERDAY], "the deploy of")
    assert list(found.without(read_query("the deploy of yesterday"))) == ["deploy"]


def test_a_query_of_a_time_alone_stays_whole() -> None:
    assert times("what was it yesterday", NOW).rest == "what was it yesterday"


def test_what_is_pasted_is_about_no_time() -> None:
    assert times("x" * LONGEST + " yesterday", NOW).spans == ()


def test_what_was_said_then_comes_first_and_nothing_is_lost() -> None:
    then, long_before = YESTERDAY[0] + 60, YESTERDAY[0] - 90 * DAY
    found, factors = prefer(fused(0.9, 0.8, 0.7), Times([YESTERDAY]), {1: long_before, 2: then})
    assert [one.id for one in found] == [2, 1, 3]
    assert factors[2] > factors[1] >= 1.0


def test_nearness_fades_beside_a_span() -> None:
    wanted = Times([YESTERDAY])
    inside, beside, far = (
        wanted.nearness(at) for at in (YESTERDAY[0], YESTERDAY[1] + 60, YESTERDAY[1] + 9 * DAY)
    )
    assert inside == 1.0
    assert 0.9 * BESIDE < beside <= BESIDE
    assert far < 0.01
