"""Names as they are written: found in a query by their form, held by a text between boundaries."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khive_supervisor.literals import (
    LONGEST,
    MOST_LITERALS,
    PART_OF_A_NAME,
    Literal,
    held,
    literals,
)
from khive_supervisor.text import folded


def texts(query: str) -> list[str]:
    return [one.text for one in literals(folded(query))]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("what did the board choose on 2026-04-03?", ["2026-04-03"]),
        ("OPS-12-40", ["ops-12-40"]),
        ("ratio 3:4, or 4:3", ["3:4", "4:3"]),
        ("when to pass `--verify`?", ["--verify"]),
        ("is it written in C++?", ["c++"]),
        ("written in C", ["c"]),
        ("a cat", []),
        ("see (src/main.rs:42).", ["src/main.rs:42"]),
        ("call foo_bar.baz()", ["foo_bar.baz"]),
        ("left-pad@1.3.0 and numpy>=1.26", ["left-pad@1.3.0", "numpy>=1.26"]),
        ("host fd00:1::2 at 10:30", ["fd00:1::2", "10:30"]),
        ("call +49 30 123 456 now", ["+49 30 123 456"]),
        ("cost 1,000 or 10, say", ["1,000"]),
        ("the web-to-db job and/or that", ["web-to-db", "and/or"]),
        ("e.g. don't ask the U.S.", []),
        ("look into .env and ../x", [".env", "../x"]),
        ("plain words only", []),
        ("verify", ["verify"]),
        ("<T> and <br/>", ["br/"]),
        ("", []),
        ("?! ... --", []),
    ],
)
def test_literals_are_found_by_their_form(query: str, found: list[str]) -> None:
    assert texts(query) == found


@pytest.mark.parametrize(
    ("text", "literal", "share"),
    [
        ("On 2026-04-03 the board met.", "2026-04-03", 1.0),
        ("On 2026-04-03.", "2026-04-03", 1.0),
        ("On 2026-04-031 the board met.", "2026-04-03", 0.0),
        ("Release 1.2.30", "1.2.3", 0.0),
        ("Release 1.2.3-beta", "1.2.3", PART_OF_A_NAME),
        ("Release v1.2.3", "1.2.3", PART_OF_A_NAME),
        ("Pass --no-verify", "--verify", 0.0),
        ("Pass --no-verify", "verify", PART_OF_A_NAME),
        ("Written in C++", "c", PART_OF_A_NAME),
        ("Written in C++17", "c++", PART_OF_A_NAME),
        ("Written in C++.", "c++", 1.0),
        ("call +49  30\n123 456", "+49 30 123 456", 1.0),
        ("14:30", "4:3", 0.0),
        ("C++ first, then C", "c", 1.0),
        ("ABC-1", "abc-1", 1.0),
    ],
)
def test_a_text_holds_a_literal_between_boundaries(text: str, literal: str, share: float) -> None:
    assert held(folded(text), Literal(literal, True, 1)) == share


@given(st.text(max_size=400))
def test_any_text_is_a_query(text: str) -> None:
    found = literals(folded(text))
    assert len(found) <= MOST_LITERALS
    for one in found:
        assert 0 < len(one.text) <= LONGEST
        assert one.words > 0


@given(st.text(max_size=60), st.text(max_size=60))
def test_what_is_asked_as_it_stands_between_blanks_is_held(before: str, after: str) -> None:
    text = folded(f"{before} ops-12:40@x {after}")
    assert held(text, Literal("ops-12:40@x", True, 4)) == 1.0


@given(st.text(max_size=200), st.text(min_size=1, max_size=20))
def test_nothing_is_held_of_what_does_not_occur(text: str, name: str) -> None:
    if name not in text:
        assert held(text, Literal(name, True, 1)) == 0.0
