"""A text in pieces: cut where people would cut it, and put together as long as it fits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khive_supervisor.documents.model import PIECE, SMALL, TITLE_LIMIT
from khive_supervisor.documents.pieces import pieces, split_text


@given(st.lists(st.text("ab", min_size=1, max_size=5), min_size=1, max_size=9))
def test_what_fits_is_one_piece_with_its_paragraphs(paragraphs: list[str]) -> None:
    assert list(pieces("\n\n".join(paragraphs))) == ["\n\n".join(paragraphs)]
    assert list(pieces("\n \n\n".join(paragraphs))) == ["\n\n".join(paragraphs)]


def test_paragraphs_are_put_together_as_long_as_they_fit() -> None:
    one, two = "a" * SMALL, "b" * SMALL
    exactly = len(one) + len(two)
    assert list(pieces(f"{one}\n\n{two}", exactly)) == [f"{one}\n\n{two}"]
    assert list(pieces(f"{one}\n\n{two}", exactly - 1)) == [one, two]


def test_a_small_beginning_is_not_a_piece_of_its_own() -> None:
    heading, body = "a" * (SMALL - 1), "b" * SMALL
    assert list(pieces(f"{heading}\n\n{body}", SMALL)) == [f"{heading}\n\n{body}"]
    assert list(pieces(f"a{heading}\n\n{body}", SMALL)) == [f"a{heading}", body]


@pytest.mark.parametrize(
    ("paragraph", "size", "parts"),
    [
        ("a" * 300 + "\n" + "b" * 300, 400, ["a" * 300, "b" * 300]),
        ("a" * 300 + ". " + "b" * 300, 400, ["a" * 300 + ".", "b" * 300]),
        ("a" * 300 + "。" + "b" * 300, 400, ["a" * 300 + "。", "b" * 300]),
        ("a" * 300 + " " + "b" * 300, 400, ["a" * 300, "b" * 300]),
        ("a" * 300 + "b" * 300, 400, ["a" * 300 + "b" * 100, "b" * 200]),
        # A cut in the first half would make small pieces: a word's end is taken, or any place.
        ("a" * 150 + ". " + "b" * 100 + " " + "c" * 300, 400,
         ["a" * 150 + ". " + "b" * 100, "c" * 300]),
        ("a" * 150 + " " + "b" * 400, 400, ["a" * 150 + " " + "b" * 249, "b" * 151]),
        # The later of a line's and a sentence's end.
        ("a" * 250 + "\n" + "b" * 100 + ". " + "c" * 300, 400,
         ["a" * 250 + "\n" + "b" * 100 + ".", "c" * 300]),
        # White space at the cut goes, however much.
        ("a" * 399 + " " * 50 + "b" * 300, 400, ["a" * 399, "b" * 300]),
        (" " * 1000 + "a" * 300, 400, ["a" * 300]),
        ("a" * 400, 400, ["a" * 400]),
    ],
)  # fmt: skip
def test_a_long_paragraph_is_cut_after_a_line_a_sentence_or_a_word(
    paragraph: str, size: int, parts: list[str]
) -> None:
    assert all(len(part) >= SMALL for part in parts[:-1]), "else parts would be put together"
    assert list(pieces(paragraph, size)) == parts


def test_code_keeps_the_blanks_of_its_first_line() -> None:
    assert list(pieces("\n  \n    if x:\n        y\n\n\n")) == ["    if x:\n        y"]


@pytest.mark.parametrize("text", ["", " ", "\n\n\n", "\t\n \n"])
def test_a_text_of_nothing_has_no_piece(text: str) -> None:
    assert list(pieces(text)) == []


def test_a_text_is_split_with_its_source_and_a_title_of_bounded_length() -> None:
    text = "\n\n".join(letter * PIECE for letter in "ab")
    one, two = split_text(text, "/src/a.txt", "t" * (TITLE_LIMIT + 5))
    assert one == {"content": "a" * PIECE, "title": "t" * TITLE_LIMIT, "source": "/src/a.txt"}
    assert two == {**one, "content": "b" * PIECE}


def test_an_image_within_a_text_is_left_out_and_counted() -> None:
    image = "data:image/png;base64," + "A" * 4000
    left, entry = split_text(f"before ![x]({image}) after", "/a.txt", "a")
    assert type(left).__name__ == "LeftOut"
    assert isinstance(entry, dict)
    assert "A" * 100 not in entry["content"]
    assert entry["content"].startswith("before")
    assert entry["content"].endswith("after")
