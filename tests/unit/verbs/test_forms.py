"""Ids, times and entries as agents and people see them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khive_supervisor.config.load import from_dict
from khive_supervisor.errors import Denied, InvalidInput, KhiveError, NotFound
from khive_supervisor.store.model import Entry, NewEntry
from khive_supervisor.verbs import forms
from khive_supervisor.verbs.context import Context, SessionInfo

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
    assert forms.between({"since": "1h", "until": "1h"}, NOW) == (NOW - 3600, NOW - 3600)
    assert forms.between({}, NOW) == (None, None)


@pytest.mark.parametrize(
    ("age", "seconds"), [("1s", 1), ("1m", 60), ("1h", 3600), ("1d", 86_400), ("1w", 604_800)]
)
def test_an_age_is_counted_in_its_unit(age: str, seconds: int) -> None:
    assert forms.moment(age, NOW) == NOW - seconds
    assert forms.moment(f"999999{age[-1]}", NOW) == max(NOW - 999_999 * seconds, forms.FIRST)


@pytest.mark.parametrize("text", ["0001-01-01T00:00+14:00", "9999-12-31T23:59-12:00"])
def test_a_moment_that_no_year_of_utc_can_show_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        forms.moment(text, NOW)


def test_the_calendar_has_a_first_and_a_last_moment() -> None:
    assert forms.timestamp(forms.FIRST) == "0001-01-01T00:00:00Z"
    assert forms.timestamp(forms.LAST) == "9999-12-31T23:59:59Z"


def test_an_entry_is_named_by_its_title_or_how_it_begins() -> None:
    assert forms.line(entry(title="Tea", content="the kettle")) == "Tea"
    assert forms.line(entry(content="the\n  kettle\tis")) == "the kettle is"
    for named in (entry(title="x" * 500), entry(content="x" * 500)):
        assert forms.line(named) == "x" * forms.LINE_CHARACTERS


def test_a_whole_entry_has_what_ranks_it() -> None:
    whole = forms.show_whole(entry(salience=0.25, decay=0.5, updated_at=NOW + 60))
    assert (whole["salience"], whole["decay_per_day"]) == (0.25, 0.5)
    assert whole["updated_at"] == forms.timestamp(NOW + 60)
    assert "cut" not in forms.show(entry(content="x" * 10), 10)
    assert forms.show(entry(content="x" * 11), 10)["cut"].startswith("10 of 11 characters")


def test_an_entry_of_an_unknown_collection_is_called_a_memory() -> None:
    assert forms.show_id("knowledge", 7) == "k7"
    assert forms.show_id("memory", 7) == forms.show_id("something else", 7) == "m7"


def test_what_there_is_to_say_beside_an_answer_is_in_its_notes() -> None:
    assert forms.noted({"a": 1}, []) == {"a": 1}
    assert forms.noted({"a": 1}, ["x"]) == {"a": 1, "notes": ["x"]}


@pytest.fixture
def context(tmp_path: Path) -> Iterator[Context]:
    """A session that may see two namespaces, and an entry of a third."""
    store = str(tmp_path / "khive.db")
    config = from_dict(
        {"store": {"path": store}, "session": {"namespace": "a", "allowed_namespaces": ["a", "b"]}}
    )
    opened = Context(config, SessionInfo(), socket_path=None, make_embedder=lambda: None)
    opened.store.entries.add([NewEntry("memory", name, "k", "", name) for name in ("a", "b", "c")])
    opened.store.entries.add([NewEntry("knowledge", "a", "k", "", "d")])
    yield opened
    opened.close()


def test_of_several_ids_those_that_may_be_read_come_in_their_order(context: Context) -> None:
    found, notes = forms.those(context, ["m2", "m9", " k4", "m3", "m9", "m4", "x"])
    assert [one.id for one in found] == [2, 4]
    assert notes == [
        "There is no entry m9.",
        "The namespace 'c' is not allowed here.",
        "There is no entry m4.",  # it is no memory
        "'x' is not an id.",
    ]


@pytest.mark.parametrize(
    ("ids", "kind", "said"),
    [
        (["m9", "m8"], NotFound, "There is no entry m9. There is no entry m8."),
        (["x"], InvalidInput, "'x' is not an id."),
        (["m3", "m9"], Denied, "The namespace 'c' is not allowed here. There is no entry m9."),
    ],
)
def test_where_there_is_none_of_them_it_is_an_error_with_what_to_do(
    context: Context, ids: list[str], kind: type[KhiveError], said: str
) -> None:
    with pytest.raises(kind) as caught:
        forms.those(context, ids)
    assert caught.value.message == said
    assert caught.value.hint


def test_a_filter_is_never_wider_than_one_allowed_namespace(context: Context) -> None:
    asked = {"namespace": "a", "kind": "k", "tags": ["t", "u"], "since": "1d"}
    where = forms.entry_filter(context, asked, "memory")
    assert (where.collection, where.namespaces, where.kinds) == ("memory", ("a",), ("k",))
    assert where.tags == ("t", "u")
    assert where.since is not None
    assert where.until is None
    assert forms.entry_filter(context, {"namespace": "b"}, None).kinds is None
    with pytest.raises(Denied):
        forms.entry_filter(context, {"namespace": "c"}, None)
