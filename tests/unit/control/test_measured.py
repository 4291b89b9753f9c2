"""How long things took: counted by buckets, told as plain numbers, and read back."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khive_supervisor.control import measured


@pytest.fixture(autouse=True)
def _from_nothing() -> None:
    measured.clear()


@given(st.lists(st.floats(0, 1000), max_size=30), st.lists(st.floats(0, 1000), max_size=30))
def test_counts_of_two_workers_add_up(first: list[float], second: list[float]) -> None:
    total: Counter[str] = Counter()
    for seconds in (first, second):
        measured.clear()
        for one in seconds:
            measured.observe("call", "memory.recall,mcp", one)
        total.update(measured.counts())
    found = measured.durations(total, "call")
    if not first + second:
        assert found == {}
        return
    ((labels, one),) = found.items()
    assert labels == ("memory.recall", "mcp")
    assert sum(one.buckets) == len(first + second)
    assert one.seconds == pytest.approx(sum(first + second), abs=1e-4)
    for index, bound in enumerate(measured.BOUNDS):
        within = sum(1 for seconds in first + second if seconds <= bound)
        assert sum(one.buckets[: index + 1]) == within


def test_names_are_bounded_and_what_is_known_goes_on_counting() -> None:
    for number in range(measured.MOST_NAMES + 10):
        measured.failed(f"e{number}")
    measured.failed("e0")
    counts = measured.counts()
    assert len(counts) == measured.MOST_NAMES
    assert measured.errors(counts)["e0"] == 2


@pytest.mark.parametrize("name", ["call", "call|a", "call|a|b", "call|a|99", "callx|a|1", "|||"])
def test_foreign_names_are_passed_over(name: str) -> None:
    assert measured.durations({name: 1}, "call") == {}
