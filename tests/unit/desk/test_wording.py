"""How the page writes, marks and draws."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from khive_workers.desk.drawing import plots
from khive_workers.desk.views import health
from khive_workers.desk.views.wording import (
    beginning,
    duration,
    highlighted,
    named,
    plain,
    since,
    size,
)


@pytest.mark.parametrize(
    ("text", "query", "hits"),
    [
        ("The flamingo ledger closes.", "when does the ledger close", ["ledger", "closes"]),
        ("The Who", "the who", ["The", "Who"]),
        ("Straße und STRASSE", "strasse", ["Straße", "STRASSE"]),
        ("nothing here", "x", []),
        ("", "ledger", []),
    ],
)
def test_words_that_were_looked_for_are_marked(text: str, query: str, hits: list[str]) -> None:
    assert [one.text for one in highlighted(text, query) if one.hit] == hits


@given(st.text(), st.text())
def test_marking_loses_and_adds_nothing(text: str, query: str) -> None:
    assert "".join(one.text for one in highlighted(text, query)) == text


@given(st.text())
def test_plain_text_is_text(text: str) -> None:
    assert len(plain(text).encode("utf-8")) >= len(text)
    assert "\x00" not in plain(text)


def test_no_character_of_a_text_acts() -> None:
    assert plain("a\x1b[2J\x9b\u202egnp.exe\n\tb") == "a\ufffd[2J\ufffd\ufffdgnp.exe\n\tb"


@given(st.text())
def test_naming_and_beginning_lose_and_add_nothing(text: str) -> None:
    assert "".join(one.text for one in named(text)) == text
    assert text.startswith(beginning(text, 3))
    assert beginning(text, 3).count("\n") < 3


def test_ids_of_entries_are_told_apart() -> None:
    found = [one.text for one in named("m2 says otherwise; k17, m0, am3 and t4 do not") if one.hit]
    assert found == ["m2", "k17"]


def test_times_and_sizes_are_as_people_say_them() -> None:
    assert [duration(s) for s in (-1, 59, 60, 7200, 90_000)] == [
        "0 s",
        "59 s",
        "1 min",
        "2 h",
        "1 d",
    ]
    assert [size(n) for n in (0, 999, 1500, 2e9)] == ["0 B", "999 B", "1.5 kB", "2 GB"]
    assert since("1970-01-01T00:00:00Z", 120.0) == "2 min ago"
    assert since("when?", 120.0) == "when?"


@given(st.floats(0.001, 0.999), st.floats(0.0, 1e5))
def test_a_curve_stays_in_its_drawing(mean: float, worth: float) -> None:
    plot = plots.beta(mean, worth, (0.0, 1.0))
    for point in plot.curve.split():
        x, y = map(float, point.split(","))
        assert 0 <= x <= plots.WIDTH
        assert 0 <= y <= plots.HEIGHT


def test_bars_are_side_by_side() -> None:
    first, second = plots.bars({"a": 1, "b": 2})
    assert first.x + first.width <= second.x
    assert (first.height * 2, second.words) == (second.height, "b: 2")
    assert plots.bars({}) == []
    assert plots.bars({"a": 0})[0].height == 0


def test_a_disk_is_full_some_day_or_nobody_knows() -> None:
    stats = {
        "entries": {"live": 70},
        "by_age": {"today": 7, "this year": 63},
        "bytes": {"store": 7000},
    }
    assert health.growth(stats, {"free": 1000}) == health.Growth(100.0, 10.0)
    assert health.growth({}, {}) is None
