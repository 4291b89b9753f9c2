"""When a newer statement may stand before an older one that ranks higher."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khive_supervisor.truth import answering
from khive_supervisor.truth.answering import LONGEST, Answering, may_stand_before
from khive_supervisor.truth.reading import read

OLDER = Answering(read("The API style is REST with JSON."), 0.8, 0.5, (0.6, 0.2, 0.1))
NEWER = Answering(read("We settled on GraphQL for the API now."), 0.8, 0.5, (0.6, 0.2, 0.2))


def test_one_that_is_near_to_the_first_alone_takes_its_place() -> None:
    assert answering.logit(NEWER, OLDER, 0.6, 1) > 0.0


def test_one_among_many_alike_stays_where_it_is() -> None:
    crowd = (0.9, 0.8, 0.8, 0.6)
    crowded = [replace(one, near=crowd) for one in (NEWER, OLDER)]
    assert answering.logit(*crowded, 0.6, 1) < 0.0


def test_one_about_another_thing_of_its_kind_stays_where_it_is() -> None:
    one = replace(OLDER, reading=read("The payment worker listens on 7101."))
    other = replace(NEWER, reading=read("The refund worker listens on 7102."))
    assert answering.logit(other, one, 0.6, 1) < 0.0


@pytest.mark.parametrize(("field", "value"), [("names", 0.4), ("learned_boost", 0.9)])
def test_what_has_the_names_or_was_of_use_stays_first(field: str, value: float) -> None:
    assert may_stand_before(NEWER, OLDER)
    assert not may_stand_before(replace(NEWER, **{field: value}), OLDER)


@pytest.mark.parametrize("text", ["x = f(y)[0]; return {1: 'a'}", "word " * LONGEST])
def test_code_and_long_texts_stay_where_they_are(text: str) -> None:
    assert not may_stand_before(replace(NEWER, reading=read(text)), OLDER)
    assert not may_stand_before(NEWER, replace(OLDER, reading=read(text)))


@given(st.text(max_size=400), st.text(max_size=400))
def test_every_weight_is_of_a_feature_of_any_two_texts(one: str, other: str) -> None:
    older, newer = (replace(OLDER, reading=read(text)) for text in (one, other))
    assert answering.features(newer, older, 0.5, 1).keys() == answering.WEIGHTS.keys()
