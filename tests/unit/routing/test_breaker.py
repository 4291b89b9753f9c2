"""A candidate's circuit breaker: what opens it, for how long, and what closes it again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khive_supervisor.routing import breaker
from khive_supervisor.routing.breaker import CLOSED, HALF_OPEN, OPEN, Breaker
from khive_supervisor.routing.model import (
    FAULTS,
    NO_KEY,
    NO_PROGRAM,
    OVERLOADED,
    RATE_LIMITED,
    Unavailable,
)

NOW = 1000.0
FAULT = st.builds(
    Unavailable,
    st.sampled_from(FAULTS),
    st.none() | st.floats(-1.0, 10_000.0),
)
CHANCE = st.floats(0.0, 1.0)


@pytest.mark.parametrize(
    ("fault", "seconds"),
    [(RATE_LIMITED, 30.0), (OVERLOADED, 10.0), (NO_KEY, 60.0), (NO_PROGRAM, 60.0)],
)
def test_one_fault_of_each_kind_opens_it_for_its_time(fault: str, seconds: float) -> None:
    opened = breaker.failed(Breaker(), Unavailable(fault), NOW, 0.0)
    assert opened == Breaker(OPEN, 1, NOW + seconds, fault)
    assert opened.waits_until(NOW + seconds - 0.001) == NOW + seconds
    assert opened.waits_until(NOW + seconds) is None


def test_a_probe_that_is_done_closes_it() -> None:
    opened = breaker.failed(Breaker(), Unavailable(OVERLOADED), NOW, 0.0)
    probing = breaker.took(opened, opened.until)
    assert probing.state == HALF_OPEN
    # One task at a time probes it.
    assert probing.waits_until(opened.until + 1) is not None
    assert breaker.answered(probing) == Breaker()


def test_a_probe_that_fails_opens_it_for_twice_as_long_up_to_the_most() -> None:
    one, at, waits = Breaker(), NOW, []
    for _ in range(10):
        one = breaker.failed(one, Unavailable(OVERLOADED), at, 0.0)
        waits.append(one.until - at)
        at = one.until
        one = breaker.took(one, at)
    assert waits[:4] == [10.0, 20.0, 40.0, 80.0]
    assert waits[-1] == breaker.COOLDOWN_MAX


def test_a_probe_that_is_never_heard_of_makes_room_for_another() -> None:
    probing = breaker.took(Breaker(OPEN, 1, NOW, OVERLOADED), NOW)
    assert probing.waits_until(NOW + breaker.PROBE - 1) == NOW + breaker.PROBE
    assert probing.waits_until(NOW + breaker.PROBE) is None


def test_of_several_tasks_that_meet_the_same_fault_the_first_counts() -> None:
    once = breaker.failed(Breaker(), Unavailable(RATE_LIMITED), NOW, 0.0)
    again = breaker.failed(once, Unavailable(RATE_LIMITED), NOW + 1, 0.0)
    assert again == once
    # One that is told a longer time to wait has it waited.
    longer = breaker.failed(once, Unavailable(RATE_LIMITED, 300.0), NOW + 1, 0.0)
    assert (longer.faults, longer.until) == (1, NOW + 301)


def test_a_task_that_began_before_it_opened_says_nothing_of_now() -> None:
    opened = Breaker(OPEN, 1, NOW + 30, RATE_LIMITED)
    assert breaker.answered(opened) == opened
    assert breaker.took(Breaker(), NOW) == Breaker()


@given(FAULT, st.integers(1, 2000), CHANCE)
def test_a_cooldown_is_bounded_and_never_shorter_than_asked_for(
    why: Unavailable, faults: int, chance: float
) -> None:
    found = breaker.cooldown(why, faults, chance)
    assert 0.0 <= found <= breaker.ASKED_MAX * (1 + breaker.JITTER)
    asked = min(why.retry_after or 0.0, breaker.ASKED_MAX)
    assert found >= asked
    if why.retry_after is None:
        assert breaker.COOLDOWN[why.kind] <= found <= breaker.COOLDOWN_MAX * (1 + breaker.JITTER)


@given(st.lists(st.tuples(st.sampled_from(["fault", "took", "answered"]), FAULT, CHANCE)))
def test_whatever_happens_it_lets_a_task_through_again(
    events: list[tuple[str, Unavailable, float]],
) -> None:
    one, now = Breaker(), NOW
    for what, why, chance in events:
        match what:
            case "fault":
                one = breaker.failed(one, why, now, chance)
            case "took" if one.waits_until(now) is None:
                one = breaker.took(one, now)
            case _:
                one = breaker.answered(one)
        assert one.state in breaker.STATES
        assert (one.state == CLOSED) == (one == Breaker())
        until = one.waits_until(now)
        assert until is None or now < until <= now + 2 * breaker.ASKED_MAX
        now += 7.0
