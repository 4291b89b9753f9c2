from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from khive_supervisor.search.fusion import (
    SUPPORTED,
    Fused,
    VectorsOf,
    fuse,
    lexical_sharpness,
    supported,
    vector_sharpness,
    vector_weight,
)

Scored = list[tuple[int, float]]


def best_first(scores: dict[int, float]) -> Scored:
    return sorted(scores.items(), key=lambda row: (-row[1], -row[0]))


IDS = st.integers(1, 40)
WORDS = st.dictionaries(IDS, st.floats(0, 60), max_size=30).map(best_first)
NEAR = st.dictionaries(IDS, st.floats(-1, 1), max_size=30).map(best_first)
SHARE = st.floats(0, 1)


def parts(one: Fused) -> tuple[float, float]:
    """Return what each arm says of a candidate, 0..1."""
    text, vector = one.arms
    return (
        one.lexical[2] if one.lexical else text.unlisted,
        one.vector[2] if one.vector else vector.unlisted,
    )


@given(WORDS, NEAR, SHARE)
def test_every_candidate_once_and_explained(words: Scored, near: Scored, names: float) -> None:
    fused = fuse(words, near, names)
    assert {f.id for f in fused} == {i for i, _ in words} | {i for i, _ in near}
    assert len(fused) == len({f.id for f in fused})
    for f in fused:
        (by_words, by_vector), arms = parts(f), f.arms
        assert f.score == arms[0].weight * by_words + arms[1].weight * by_vector
        assert 0 <= f.score <= 1 + 1e-12
        assert math.isclose(arms[0].weight + arms[1].weight, 1)
        for place, listed in ((f.lexical, words), (f.vector, near)):
            if place is None:
                assert f.id not in dict(listed)
            else:
                assert listed[place[0] - 1] == (f.id, place[1])
    assert fused == sorted(fused, key=lambda f: (-f.score, -f.id))


def test_scores_too_small_to_divide_by_are_as_good_as_none() -> None:
    (only,) = fuse([(1, 5e-324)], [(1, 0.0)])
    assert parts(only)[0] == 1.0
    assert 0 < only.score <= 1


@given(WORDS, NEAR, SHARE)
@example([(2, 5e-324), (1, 5e-324)], [(2, 0.5), (1, 0.5)], 0.0)
def test_better_in_both_arms_is_never_behind(words: Scored, near: Scored, names: float) -> None:
    place = {f.id: f for f in fuse(words, near, names)}
    lexical, vector = dict(words), dict(near)
    both = [i for i in lexical if i in vector]
    for a in both:
        for b in both:
            if lexical[a] >= lexical[b] and vector[a] >= vector[b]:
                assert place[a].score >= place[b].score - 1e-12


@given(WORDS)
def test_full_text_alone_keeps_its_order(words: Scored) -> None:
    fused = fuse(words, [])
    assert len(fused) == len(words)
    assert all(f.arms[1].weight == 0.0 for f in fused)
    # Scores that differ by less than a float can say may change places.
    assert [f.lexical[1] for f in fused if f.lexical] == pytest.approx(
        [s for _, s in words], abs=1e-9
    )


@given(NEAR)
def test_vectors_alone_keep_their_order(near: Scored) -> None:
    fused = fuse([], near)
    assert len(fused) == len(near)
    assert all(f.arms[1].weight == 1.0 for f in fused)
    assert all(a.score >= b.score for a, b in pairwise(fused))


def test_nothing_fuses_to_nothing() -> None:
    assert fuse([], []) == []


@given(WORDS, NEAR, SHARE, SHARE)
def test_names_move_the_weight_to_full_text(
    words: Scored, near: Scored, some: float, more: float
) -> None:
    low, high = sorted((some, more))
    assert vector_weight(words, near, high) <= vector_weight(words, near, low)


def test_a_sharp_arm_gets_the_weight() -> None:
    flat_words = [(i, 10 - i * 0.01) for i in range(1, 21)]
    sharp_words = [(1, 10.0), *((i, 2.0) for i in range(2, 21))]
    flat_near = [(i, 0.5 - i * 0.001) for i in range(1, 21)]
    sharp_near = [(1, 0.8), *((i, 0.3) for i in range(2, 21))]
    assert vector_weight(sharp_words, flat_near) < 0.2
    assert vector_weight(flat_words, sharp_near) > 0.9


def test_the_only_match_of_a_rare_name_comes_first() -> None:
    near = [(i, 0.4 - i * 0.001) for i in range(1, 101)]
    assert fuse([(500, 9.0)], near, names=0.5)[0].id == 500


def test_sharpness_of_short_lists() -> None:
    assert lexical_sharpness([(1, 5.0)]) == 1.0
    assert lexical_sharpness([(1, 0.0), (2, 0.0)]) == 0.0
    assert vector_sharpness([(1, 0.7)]) == 0.0
    assert vector_sharpness([(1, 0.7), (2, 0.5), (3, 0.3)]) == pytest.approx(0.3)


def test_equal_candidates_come_newest_first() -> None:
    assert [f.id for f in fuse([(7, 1.0), (3, 1.0)], [(7, 0.5), (3, 0.5)])] == [7, 3]
    assert [f.id for f in fuse([(3, 1.0), (7, 1.0)], [(3, 0.5), (7, 0.5)])] == [7, 3]


FINITE = st.floats(allow_nan=False, allow_infinity=False)
ANY = st.dictionaries(IDS, FINITE, max_size=30).map(best_first)


@given(ANY, ANY, FINITE)
@example([(1, 5e-324), (2, 5e-324)], [(1, 0.5)], 0.0)
@example([(2, 1e308), (1, -1e308)], [(2, -1e308), (1, -1.7e308)], 1e308)
def test_finite_scores_give_finite_ones(words: Scored, near: Scored, names: float) -> None:
    for f in fuse(words, near, names):
        assert 0 <= f.score <= 1 + 1e-12
        assert all(0 <= part <= 1 for part in parts(f))


# --- the formula, written out once more -----------------------------------------------------------


def falling(best: float, step: float, count: int) -> Scored:
    return [(number + 1, best - step * number) for number in range(count)]


def expected_weight(words: float, meaning: float, best: float, names: float) -> float:
    """Return the vector arm's weight by the formula of the module, from both sharpnesses."""
    log_odds = 1.0 + 1.85 * math.log((meaning + 0.02) / (words + 0.1)) + 3.2 * best - 4.2 * names
    return 1 / (1 + math.exp(-log_odds))


@pytest.mark.parametrize("names", [0.0, 0.3, 1.0])
def test_the_weight_is_that_of_the_formula(names: float) -> None:
    words, near = falling(10.0, 0.5, 10), falling(0.8, 0.01, 10)
    # The means of the nine that follow are 10 - 0.5 * 5 and 0.8 - 0.01 * 5.
    wanted = expected_weight(0.25, 0.05, 0.8, names)
    assert vector_weight(words, near, names) == pytest.approx(wanted)
    for one in fuse(words, near, names):
        assert one.arms[1].weight == pytest.approx(wanted)
        assert one.arms[0].weight == pytest.approx(1 - wanted)


def test_nineteen_that_follow_make_a_sharpness_and_no_more() -> None:
    whole, shorter = falling(0.9, 0.01, 40), falling(0.9, 0.01, 20)
    assert vector_sharpness(whole) == vector_sharpness(shorter) == pytest.approx(0.1)
    assert vector_sharpness(falling(0.9, 0.01, 21)) == pytest.approx(0.1)
    assert vector_sharpness(falling(0.9, 0.01, 19)) == pytest.approx(0.095)
    assert lexical_sharpness(falling(10.0, 0.1, 40)) == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("scores", "sharpness"),
    [
        ([4.0], 1.0),
        ([4.0, 4.0], 0.75),
        ([4.0, 4.0, 4.0, 4.0], 0.25),
        ([4.0, 4.0, 4.0, 4.0, 4.0], 0.0),
        ([4.0, 2.0, 2.0, 2.0, 2.0, 2.0], 0.5),
        ([0.0, 0.0], 0.0),
    ],
)
def test_fewer_than_four_that_follow_are_filled_up_with_none(
    scores: list[float], sharpness: float
) -> None:
    words = [(number, score) for number, score in enumerate(scores, 1)]
    assert lexical_sharpness(words) == pytest.approx(sharpness)


def test_a_single_result_by_meaning_is_not_sharp() -> None:
    assert vector_sharpness([(1, 0.9)]) == 0.0


def test_an_arm_alone_has_all_the_weight() -> None:
    assert vector_weight([(1, 5.0)], []) == 0.0
    assert vector_weight([], [(1, 0.5)]) == 1.0
    (alone,) = fuse([(1, 5.0)], [])
    assert (alone.arms[0].weight, alone.arms[1].weight, alone.score) == (1.0, 0.0, 1.0)
    (alone,) = fuse([], [(1, 0.5)])
    assert (alone.arms[0].weight, alone.arms[1].weight, alone.score) == (0.0, 1.0, 1.0)


def test_a_part_falls_with_how_far_it_is_behind() -> None:
    found = {one.id: one for one in fuse(falling(10.0, 2.5, 5), falling(0.8, 0.2, 5))}
    for number, shortfall in enumerate((0.0, 0.25, 0.5, 0.75, 1.0), 1):
        assert parts(found[number])[0] == pytest.approx(1 / (1 + 2 * shortfall))
        assert parts(found[number])[1] == pytest.approx(1 / (1 + 2 * shortfall))


def test_what_an_arm_does_not_list_is_a_little_behind_its_last() -> None:
    found = {one.id: one for one in fuse([(1, 4.0)], [(2, 0.8), (3, 0.6)])}
    assert parts(found[2])[0] == parts(found[3])[0] == pytest.approx(1 / 3)
    # A cosine of 0.9 * 0.6, behind 0.8.
    assert parts(found[1])[1] == pytest.approx(1 / (1 + 2 * (0.8 - 0.54) / 0.8))
    low = {one.id: one for one in fuse([(1, 4.0)], [(2, 0.02), (3, -0.01)])}
    # Nothing is similar: shortfalls are measured against 0.05, and a cosine below 0 counts as 0.
    assert parts(low[1])[1] == pytest.approx(1 / (1 + 2 * 0.02 / 0.05))
    assert parts(low[3])[1] == pytest.approx(1 / (1 + 2 * 0.03 / 0.05))


def test_of_equal_scores_the_newer_entry_comes_first() -> None:
    words = [(3, 5.0), (9, 5.0), (1, 5.0)]
    assert [one.id for one in fuse(words, [])] == [9, 3, 1]
    assert [one.id for one in fuse([(1, 5.0), (2, 4.0)], [])] == [1, 2]


def test_names_are_none_unless_they_are_given() -> None:
    words, near = falling(10.0, 0.5, 10), falling(0.8, 0.01, 10)
    assert vector_weight(words, near) == vector_weight(words, near, 0.0)
    assert fuse(words, near) == fuse(words, near, 0.0)


def test_small_scores_are_compared_in_proportion() -> None:
    said = [parts(one)[0] for one in fuse([(1, 0.4), (2, 0.2)], [])]
    assert said == pytest.approx([1.0, 0.5])
    assert lexical_sharpness([(1, 0.4)]) == 1.0
    assert lexical_sharpness([(1, 0.4), (2, 0.4)]) == pytest.approx(0.75)


def vectors_by(angles: dict[int, float]) -> VectorsOf:
    """Return what gives entries vectors in a plane, by their angles; the others have none."""

    def vectors_of(ids: Sequence[int]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        known = [one for one in ids if one in angles]
        rows = [(math.cos(angles[one]), math.sin(angles[one])) for one in known]
        return np.array(known, np.int64), np.array(rows, np.float32).reshape(len(known), 2)

    return vectors_of


ANGLES = st.dictionaries(IDS, st.floats(0, 2 * math.pi), max_size=40).map(vectors_by)


@given(WORDS, NEAR, ANGLES)
def test_support_moves_and_neither_adds_nor_loses(
    words: Scored, near: Scored, vectors: VectorsOf
) -> None:
    fused = fuse(words, near)
    found = supported(fused, vectors)
    assert sorted(one.id for one in found) == sorted(one.id for one in fused)
    assert all(a.score >= b.score for a, b in pairwise(found))
    before = {one.id: one.score for one in fused}
    best = max(before.values(), default=0.0)
    for one in found:
        assert one.score == pytest.approx(before[one.id] * one.support)
        assert one.score <= best + 1e-6


def test_who_is_near_the_best_ones_comes_before_who_is_alone() -> None:
    fused = fuse([], [(1, 0.9), (2, 0.88), (3, 0.86), (4, 0.6), (5, 0.59), (6, 0.3)])
    alone = {4: 2.0, 6: 2.0}
    found = supported(fused, vectors_by({1: 0.0, 2: 0.05, 3: 0.1, 5: 0.05, **alone}))
    order = [one.id for one in found]
    assert order.index(5) < order.index(4)
    assert {order[0], order[1], order[2]} == {1, 2, 3}


def test_without_vectors_nothing_changes() -> None:
    fused = fuse([(1, 5.0), (2, 4.0), (3, 1.0)], [(1, 0.9), (4, 0.5)])
    assert supported(fused, vectors_by({})) == fused
    assert supported(fused, vectors_by({1: 0.0, 2: 0.1})) == fused


def test_only_the_first_are_looked_at() -> None:
    fused = fuse([], [(n, 0.9 - n / 1000) for n in range(1, 60)])
    asked: list[int] = []

    def vectors_of(ids: Sequence[int]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        asked.extend(ids)
        return np.array(ids, np.int64), np.ones((len(ids), 1), np.float32)

    supported(fused, vectors_of)
    assert asked == [one.id for one in fused[:SUPPORTED]]
