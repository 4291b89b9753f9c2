"""Ids, times and entries as agents and people see them."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khive_supervisor.errors import InvalidInput
from khive_supervisor.store.model import Entry
from khive_supervisor.verbs import forms

NOW = 1_800_000_000.0
DAY = 86_400.0


def entry(**changes: Any) -> Entry:
    fields: dict[str, Any] = {
        "id": 12,
        "collection": "memory",
        "namespace": "default",
        "kind": "semantic",
        "title": "",
        "content": "the content",
        "tags": (),
        "salience": 0.5,
        "decay": 0.0,
        "source": None,
        "content_hash": b"",
        "created_at": NOW,
        "updated_at": NOW,
        "deleted_at": None,
        "superseded_by": None,
    }
    return Entry(**{**fields, **changes})


@given(st.integers(1, 10**17), st.sampled_from(["memory", "knowledge"]))
def test_an_id_is_read_as_it_is_shown(number: int, collection: str) -> None:
    assert forms.entry_id(forms.show_id(collection, number)) == number


@pytest.mark.parametrize(
    "text",
    ["", "12", "m", "m0", "m-1", "m01", "x12", "m12k", "m 12", "m" + "9" * 30, "m１２", "м12"],
)
def test_what_is_no_id_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="is not an id"):
        forms.entry_id(text)


@given(st.text())
def test_any_text_is_an_id_or_refused(text: str) -> None:
    try:
        assert forms.entry_id(text) > 0
    except InvalidInput:
        return


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30s", NOW - 30),
        ("5 m", NOW - 300),
        ("12h", NOW - 12 * 3600),
        (" 7d ", NOW - 7 * DAY),
        ("2w", NOW - 14 * DAY),
        ("2026-11-21", dt.datetime(2026, 11, 21, tzinfo=dt.UTC).timestamp()),
        ("2026-11-21T08:00Z", dt.datetime(2026, 11, 21, 8, tzinfo=dt.UTC).timestamp()),
        ("2026-11-21T08:00+02:00", dt.datetime(2026, 11, 21, 6, tzinfo=dt.UTC).timestamp()),
    ],
)
def test_times_and_ages(text: str, seconds: float) -> None:
    assert forms.moment(text, NOW) == seconds


@pytest.mark.parametrize("text", ["", "yesterday", "7", "7y", "-3d", "2026-13-01", "9" * 50 + "d"])
def test_what_is_no_time_is_refused_with_examples(text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        forms.moment(text, NOW)
    assert "7d" in caught.value.hint


@given(st.text())
def test_any_text_is_a_time_or_refused(text: str) -> None:
    try:
        assert isinstance(forms.moment(text, NOW), float)
    except InvalidInput:
        return


@given(st.floats(0, 4e9))
def test_a_shown_time_is_the_same_second_when_read(seconds: float) -> None:
    assert abs(forms.moment(forms.timestamp(seconds), NOW) - seconds) <= 1


def test_an_entry_shows_what_it_has_and_no_more() -> None:
    assert set(forms.show(entry())) == {"id", "content", "kind", "namespace", "created_at"}
    shown = forms.show(entry(title="T", tags=("a",), source="s", deleted_at=NOW, superseded_by=13))
    assert shown["id"] == "m12"
    assert shown["superseded_by"] == "m13"
    assert {"title", "tags", "source", "forgotten_at"} <= set(shown)


@given(st.text(), st.integers(0, 100))
def test_a_cut_content_says_so(content: str, limit: int) -> None:
    shown = forms.show(entry(content=content), limit)
    assert shown["content"] == content[:limit]
    assert ("cut" in shown) == (len(content) > limit)


def test_what_is_between_two_times_has_its_order() -> None:
    assert forms.between({"since": "2h", "until": "1h"}, NOW) == (NOW - 7200, NOW - 3600)
    assert forms.between({"until": "2h"}, NOW) == (None, NOW - 7200)
    with pytest.raises(InvalidInput, match="later than the second"):
        forms.between({"since": "1h", "until": "2h"}, NOW)
