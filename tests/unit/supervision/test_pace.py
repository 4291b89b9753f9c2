"""When it is looked, and when it is told: exact, with a clock of the test's own."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khive_supervisor.supervision.watch.pace import (
    FIRST_LOOK,
    LOOKS,
    PUSH_A_SESSION,
    PUSH_MINIMUM,
    Looks,
    Pace,
)


def test_the_first_push_leaves_at_once_and_the_next_waits() -> None:
    pace = Pace()
    assert pace.wait(100.0) == 0
    pace.sent(100.0, 1)
    assert pace.wait(100.0) == pytest.approx(PUSH_MINIMUM)
    assert pace.wait(100.0 + PUSH_MINIMUM) == 0


def test_many_sessions_are_told_less_often() -> None:
    pace = Pace()
    pace.sent(0.0, 200)
    assert pace.wait(0.0) == pytest.approx(200 * PUSH_A_SESSION)


@given(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 50)), max_size=50))
def test_two_pushes_are_never_closer_than_the_sessions_allow(
    steps: list[tuple[float, int]],
) -> None:
    pace, now, left = Pace(), 0.0, float("-inf")
    gap = 0.0
    for pause, sessions in steps:
        now += pause
        now += pace.wait(now)
        assert now - left >= gap - 1e-9
        pace.sent(now, sessions)
        left, gap = now, max(PUSH_MINIMUM, sessions * PUSH_A_SESSION)


def test_after_a_hint_it_is_looked_soon_then_ever_later_then_not_at_all() -> None:
    looks = Looks()
    waits: list[float | None] = [looks.hint()]
    while waits[-1] is not None:
        waits.append(looks.looked())
    assert waits == [FIRST_LOOK * 2**n for n in range(LOOKS)] + [None]
    # Long enough for a commit whose sync takes most of a second to become visible.
    assert 1.0 <= sum(wait for wait in waits if wait is not None) <= 1.1


def test_a_hint_begins_the_looks_again() -> None:
    looks = Looks()
    looks.hint()
    for _ in range(5):
        looks.looked()
    assert looks.hint() == FIRST_LOOK
    assert looks.looked() == FIRST_LOOK * 2


def test_pushes_take_a_thirtieth_of_a_core_at_most() -> None:
    """A worker needs about 0.5 ms to refresh."""
    assert PUSH_MINIMUM == PUSH_A_SESSION == 0.0005 * 30
