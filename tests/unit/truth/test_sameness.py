"""The learned scale of what may be about the same: its features, and what moves it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from khive_supervisor.truth import sameness
from khive_supervisor.truth.reading import read

SUBJECTS = np.eye(6, dtype=np.float32)
NEW = read("trunk is main")


def rows(*parts: list[float]) -> sameness.Matrix:
    made = np.array(parts, np.float32)
    return made / np.linalg.norm(made, axis=1, keepdims=True)


def test_one_that_stands_out_is_likelier_than_one_of_a_crowd() -> None:
    new, near, far = [1, 0.2, 0, 0, 0, 0.0], [1, 0.8, 0, 0, 0, 0.0], [0.1, 0, 1, 0, 0, 0.0]
    texts = [read(f"something else {n}") for n in range(8)]
    alone, crowded = (
        sameness.logits(NEW, texts, rows(near, *[one] * 7, new), SUBJECTS) for one in (far, near)
    )
    assert alone[0] > max(crowded[0], alone[1])


def test_rivals_are_less_likely_about_the_same() -> None:
    vectors = rows([1, 0.5, 0, 0, 0, 0], [1, 0.5, 0, 0, 0, 0], [1, 0.4, 0, 0, 0, 0])
    new = read("The search service keeps logs for a week.")
    rival = read("The billing service keeps logs for a year.")
    plain = read("Old output is thrown away after a year.")
    known = sameness.features(new, [rival, plain], vectors, SUBJECTS)
    assert known["rivals"].tolist() == [1.0, 0.0]
    assert np.diff(sameness.logits(new, [rival, plain], vectors, SUBJECTS)) > 0


def test_what_a_small_store_has_not_is_taken_for_the_usual() -> None:
    vectors = rows([1, 0, 0, 0, 0, 0], [0.6, 0.8, 0, 0, 0, 0])
    known = sameness.features(NEW, [read("default branch: master")], vectors, SUBJECTS)
    assert known["cosine"][0] == pytest.approx(0.6)
    assert known["stands_out"][0] == pytest.approx(0.6 - sameness.MEANING)
    assert known["crowded"][0] == pytest.approx(sameness.MEANING)
    assert known["subject_stands_out"][0] == pytest.approx(known["subject"][0] - sameness.SUBJECT)
    assert known["subject_crowded"][0] == pytest.approx(sameness.SUBJECT)


def test_only_the_nearest_others_count() -> None:
    others = [[0.0, 1, 0, 0, 0, 0]] * 3 + [[1.0, 0, 0, 0, 0, 0]] * sameness.OTHERS
    vectors = rows([0.0, 0, 1, 0, 0, 0], *others, [1.0, 0, 0, 0, 0, 0])
    texts = [read(f"text {n}") for n in range(len(vectors) - 1)]
    known = sameness.features(NEW, texts, vectors, SUBJECTS)
    assert known["stands_out"][0] == pytest.approx(-1.0)  # all that are counted have 1
    assert known["crowded"][1] == pytest.approx(2 / sameness.OTHERS)  # its two twins, and nothing


def test_equal_mixtures_of_subjects_have_a_product_of_one() -> None:
    vectors = rows([1, 0.5, 0, 0, 0, 0], [1, 0.5, 0, 0, 0, 0])
    known = sameness.features(NEW, [read("x")], vectors, SUBJECTS)
    assert known["subject"][0] == pytest.approx(1.0)


@given(st.lists(st.text(max_size=80), max_size=5), st.text(max_size=80), st.integers(0, 99))
def test_any_texts_have_a_finite_place_on_the_scale(texts: list[str], new: str, seed: int) -> None:
    vectors = np.random.default_rng(seed).normal(size=(len(texts) + 1, 6)).astype(np.float32)
    found = sameness.logits(read(new), [read(one) for one in texts], vectors, SUBJECTS)
    assert found.shape == (len(texts),)
    assert np.isfinite(found).all()
