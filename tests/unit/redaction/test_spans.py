"""Private spans are cut: nested ones, unclosed ones, in any case."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khive_supervisor.redaction.spans import without_private


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("nothing private here", "nothing private here"),
        ("a <private>b</private> c", "a c"),
        ("a<private>b</private>c", "ac"),
        ("a <PRIVATE>b</Private> c", "a c"),
        ("a <private reason='x'>b</private> c", "a c"),
        ("a <private>b <private>c</private> d</private> e", "a e"),
        ("a <private>b\nc", "a "),
        ("a <private>b <private>c</private> d", "a "),
        ("<private>all</private>", ""),
        ("a </private> b", "a </private> b"),
        ("a <private>b</private> c <private>d</private> e", "a c e"),
        ("Map<privateKey>", "Map<privateKey>"),
        ("a < b, and private", "a < b, and private"),
        ("  a private thing", "  a private thing"),
    ],
)
def test_what_is_left(text: str, left: str) -> None:
    assert without_private(text) == left


@given(st.lists(st.sampled_from(["<private>", "</private>", "a", " ", "<", "/"])).map("".join))
def test_nothing_private_is_left_and_once_is_enough(text: str) -> None:
    left = without_private(text)
    assert without_private(left) == left
    assert len(left) <= len(text)
