from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khive_supervisor.config.settings.model import TABLES, every_setting
from khive_supervisor.config.settings.values import (
    Setting,
    Unfit,
    default_of,
    parse_duration,
    parse_size,
    quoted,
    write_duration,
    write_size,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("500ms", 0.5), ("10s", 10), ("15m", 900), ("1h 30m", 5400), ("2d", 172800),
        ("0.1s", 0.1), (" 1.5 h ", 5400), (3, 3), (0.25, 0.25), ("1h30m", 5400),
    ],
)  # fmt: skip
def test_durations_are_read(text: object, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "value",
    ["", "10", "s", "-1s", "1 fortnight", "1e3s", "1s!", True, None, [1], "٣s", float("nan")],
)
def test_what_is_no_duration_is_refused(value: object) -> None:
    with pytest.raises((TypeError, ValueError)):
        parse_duration(value)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("64KiB", 65536), ("16 MiB", 16 << 20), ("2GiB", 2 << 30), ("1.5MiB", 1572864),
        ("64kb", 64000), ("1MB", 10**6), ("7B", 7), (12, 12),
    ],
)  # fmt: skip
def test_sizes_are_read(text: object, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("value", ["", "16", "MiB", "-1B", "1.5B", "1TiB", 1.5, True, None, "1 2B"])
def test_what_is_no_size_is_refused(value: object) -> None:
    with pytest.raises((TypeError, ValueError)):
        parse_size(value)


@given(st.integers(0, 10**12))
def test_a_written_duration_is_read_back(microseconds: int) -> None:
    seconds = microseconds / 1e6
    assert parse_duration(write_duration(seconds)) == pytest.approx(seconds, abs=1e-9, rel=0)


@given(st.integers(0, 1 << 50))
def test_a_written_size_is_read_back(size: int) -> None:
    assert parse_size(write_size(size)) == size


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_quoted_text_is_one_line_of_toml(text: str) -> None:
    shown = quoted(text)
    assert len(shown.splitlines()) == 1
    assert tomllib.loads(f"value = {shown}")["value"] == text


_ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.dates()
    | st.sampled_from(["10s", "16MiB", "~/x", "/y", "auto", "info"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)  # fmt: skip


@given(st.sampled_from(list(every_setting())), _ANYTHING)
def test_a_setting_takes_a_value_or_says_what_was_found(
    declared: tuple[str, str, Setting], value: object
) -> None:
    _, _, setting = declared
    try:
        parsed = setting.parse(value)
    except Unfit as unfit:
        found = unfit.found
    else:
        assert setting.parse(parsed) == parsed
        return
    assert found
    assert len(found.splitlines()) == 1


def test_every_default_is_allowed_and_written_as_it_is_read() -> None:
    for table, name, setting in every_setting():
        default = default_of(TABLES[table], name)
        assert setting.parse(default) == default, (table, name)
        written = tomllib.loads(f"value = {setting.write(default)}")["value"]
        assert setting.parse(written) == default, (table, name)


def test_every_setting_says_what_it_allows() -> None:
    for table, name, setting in every_setting():
        assert setting.help.endswith("."), (table, name)
        assert setting.allowed(), (table, name)


def test_bounds_are_allowed_and_nothing_beyond_them() -> None:
    setting = Setting("integer", "", bounds=(1, 3), trust="user")
    assert [setting.parse(value) for value in (1, 3)] == [1, 3]
    for value in (0, 4):
        with pytest.raises(Unfit):
            setting.parse(value)


def test_a_private_value_is_never_repeated() -> None:
    setting = Setting("text", "", pattern="[A-Z]+", private=True, trust="user")
    with pytest.raises(Unfit) as caught:
        setting.parse("sk-secret")
    assert "secret" not in caught.value.found


def test_the_wrong_item_of_a_list_is_named() -> None:
    setting = Setting("list", "", pattern="[A-Z]+", trust="user")
    with pytest.raises(Unfit, match='the item "b c"'):
        setting.parse(["A", "b c"])
    with pytest.raises(Unfit, match="the item 7"):
        setting.parse(["A", 7])
