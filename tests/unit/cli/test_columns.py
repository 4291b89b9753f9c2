"""Lines and tables in the columns of a screen."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khive_supervisor.cli.render import terminal
from khive_supervisor.cli.render.columns import fitted, wrapped

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


def test_colours_take_no_columns_and_stay() -> None:
    green = terminal.sequence("1;32m")
    text = f"{green}ok{terminal.sequence('0m')}    " + "word " * 15 + "end"
    found = terminal.laid_out(text, lambda plain: wrapped(plain, 80)).split("\n")
    assert found[0].startswith(green)
    assert len(found) == 2
    assert found[1] == "      end"


@pytest.mark.parametrize("width", [40, 60, 80, 104, 160])
def test_a_table_fits_and_loses_no_column_but_the_end_of_the_last(width: int) -> None:
    heading = ["ONE", "TWO", "THREE", "FOUR"]
    rows = [["a" * 30, "b" * 40, "c" * 5, "d d " * 15], ["1", "", "3", "4"]]
    lines = fitted([heading, *rows], width)
    assert all(len(line) <= max(width, 44) for line in lines)
    text = "\n".join(lines)
    assert all(cell in text for cell in ("a" * 30, "b" * 40, "c" * 5, "d d d"))
    if width == 80:
        assert lines[0].split() == ["ONE", "TWO", "THREE"]
        assert lines[2].startswith("    four: d d")


def test_a_pipe_gets_everything() -> None:
    assert fitted([["a" * 200, "b" * 200]], None) == ["a" * 200 + "  " + "b" * 200]
