"""When a newer statement may stand before an older one that ranks higher."""

from __future__ import annotations

from dataclasses import replace

import pytest

from khive_supervisor.truth.answering import ALIKE, Answering, answers_as_well, tells_of_a_change
from khive_supervisor.truth.reading import read

OLDER = Answering(fit=0.9, coverage=0.8, names=0.5, cosine=0.7)


def test_one_that_answers_as_well_comes_first() -> None:
    assert answers_as_well(OLDER, OLDER, ALIKE, changed=False)
    assert not answers_as_well(OLDER, OLDER, ALIKE - 0.01, changed=True)


@pytest.mark.parametrize(
    ("field", "value"),
    [("fit", 0.6), ("names", 0.4), ("coverage", 0.7), ("cosine", 0.5), ("learned_boost", 0.9)],
)
def test_one_that_answers_worse_stays_behind(field: str, value: float) -> None:
    assert not answers_as_well(OLDER, replace(OLDER, **{field: value}), 0.9, changed=False)


@pytest.mark.parametrize("field", ["coverage", "cosine"])
def test_one_that_tells_of_a_change_need_not_have_the_old_words(field: str) -> None:
    assert answers_as_well(OLDER, replace(OLDER, **{field: 0.1}), 0.9, changed=True)


def test_without_a_vector_words_decide() -> None:
    unknown = replace(OLDER, cosine=None)
    assert answers_as_well(unknown, unknown, 0.9, changed=False)


@pytest.mark.parametrize(
    ("older", "newer", "expected"),
    [
        ("CI runs on Jenkins.", "CI was moved over to GitHub Actions.", True),
        ("CI runs on Jenkins.", "CI runs on GitHub Actions.", False),
        ("CI runs on Jenkins.", "The cache was moved over to Redis.", False),
    ],
)
def test_what_tells_of_a_change(older: str, newer: str, expected: bool) -> None:
    assert tells_of_a_change(read(newer), read(older)) is expected
