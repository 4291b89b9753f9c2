"""What executions say and tell: texts, curves, and what fits into a prompt."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khive_supervisor.briefing.tokens import bound
from khive_supervisor.history import curve, telling
from khive_supervisor.history.model import AttemptEnd, DaySum
from khive_supervisor.history.told import TriedTask, told
from khive_supervisor.tasks.model import (
    CANCELLED,
    DIED,
    DONE,
    FAILED,
    OUTCOMES,
    QUEUED,
    Outcome,
    Usage,
)

WORDS = st.text(st.characters(codec="utf-8"), max_size=400)


@pytest.mark.parametrize(
    ("outcome", "state", "ended", "answer"),
    [
        (Outcome(DONE, "it works"), DONE, DONE, "it works"),
        (Outcome(DONE, {"text": "so it is", "usage": 1}), DONE, DONE, "so it is"),
        (Outcome(DONE, {"rows": 3}), DONE, DONE, ""),
        (Outcome(FAILED, error="no"), QUEUED, FAILED, ""),
        (Outcome(FAILED, error="no"), FAILED, FAILED, ""),
        (Outcome(FAILED, error="stopped"), CANCELLED, CANCELLED, ""),
        (Outcome(CANCELLED, error="cancelled"), CANCELLED, CANCELLED, ""),
    ],
)
def test_how_an_attempt_ended(outcome: Outcome, state: str, ended: str, answer: str) -> None:
    end = AttemptEnd.of(outcome, state)
    assert (end.outcome, end.error, end.answer) == (ended, outcome.error, answer)


@pytest.mark.parametrize(
    ("payload", "end", "title", "content"),
    [
        ({"prompt": "fix it"}, AttemptEnd(DONE), "fix it", "fix it"),
        (
            "\n\n  fix   it\nnow",
            AttemptEnd(DIED, "gone"),
            "fix it",
            "fix   it\nnow\ncame of it: gone",
        ),
        (None, AttemptEnd(DONE), "a task of r", ""),
        (
            "fix",
            AttemptEnd(DONE, place={"touched": ["a.py", "b.py"], "branch": 3}, answer=" ok "),
            "fix",
            "fix\nedited: a.py, b.py\ncame of it: ok",
        ),
        ("fix", AttemptEnd(DONE, place={"touched": "a.py"}), "fix", "fix"),
    ],
)
def test_what_an_entry_says(payload: Any, end: AttemptEnd, title: str, content: str) -> None:
    prompt = telling.prompt_in(payload)
    assert telling.title_of(prompt, "r") == title
    said = telling.content_of(prompt, end)
    assert said == content
    assert telling.came_of(said) == (end.error or end.answer).strip()
    assert telling.said_of(end.place, "branch") == ""


@given(WORDS, WORDS, st.sampled_from(OUTCOMES))
def test_an_entry_is_never_long(prompt: str, error: str, outcome: str) -> None:
    said = telling.content_of(prompt * 40, AttemptEnd(outcome, error * 10, usage=Usage(1)))
    assert len(said) <= telling.PROMPT + telling.CAME + 100
    assert len(telling.title_of(prompt, "r")) <= telling.TITLE


@given(
    st.lists(
        st.builds(
            TriedTask,
            st.sampled_from(OUTCOMES),
            st.just("fixer"),
            WORDS,
            WORDS,
            st.lists(st.just("src/a.py"), max_size=9).map(tuple),
            st.booleans(),
        ),
        max_size=12,
    ),
    st.integers(50, 2_000),
)
def test_what_is_told_fits_and_keeps_its_order(tried: list[TriedTask], most: int) -> None:
    text = told(tried, most)
    assert bound(text) <= most
    lines = [line for line in text.splitlines() if line.startswith("- ")]
    kept = [one for one in tried if one.outcome != CANCELLED]
    assert len(lines) <= len(kept)
    for line, one in zip(lines, kept, strict=False):
        assert line.startswith(f"- {'worked' if one.outcome == DONE else one.outcome} (fixer)")


@pytest.mark.parametrize(
    ("part", "whole", "low", "high"),
    [(0, 0, 0.0, 1.0), (0, 10, 0.0, 0.278), (10, 10, 0.722, 1.0), (8, 10, 0.490, 0.943)],
)
def test_the_interval_of_a_share(part: int, whole: int, low: float, high: float) -> None:
    found = curve.share(part, whole)
    assert (round(found.low, 3), round(found.high, 3)) == (low, high)


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=30), st.data())
def test_a_day_lies_in_its_intervals(seconds: list[float], data: st.DataObject) -> None:
    count = len(seconds)
    wins = data.draw(st.integers(0, count))
    one = DaySum(1, count, wins, 5, 25.0, 0, sum(seconds), sum(s * s for s in seconds))
    found = curve.point(one)
    for estimate in (found.success, found.cost, found.seconds):
        assert 0.0 <= estimate.low <= estimate.mean + 1e-9
        assert estimate.mean <= estimate.high + 1e-9
    assert found.success.high <= 1.0
    assert math.isinf(found.seconds.high) == (count == 1)


def test_all_days_together_are_their_sums() -> None:
    days = [DaySum(day, 4, 3, 8, 16.0, 9, 2.0, 1.0) for day in (7, 8)]
    found = curve.total(days)
    assert found is not None
    assert (found.day, found.executions, found.success.mean) == (8, 8, 0.75)
    assert curve.total([]) is None
    assert [point.day for point in curve.points(days)] == [7, 8]
