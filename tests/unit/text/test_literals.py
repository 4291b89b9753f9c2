"""Names as they are written: found in a query by their form, held by a text between boundaries."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khive_supervisor.text.literals import (
    LONGEST,
    MOST_LITERALS,
    OTHER_CAPITALS,
    OTHER_FLAG,
    OTHER_GROUPS,
    PART_OF_A_NAME,
    Literal,
    LiteralText,
    held,
    literals,
)


def texts(query: str) -> list[str]:
    return [one.text for one in literals(query)]


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
        ("what starts at * 5 * * *?", ["at * 5 * * *", "* 5 * * *"]),
        ("5 0 * * 1", ["5 0 * * 1"]),
        ("where is total >= limit checked", ["total >= limit"]),
        ("web -> db", ["web -> db"]),
        ("sort | uniq", ["sort | uniq"]),
        ("sort|uniq", ["sort|uniq"]),
        ("rows 10–20", ["10-20"]),
        ('who said "not now, please"?', ["not now please"]),
        ("the call at 9:30 pm is off", ["9:30 pm", "9:30"]),
        ("run cp a.txt b.txt", ["a.txt b.txt", "a.txt", "b.txt"]),
        ("after e4 e5", ["e4 e5"]),
        ("depot at 48.137, 11.575", ["48.137 11.575"]),
        ("call +49 (30) 456-123", ["+49 30 456-123"]),
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
        ("Flag --x", "-x", PART_OF_A_NAME),
        ("Point 48.137, 11.575", "48.137 11.575", 1.0),
        ("Call +49 (30) 456-123", "+49 30 456-123", 1.0),
        ("Call +49 (30) 456-123", "+49-30-45-61-23", OTHER_GROUPS),
        ("IBAN DE89370400440532013000.", "de89 3704 0044 0532 0130 00", OTHER_GROUPS),
        ("IBAN DE893704004405320130001.", "de89 3704 0044 0532 0130 00", 0.0),
        ("Rows 10–20", "10-20", 1.0),
        ("Cron 15 0 * * 1", "5 0 * * 1", 0.0),
    ],
)
def test_a_text_holds_a_literal_between_boundaries(text: str, literal: str, share: float) -> None:
    assert held(LiteralText.of(text), Literal(literal, True, 1)) == share


@given(st.text(max_size=400))
def test_any_text_is_a_query(text: str) -> None:
    found = literals(text)
    assert len(found) <= MOST_LITERALS
    for one in found:
        assert 0 < len(one.text) <= LONGEST
        assert one.words > 0


@given(st.text(max_size=60), st.text(max_size=60))
def test_what_is_asked_as_it_stands_between_blanks_is_held(before: str, after: str) -> None:
    text = f"{before} ops-12:40@x {after}"
    assert held(LiteralText.of(text), Literal("ops-12:40@x", True, 4)) == 1.0


@given(st.text(max_size=200), st.text(min_size=1, max_size=20))
def test_nothing_is_held_of_what_does_not_occur(text: str, name: str) -> None:
    there = LiteralText.of(text)
    if name not in there.whole and name not in there.spaced:
        assert held(there, Literal(name, True, 1)) == 0.0


@pytest.mark.parametrize(
    ("text", "query", "share"),
    [
        ("Flag -v", "-v", 1.0),
        ("Flag -V", "-v", OTHER_FLAG),
        ("Flag -V", "-V", 1.0),
        ("Set Max_Size", "max_size", OTHER_CAPITALS),
        ("Set Max_Size", "where is Max_Size set", 1.0),
        ("Größe-1", "GRÖSSE-1", 1.0),
    ],
)
def test_capitals_count_a_little(text: str, query: str, share: float) -> None:
    assert [held(LiteralText.of(text), one) for one in literals(query)] == [share]
