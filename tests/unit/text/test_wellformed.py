"""Text that is Unicode: whatever comes in, what goes out can be encoded, and else is the same."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khive_supervisor.errors import KhiveError
from khive_supervisor.text import wellformed

#: Any string of Python's: lone surrogates, too.
ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=30)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(ANY_TEXT, inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("", ""),
        ("plain ä 🦓", "plain ä 🦓"),
        ("\ud83d", "\ufffd"),
        ("half \ud83d of it", "half \ufffd of it"),
        ("\udc80 a byte of a file's name", "\ufffd a byte of a file's name"),
        ("\ud83e\udd93", "🦓"),
        ("\ud83d\ud83e\udd93\udd93", "\ufffd🦓\ufffd"),
    ],
)
def test_halves_of_characters_are_replaced(raw: str, text: str) -> None:
    assert wellformed.text(raw) == text
    assert wellformed.data({raw: [raw]}) == {text: [text]}
    error = KhiveError(raw, hint=raw)
    assert (error.message, error.hint) == (text, text)


@given(ANY_TEXT)
def test_any_text_becomes_text_and_text_stays(raw: str) -> None:
    text = wellformed.text(raw)
    assert text.encode().decode() == text
    assert wellformed.text(text) is text
    if wellformed.is_text(raw):
        assert text is raw


@given(JSON)
def test_any_value_can_be_sent_and_keeps_its_form(value: Any) -> None:
    made = wellformed.data(value)
    assert json.dumps(made, ensure_ascii=False).encode()
    escaped = wellformed.json_escapes(json.dumps(value))
    assert json.loads(escaped) == made
    assert json.loads(wellformed.json_bytes(json.dumps(value).encode())) == made


@pytest.mark.parametrize(
    ("raw", "mended"),
    [
        (r'"\ud83d"', r'"\ufffd"'),
        (r'"\uD83D x"', r'"\ufffd x"'),
        (r'"\ud83e\udd93"', r'"\ud83e\udd93"'),
        (r'"\\ud83d"', r'"\\ud83d"'),
        (r'"\\\ud83d"', r'"\\\ufffd"'),
        (r'"\udd93\ud83e"', r'"\ufffd\ufffd"'),
        (r'{"\ud83d":"\n\"\udfff"}', r'{"\ufffd":"\n\"\ufffd"}'),
    ],
)
def test_escapes_are_read_as_json_reads_them(raw: str, mended: str) -> None:
    assert wellformed.json_bytes(raw.encode()) == mended.encode()


def test_bytes_that_are_no_utf8_are_left_to_who_reads_them() -> None:
    assert wellformed.json_bytes(b'"\xff \\ud800"') == b'"\xff \\ud800"'


def test_what_json_does_not_have_is_left_to_who_writes_it() -> None:
    value = {"a": {1, 2}}
    assert wellformed.data(value) is value


@given(JSON)
def test_a_line_is_one_line_for_every_reader(value: Any) -> None:
    raw = json.dumps(wellformed.data(value), ensure_ascii=False).encode()
    line = wellformed.json_line(raw)
    assert json.loads(line) == json.loads(raw)
    assert len(line.decode().splitlines()) == 1


# --- bytes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "mended"),
    [
        (b"", b""),
        (b"plain", b"plain"),
        ("ä 🦓".encode(), "ä 🦓".encode()),
        (b"\xff", "\ufffd".encode()),
        (b"a\xc3", "a\ufffd".encode()),
        (b"\xed\xa0\xbd", "\ufffd".encode()),
        (b"\xed\xa0\xbe\xed\xb6\x93", "🦓".encode()),
        (b"\xed\xa0\xbd \xff", "\ufffd\ufffd\ufffd \ufffd".encode()),
    ],
)
def test_bytes_become_utf8(raw: bytes, mended: bytes) -> None:
    assert wellformed.utf8(raw) == mended


@given(st.binary(max_size=40))
def test_any_bytes_become_utf8_and_utf8_stays(raw: bytes) -> None:
    mended = wellformed.utf8(raw)
    mended.decode()
    assert wellformed.utf8(mended) is mended


@pytest.mark.parametrize("end", ["\u2028", "\u2029", "\u0085"])
def test_what_some_take_for_the_end_of_a_line_is_escaped(end: str) -> None:
    line = wellformed.json_line(f'"a{end}b"'.encode())
    assert line == f'"a\\u{ord(end):04x}b"'.encode()
    assert json.loads(line) == f"a{end}b"


def test_escapes_that_are_text_cost_nothing() -> None:
    for raw in (r'"\n\u00e4"', "plain"):
        assert wellformed.json_escapes(raw) is raw
        whole = raw.encode()
        assert wellformed.json_bytes(whole) is whole


def test_a_value_that_refers_to_itself_is_left_to_who_writes_it() -> None:
    value: list[Any] = []
    value.append(value)
    assert wellformed.data(value) is value
