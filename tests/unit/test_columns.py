"""Lines and tables in the columns of a screen."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khive_supervisor.cli.columns import fitted, wrapped

_WORDS = st.lists(st.text("abc-é", min_size=1, max_size=12), min_size=1, max_size=60)


@given(_WORDS, st.integers(40, 120), st.integers(0, 12))
def test_every_word_stays_and_every_line_fits(words: list[str], width: int, indent: int) -> None:
    text = " " * indent + " ".join(words)
    lines = wrapped(text, width).split("\n")
    assert [word for line in lines for word in line.split()] == words
    assert all(len(line) <= width for line in lines)
    assert all(line.startswith(" " * indent) for line in lines)


@given(st.lists(st.text("ab ", max_size=30), max_size=8).map("\n".join))
def test_what_fits_is_not_touched(text: str) -> None:
    assert wrapped(text, 40) == text


def test_a_line_goes_on_under_its_last_column() -> None:
    assert wrapped("ok    python  3.11 and some more words for it", 40) == (
        "ok    python  3.11 and some more words\n              for it"
    )


def test_a_long_word_is_left_whole() -> None:
    path = "/" + "x" * 100
    assert path in wrapped(f"    see {path} there", 80)


def test_colours_take_no_columns() -> None:
    text = "\x1b[1;32mok\x1b[0m    " + "x" * 70
    assert wrapped(text, 80) == text


@pytest.mark.parametrize("width", [40, 60, 80, 104])
def test_a_table_fits(width: int) -> None:
    rows = [["a" * 30, "b" * 40, "c" * 5, "d" * 60], ["1", "2", "3", "4"]]
    lines = fitted(rows, width)
    assert all(len(line) <= max(width, 8 * 3 + 20 + 6) for line in lines)
    assert "ccccc" in lines[0] or width < 60


def test_a_pipe_gets_everything() -> None:
    assert fitted([["a" * 200, "b" * 200]], None) == ["a" * 200 + "  " + "b" * 200]
