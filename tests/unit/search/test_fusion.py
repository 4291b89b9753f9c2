from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from khive_supervisor.search.fusion import fuse, lexical_sharpness, vector_sharpness, vector_weight

Scored = list[tuple[int, float]]


def best_first(scores: dict[int, float]) -> Scored:
    return sorted(scores.items(), key=lambda row: (-row[1], -row[0]))


IDS = st.integers(1, 40)
WORDS = st.dictionaries(IDS, st.floats(0, 60), max_size=30).map(best_first)
NEAR = st.dictionaries(IDS, st.floats(-1, 1), max_size=30).map(best_first)
SHARE = st.floats(0, 1)


@given(WORDS, NEAR, SHARE)
def test_every_candidate_once_and_explained(words: Scored, near: Scored, names: float) -> None:
    fused = fuse(words, near, names)
    assert {f.id for f in fused} == {i for i, _ in words} | {i for i, _ in near}
    assert len(fused) == len({f.id for f in fused})
    for f in fused:
        parts = f.lexical_weight * f.lexical_part + f.vector_weight * f.vector_part
        assert f.score == parts
        assert 0 <= f.score <= 1 + 1e-12
        assert math.isclose(f.lexical_weight + f.vector_weight, 1)
        if f.lexical_rank is None:
            assert f.lexical_score is None
        else:
            assert words[f.lexical_rank - 1] == (f.id, f.lexical_score)
        if f.vector_rank is None:
            assert f.vector_score is None
        else:
            assert near[f.vector_rank - 1] == (f.id, f.vector_score)
    assert fused == sorted(fused, key=lambda f: (-f.score, -f.id))


def test_scores_too_small_to_divide_by_are_as_good_as_none() -> None:
    (only,) = fuse([(1, 5e-324)], [(1, 0.0)])
    assert only.lexical_part == 1.0
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
    assert all(f.vector_weight == 0.0 for f in fused)
    # Scores that differ by less than a float can say may change places.
    assert [f.lexical_score for f in fused] == pytest.approx([s for _, s in words], abs=1e-9)


@given(NEAR)
def test_vectors_alone_keep_their_order(near: Scored) -> None:
    fused = fuse([], near)
    assert len(fused) == len(near)
    assert all(f.vector_weight == 1.0 for f in fused)
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
        assert 0 <= f.lexical_part <= 1
        assert 0 <= f.vector_part <= 1
