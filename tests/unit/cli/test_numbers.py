"""Numbers among the options, and roles as people read them."""

from __future__ import annotations

from typing import Any, cast

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from khive_supervisor.cli.options.numbers import Number, WholeNumber
from khive_supervisor.cli.render.role_text import budget_word, roles_text


@pytest.mark.parametrize(
    ("kind", "word", "said"),
    [
        (WholeNumber(1, 10), "0", "'0' is not a whole number from 1 to 10."),
        (WholeNumber(1, 10), "11", "from 1 to 10."),
        (WholeNumber(1, 10), "1.5", "'1.5' is not a whole number"),
        (WholeNumber(1, 10), "ten", "'ten' is not a whole number"),
        (WholeNumber(1), "0", "of at least 1."),
        (WholeNumber(), "x", "'x' is not a whole number."),
        (Number(0, 1), "1.01", "'1.01' is not a number from 0 to 1."),
        (Number(0, 1), "nan", "'nan' is not a number"),
        (Number(0), "-0.5", "of at least 0."),
        (Number(0), "inf", "'inf' is not a number"),
        (Number(), "1e999", "'1e999' is not a number."),
        (Number(), "", "'' is not a number."),
    ],
)
def test_what_is_no_such_number_is_said_in_words(
    kind: click.ParamType, word: str, said: str
) -> None:
    with pytest.raises(click.BadParameter) as caught:
        kind.convert(word, None, None)
    assert said in caught.value.message


@given(st.integers(-5, 5))
def test_whole_numbers_between_the_bounds_are_taken(number: int) -> None:
    assert WholeNumber(-5, 5).convert(str(number), None, None) == number
    assert WholeNumber(-5).convert(number, None, None) == number


@given(st.floats(0, 1))
def test_numbers_between_the_bounds_are_taken(number: float) -> None:
    assert Number(0, 1).convert(repr(number), None, None) == number


# --- roles ----------------------------------------------------------------------------------------


def role(**fields: object) -> Any:
    return {
        "role": "reviewer", "state": "ready", "generation": 2, "workers_ready": 1,
        "workers_wanted": 2, "queued": 3, "leased": 1, "restarts": 4, "last_error": "", **fields,
    }  # fmt: skip


def test_a_role_is_a_line() -> None:
    head, line = roles_text([role(budget="near")], {}).splitlines()
    assert head.split()[0] == "ROLE"
    assert line.split() == ["reviewer", "ready", "2", "1", "of", "2", "3", "1", "4", "near"]


def test_what_is_wrong_with_a_role_is_said_below_all_of_them() -> None:
    text = roles_text([role(last_error="it died"), role(role="scribe", generation=None)], {})
    assert text.splitlines()[-1] == "reviewer: it died"
    assert text.splitlines()[2].split()[2] == "-"


def test_tasks_for_nobody_are_counted() -> None:
    text = roles_text([], {"scribe": 1, "critic": 2})
    assert text.splitlines() == [
        "2 tasks wait for the role critic, which is not configured.",
        "1 task waits for the role scribe, which is not configured.",
    ]
    assert roles_text([], {}) == ""


@pytest.mark.parametrize(
    ("shown", "word"),
    [({}, "-"), ({"budget": "unlimited"}, "-"), ({"budget": "exceeded"}, "exceeded")],
)
def test_a_budget_is_a_word(shown: dict[str, object], word: str) -> None:
    assert budget_word(cast("Any", shown)) == word
