"""How many failures are answered with reasons."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from khive_workers.http.limits import FailureLimit
from support import Clock


def test_more_than_the_limit_within_the_window_are_put_off() -> None:
    clock = Clock(1000.0)
    limit = FailureLimit(3, 60.0, clock)
    assert [limit.failed() for _ in range(5)] == [0, 0, 0, 60, 60]


def test_the_window_ends_however_often_somebody_tries() -> None:
    clock = Clock(1000.0)
    limit = FailureLimit(2, 60.0, clock)
    limit.failed()
    clock.now += 30
    limit.failed()
    clock.now += 29.5
    assert limit.failed() == 1
    clock.now += 0.5
    assert limit.failed() == 0
    assert limit.failed() == 30


@given(st.lists(st.floats(0, 100), max_size=50), st.integers(1, 5))
def test_within_no_window_are_more_told_than_allowed(waits: list[float], allowed: int) -> None:
    clock = Clock(1000.0)
    limit = FailureLimit(allowed, 60.0, clock)
    told = []
    for wait in waits:
        clock.now += wait
        if not limit.failed():
            told.append(clock.now)
    for at in told:
        assert sum(at <= other < at + 60.0 for other in told) <= allowed
