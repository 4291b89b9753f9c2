"""Documents in pieces: nothing is lost, nothing is too long, a bad line is a problem of its own."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khive_supervisor.documents.jsonl import OTHER_FIELD, split_jsonl
from khive_supervisor.documents.markdown import sections, split_markdown
from khive_supervisor.documents.model import (
    PIECE,
    TITLE_LIMIT,
    WHOLE,
    DocumentEntry,
    DocumentProblem,
    LeftOut,
)
from khive_supervisor.documents.pieces import pieces, split_text

WORDS = st.text(st.characters(exclude_categories=["Z", "C"]), min_size=1, max_size=12)
GAPS = st.sampled_from([" ", "\n", "\n\n", "\n \n", "  ", ". ", "。", "\n\n\n"])
TEXTS = st.lists(st.tuples(WORDS, GAPS), max_size=300).map(
    lambda parts: "".join(word + gap for word, gap in parts)
)


@given(TEXTS, st.sampled_from([20, 60, PIECE]))
def test_no_word_is_lost_doubled_or_moved(text: str, size: int) -> None:
    together = " ".join(pieces(text, size))
    assert "".join(together.split()) == "".join(text.split())


@given(TEXTS, st.sampled_from([300, PIECE]))
def test_a_piece_is_about_as_long_as_it_may_be(text: str, size: int) -> None:
    for piece in pieces(text, size):
        assert piece.strip()
        assert len(piece) <= size + 202


@given(st.text(max_size=4000))
def test_any_text_can_be_cut(text: str) -> None:
    for piece in split_text(text, "/a/file.txt", "t" * 1000):
        assert isinstance(piece, dict)
        assert piece["content"].strip()
        assert len(piece["title"]) == TITLE_LIMIT
        assert piece["source"] == "/a/file.txt"


def test_a_text_without_a_space_is_cut_all_the_same() -> None:
    assert "".join(pieces("x" * 5000)) == "x" * 5000
    assert max(map(len, pieces("字" * 5000))) <= PIECE


def test_whole_paragraphs_stay_together() -> None:
    paragraphs = [f"paragraph {n} " + "word " * 100 for n in range(6)]
    for piece in pieces("\n\n".join(paragraphs)):
        assert piece.startswith("paragraph")


def test_headings_become_titles_from_the_outermost() -> None:
    text = "# Guide\nintro\n## Install\nrun it\n### Linux\napt\n## Use\ngo\n"
    found = [(e["title"], e["content"]) for e in entries(split_markdown(text, "s", "file.md"))]
    assert found == [
        ("Guide", "intro"),
        ("Guide > Install", "run it"),
        ("Guide > Install > Linux", "apt"),
        ("Guide > Use", "go"),
    ]


@pytest.mark.parametrize("fence", ["```", "~~~"])
def test_a_hash_in_code_is_no_heading(fence: str) -> None:
    text = f"# A\n{fence}sh\n# a comment\n{fence}\nafter\n"
    ((trail, body),) = sections(text)
    assert trail == ["A"]
    assert "# a comment" in body


def entries(items: Iterable[Any]) -> list[DocumentEntry]:
    return [item for item in items if isinstance(item, dict)]


def learned(line: Any) -> list[Any]:
    text = line if isinstance(line, str) else json.dumps(line)
    return list(split_jsonl([text], "/f"))


def test_a_line_of_json_is_an_entry() -> None:
    line = {"text": "c", "title": "t" * 500, "tags": ["a"], "kind": "k", "other": 1}
    entry, other = learned(line)
    expected = {"content": "c", "title": "t" * 300, "tags": ["a"], "kind": "k", "source": "/f"}
    assert entry == {**expected, "locator": "line 1"}
    assert other == LeftOut("/f:1", OTHER_FIELD, "other")


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("1" * 5000, "not JSON"),
        ([1], "not an object"),
        ("null", "not an object"),
        ({}, "no text"),
        ({"content": ""}, "no text"),
        ({"content": " \n"}, "no text"),
        ({"content": 5}, "no text"),
        ({"content": "x", "title": 5}, "must be texts"),
        ({"content": "x", "tags": "a"}, "must be texts"),
        ({"content": "x", "tags": [1]}, "must be texts"),
        ({"content": "x", "source": ["s"]}, "must be texts"),
    ],
)
def test_a_bad_line_is_a_problem_that_names_it(line: Any, why: str) -> None:
    good = json.dumps({"content": "good"})
    bad = line if isinstance(line, str) else json.dumps(line)
    first, problem, last = split_jsonl([good, bad, good], "/f")
    assert isinstance(problem, DocumentProblem)
    assert problem.source == "/f:2"
    assert why in problem.why
    assert isinstance(first, dict)
    assert isinstance(last, dict)


def test_blank_lines_count_but_are_no_entries() -> None:
    lines = ["\n", json.dumps({"content": "a"}), "  \n", json.dumps({"content": "b"})]
    found = list(split_jsonl(lines, "/f"))
    assert [e["locator"] for e in found if isinstance(e, dict)] == ["line 2", "line 4"]


def test_a_very_long_entry_is_cut() -> None:
    assert len(learned({"content": "w " * (WHOLE // 2)})) == 1
    parts = learned({"content": "w " * WHOLE, "title": "t"})
    assert len(parts) > 1
    assert all(part["title"] == "t" for part in parts)
