"""Names as they are written: found in a query by their form, held by a text between boundaries."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khive_supervisor.text.literals import (
    BRIEF_STRETCHES,
    FEW_STRETCHES,
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


@pytest.mark.parametrize(
    ("query", "text", "share"),
    [
        # The letter that is meant is the one that stands alone, not the first of that kind.
        ("cost of C", "Written in C", 1.0),
        ("Cost of c", "Written in C", OTHER_CAPITALS),
        ("is --verbose -V", "Flag -V", 1.0),
        ("is --Verbose -v", "Flag -V", OTHER_FLAG),
    ],
)
def test_capitals_are_those_of_the_place_that_is_meant(query: str, text: str, share: float) -> None:
    (found,) = [one for one in literals(query) if one.text in ("c", "-v")]
    assert held(LiteralText.of(text), found) == share


@pytest.mark.parametrize(
    ("query", "written"),
    [
        ("see SRC/A.py", "SRC/A.py"),
        ("cost 1,000; 2,000", ""),  # joined: it does not stand there like that
        ("see Größe_1", ""),  # letters have other lengths when they are folded
    ],
)
def test_how_it_was_written_is_known_where_it_stands_there(query: str, written: str) -> None:
    assert literals(query)[0].written == written


def test_shares_say_which_of_two_is_nearer_to_what_was_written() -> None:
    order = [0.0, PART_OF_A_NAME, OTHER_FLAG, OTHER_GROUPS, OTHER_CAPITALS, 1.0]
    assert order == sorted(set(order))


# --- what is a name, and what may be English ------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("C", {"c": True}),
        ("verify", {"verify": False}),
        ("don't", {"don't": False}),
        ("I/O", {"i/o": False}),
        ("see src/a.py now", {"src/a.py": True}),
        ("the left-pad job", {"left-pad": False}),
        ("the left-pad2 job", {"left-pad2": True}),
        ('who said "not now"', {"not now": True}),
        # Names side by side are one only by chance; numbers, and a time with its half, are.
        ("run a.txt b.txt", {"a.txt b.txt": False, "a.txt": True, "b.txt": True}),
        ("call 30 123 456", {"30 123 456": True}),
        ("between 9:30 10:30 pm", {"9:30 10:30 pm": True, "9:30": True, "10:30": True}),
        ("at 9:30 a.m.", {"9:30 a.m": True, "9:30": True}),
        ("nine pm", {}),
        # A dash, a slash or an "&" between words is English, or a list; between short ones not.
        ("the web - db", {"web - db": False}),
        ("we ab - cd", {"ab - cd": True}),
        ("we abc - de", {"abc - de": False}),
        ("we 3000 - 4000 x", {"3000 - 4000": True}),
        ("the web -> db", {"web -> db": True}),
        ("the web - db | sort", {"web - db | sort": True, "- db |": True}),
    ],
)
def test_a_form_says_whether_it_is_a_name(query: str, names: dict[str, bool]) -> None:
    assert {one.text: one.name for one in literals(query)} == names


@pytest.mark.parametrize(
    ("query", "words"),
    [("a.b_c-1", 4), ("C++", 1), ('say "not now, please"', 3), ("v1.2", 2), ("web -> db", 2)],
)
def test_words_are_counted_as_the_index_has_them(query: str, words: int) -> None:
    assert literals(query)[0].words == words


@pytest.mark.parametrize(
    ("query", "found"),
    [
        # Less than three parts between the words at its ends are no pattern of their own.
        ("where is total >= 5 checked", ["total >= 5"]),
        ("every 5 * * day", ["5 * * day", "5 * *"]),
        ("5 > 4", ["5 > 4", "5", "4"]),
    ],
)
def test_a_pattern_is_found_without_the_words_at_its_ends(query: str, found: list[str]) -> None:
    assert texts(query) == found


# --- how much is looked at ------------------------------------------------------------------------


def stretches(count: int, *first: str) -> str:
    """A query of so many stretches; after the first ones, plain words."""
    return " ".join([*first, *["plain"] * (count - len(first))])


def test_a_single_letter_is_a_name_in_few_words_only() -> None:
    assert texts(stretches(FEW_STRETCHES, "c")) == ["c"]
    assert texts(stretches(FEW_STRETCHES + 1, "c")) == []


def test_what_belongs_together_is_a_name_in_brief_queries_only() -> None:
    assert "a >= b" in texts(stretches(BRIEF_STRETCHES, "a", ">=", "b"))
    assert texts(stretches(BRIEF_STRETCHES + 1, "a", ">=", "b")) == []
    quoted = [f'"{word}' if word == "not" else word for word in ("not", 'now"')]
    assert "not now" in texts(stretches(BRIEF_STRETCHES, *quoted))
    assert texts(stretches(BRIEF_STRETCHES + 1, *quoted)) == []
    assert texts(stretches(BRIEF_STRETCHES + 1, "30", "123", "456")) == ["30 123 456"]


def test_the_first_names_of_many_are_looked_at() -> None:
    names = [f"a.b{number}" for number in range(BRIEF_STRETCHES + 1)]
    assert texts(" ".join(names)) == names[:MOST_LITERALS]
    assert MOST_LITERALS == 8  # more would look into every text for longer than it takes to read it


def test_a_name_has_a_length_that_somebody_can_mean() -> None:
    longest = "a." + "x" * (LONGEST - 2)
    assert texts(f"see {longest}") == [longest]
    assert texts(f"see {longest}x") == []
    assert LONGEST == 200  # what stands between quotes ends there, too


# --- boundaries -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "literal", "after", "share"),
    [
        ("", "1.2", "", 1.0),
        ("(", "1.2", ")", 1.0),
        ("", "a.b", ".", 1.0),
        ("", "a.b", ",", 1.0),
        # One word or number goes on.
        ("4", "1.2", "", 0.0),
        ("", "1.2", "3", 0.0),
        ("a", "b.c", "", 0.0),
        ("", "a.b", "c", 0.0),
        # A letter beside a digit.
        ("v", "1.2", "", PART_OF_A_NAME),
        ("", "1.2", "b", PART_OF_A_NAME),
        ("", "a.b", "1", PART_OF_A_NAME),
        # The sign at its edge goes on.
        ("-", "-x", "", PART_OF_A_NAME),
        ("", "c+", "+", PART_OF_A_NAME),
        # A sign joins it to more of the name.
        ("a-", "1.2", "", PART_OF_A_NAME),
        ("", "1.2", "-b", PART_OF_A_NAME),
        ("", "1.2", ".3", PART_OF_A_NAME),
        ("", "a.b", "--x", PART_OF_A_NAME),
        ("..", "a.b", "", PART_OF_A_NAME),
        ("-", "1.2", "", 1.0),  # a list, or a minus
        ("#", "a.b", "", PART_OF_A_NAME),
        ("+", "a.b", "", PART_OF_A_NAME),
        ("", "c", "++", PART_OF_A_NAME),
        ("", "c", "#", PART_OF_A_NAME),
        ("", "a.b", "|c", 1.0),
        ("c|", "a.b", "", 1.0),
    ],
)
@pytest.mark.parametrize(("left", "right"), [("", ""), ("x ", ""), ("", " x"), ("12 ", " 12")])
def test_only_what_stands_beside_it_bounds_a_literal(
    before: str, literal: str, after: str, share: float, left: str, right: str
) -> None:
    text = LiteralText.of(f"{left}{before}{literal}{after}{right}")
    assert held(text, Literal(literal, True, 2)) == share


@pytest.mark.parametrize(
    ("text", "literal", "share"),
    [
        ("1.2.3 and 1.2", "1.2", 1.0),  # the best of its places counts
        ("1.2 and 1.2.3", "1.2", 1.0),
        ("1.22 and v1.2", "1.2", PART_OF_A_NAME),
        # Eight letters and digits, six of them digits, are a number in whatever groups.
        ("ab 123-456", "ab12-34-56", OTHER_GROUPS),
        ("a 123-456", "a12-34-56", 0.0),
        ("abc 123-45", "abc12-34-5", 0.0),
        ("ab 1234567", "ab12-34-56", 0.0),
        ("0123456-78", "12-34-56-78", 0.0),
    ],
)
def test_the_best_of_what_a_text_has_counts(text: str, literal: str, share: float) -> None:
    assert held(LiteralText.of(text), Literal(literal, True, 2)) == share
