"""Words that tell of a secret, and how much."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khive_supervisor.redaction.labels import STEMS, Label, Tells, labels, told_by


@pytest.mark.parametrize(
    ("name", "tells"),
    [
        ("password", Tells.PASSWORD),
        ("DB_PASSWD", Tells.PASSWORD),
        ("client_secret", Tells.SECRET),
        ("X-Api-Key", Tells.SECRET),
        ("token_count", Tells.LITTLE),
        ("password_hash", Tells.LITTLE),
        ("key", Tells.LITTLE),
        ("keyboard", None),
        ("public_key", None),
        ("title", None),
        ("my pass", Tells.PASSWORD),
        ("a token, and a password", Tells.PASSWORD),  # the most that any of them tells
        ("author", None),
        ("authorization", Tells.LITTLE),
        ("secret_key_id", Tells.LITTLE),
        ("api_key2", Tells.SECRET),
    ],
)
def test_what_a_name_tells(name: str, tells: Tells | None) -> None:
    assert told_by(name) == tells


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("the api_key is", [Label(4, 11, Tells.SECRET)]),
        ("api key: x", [Label(4, 7, Tells.SECRET)]),
        ("pass=x", [Label(0, 4, Tells.PASSWORD)]),
        ("pass: x", [Label(0, 4, Tells.PASSWORD)]),
        ("pass x", [Label(0, 4, Tells.LITTLE)]),
        ("token_token=1", [Label(0, 11, Tells.SECRET)]),  # one word, one label
        ("token token", [Label(0, 5, Tells.SECRET), Label(6, 11, Tells.SECRET)]),
        ("next page token", []),
        ("public key", []),
        # What stands twelve signs before the word belongs to it, and no more.
        ("public ------ key", [Label(14, 17, Tells.LITTLE)]),
    ],
)
def test_labels_are_words_in_order(text: str, found: list[Label]) -> None:
    assert list(labels(text)) == found


@pytest.mark.parametrize("room", [39, 40, 41])
def test_a_label_reaches_forty_signs_to_each_side(room: int) -> None:
    before = "x" * room
    (found,) = labels(f"{before}_secret{'y' * room}")
    start, end = room + 1, room + 7
    assert (found.start, found.end) == (max(0, start - 40), min(end + 40, end + room))


@given(st.text(alphabet="abk_ -=p", max_size=20), st.sampled_from(STEMS), st.text(max_size=20))
def test_labels_are_apart_and_have_a_stem_in_them(before: str, stem: str, after: str) -> None:
    text = f"{before}{stem}{after}".lower()
    end = 0
    for label in labels(text):
        assert end <= label.start < label.end <= len(text)
        assert any(one in text[label.start : label.end] for one in STEMS)
        end = label.end
