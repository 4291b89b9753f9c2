from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khive_supervisor.errors import InvalidInput
from khive_supervisor.search.fusion import Fused, fuse
from khive_supervisor.search.ranking import (
    BOOST,
    LEARNED_BOOST,
    Age,
    RankWeights,
    boost,
    contenders,
    learned_boost,
    rank,
)

DAY = 86400.0
AGES = st.builds(Age, st.floats(0, 1), st.floats(0, 1), st.floats(0, 5000))
WEIGHTS = st.builds(RankWeights, st.floats(0.01, 10), st.floats(0, 10), st.floats(0, 10))


def candidates(count: int = 20) -> list[Fused]:
    return fuse(
        [(i, 20.0 - i) for i in range(1, count + 1)],
        [(i, 0.8 - 0.02 * i) for i in range(1, count + 1)],
    )


@given(AGES, WEIGHTS)
def test_equal_salience_and_age_keep_the_fused_order(age: Age, weights: RankWeights) -> None:
    fused = candidates()
    assert [r.fused for r in rank(fused, lambda _: age, weights)] == fused


@given(AGES, WEIGHTS)
def test_the_lift_is_bounded(age: Age, weights: RankWeights) -> None:
    assert 1.0 <= boost(age, weights) <= 1.0 + BOOST + 1e-12


def test_of_two_equal_ones_the_salient_and_the_fresh_come_first() -> None:
    twins = fuse([(1, 5.0), (2, 5.0)], [(1, 0.5), (2, 0.5)])
    salient = {1: Age(0.9, 0.0, 0.0), 2: Age(0.1, 0.0, 0.0)}
    fresh = {1: Age(0.5, 0.02, 1.0), 2: Age(0.5, 0.02, 90.0)}
    for ages in (salient, fresh):
        assert [r.fused.id for r in rank(twins, ages.get)] == [1, 2]


@pytest.mark.parametrize(
    ("age", "weights", "factor"),
    [
        (Age(0.0, 0.0, 0.0), RankWeights(), 1.03),
        (Age(1.0, 0.0, 0.0), RankWeights(), 1.09),
        (Age(0.5, 0.0, 0.0), RankWeights(), 1.06),
        (Age(5.0, -1.0, -1.0), RankWeights(), 1.09),
        (Age(-5.0, 0.0, 0.0), RankWeights(), 1.03),
        (Age(1.0, 0.1, 10.0), RankWeights(), 1 + 0.09 * 0.36787944117144233),
        (Age(1.0, 0.0, 0.0), RankWeights(0.0, 1.0, 1.0), 1.3),
        (Age(0.5, 0.0, 0.0), RankWeights(1.0, 2.0, 1.0), 1.15),
        (Age(1.0, 0.0, 0.0), RankWeights(1.0, 0.0, 0.0), 1.0),
    ],
)
def test_what_salience_and_age_are_worth(age: Age, weights: RankWeights, factor: float) -> None:
    assert boost(age, weights) == pytest.approx(factor)


@pytest.mark.parametrize(("mean", "factor"), [(0.0, 0.875), (0.5, 1.0), (0.75, 1.0625), (1, 1.125)])
def test_what_was_said_moves_a_score_by_an_eighth_at_most(mean: float, factor: float) -> None:
    assert learned_boost(mean) == factor


def test_what_was_found_useful_comes_before_its_equal() -> None:
    twins = fuse([(1, 5.0), (2, 5.0)], [(1, 0.5), (2, 0.5)])
    ages = dict.fromkeys((1, 2), Age(0.5, 0.0, 0.0))
    for means, first in (({1: 0.9}, 1), ({2: 0.9}, 2), ({1: 0.1}, 2), ({1: 0.6, 2: 0.7}, 2)):
        ranked = rank(twins, ages.get, means=means)
        assert ranked[0].fused.id == first
        assert ranked[0].learned_boost == learned_boost(means.get(first, 0.5))
        assert ranked[0].score == pytest.approx(
            ranked[0].fused.score * ranked[0].boost * ranked[0].learned_boost
        )


def test_a_list_that_is_short_enough_is_taken_as_it_is() -> None:
    fused = candidates(5)
    assert contenders(fused, 5) is fused
    assert contenders(fused, 6) is fused
    assert len(contenders(fused, 1)) < 5


def test_what_is_gone_is_left_out() -> None:
    ages = {1: Age(0.5, 0.0, 0.0)}
    assert [r.fused.id for r in rank(candidates(3), ages.get)] == [1]


def test_decay_takes_the_lift_and_not_the_place() -> None:
    forgotten = Age(1.0, 0.5, 1000.0)
    assert boost(forgotten) == pytest.approx(1.0)


@pytest.mark.parametrize("days", [0.0, 35.0])
def test_age_comes_from_the_clock(days: float) -> None:
    age = Age.at(100 * DAY, created_at=(100 - days) * DAY, salience=0.5, decay=0.02)
    assert age.days == days
    assert Age.at(0.0, created_at=DAY, salience=0.5, decay=0.02).days == 0.0


@given(
    st.lists(AGES, min_size=20, max_size=20),
    st.integers(1, 20),
    WEIGHTS,
    st.dictionaries(st.integers(1, 20), st.floats(0, 1)),
)
def test_contenders_hold_all_that_can_win(
    ages: list[Age], limit: int, weights: RankWeights, means: dict[int, float]
) -> None:
    fused = candidates()
    of = {f.id: age for f, age in zip(fused, ages, strict=True)}
    whole = rank(fused, of.get, weights, means)[:limit]
    chosen = contenders(fused, limit, weights, means)
    assert rank(chosen, of.get, weights, means)[:limit] == whole


@given(st.floats(0, 1))
def test_liking_is_bounded_and_neutral_without_feedback(mean: float) -> None:
    assert 1 - LEARNED_BOOST / 2 <= learned_boost(mean) <= 1 + LEARNED_BOOST / 2
    assert learned_boost(0.5) == 1.0


@pytest.mark.parametrize(
    "weights", [(-1, 0, 0), (0, 0, 0), (float("nan"), 1, 1), (1, float("inf"), 0)]
)
def test_unusable_weights_are_refused(weights: tuple[float, float, float]) -> None:
    with pytest.raises(InvalidInput):
        RankWeights(*weights)
