"""Lines of JSON-RPC: any chunking gives the same lines, and none is longer than allowed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from khive_workers.fd_transport import Lines

LINE = st.binary(max_size=30).map(lambda data: data.replace(b"\n", b""))
LIMIT = 10


def feed(lines: Lines, data: bytes, size: int) -> list[bytes | None]:
    return [line for at in range(0, len(data), size) for line in lines.feed(data[at : at + size])]


@given(st.lists(LINE, max_size=8), st.integers(1, 40))
def test_any_chunking_gives_the_same_lines(wanted: list[bytes], size: int) -> None:
    data = b"".join(line + b"\n" for line in wanted)
    expected = [line if len(line) <= LIMIT else None for line in wanted]
    assert feed(Lines(LIMIT), data, size) == expected


@given(st.lists(LINE, max_size=4), LINE, st.integers(1, 40))
def test_half_a_line_is_kept_back(whole: list[bytes], half: bytes, size: int) -> None:
    data = b"".join(line + b"\n" for line in whole) + half
    lines = Lines(LIMIT)
    assert len(feed(lines, data, size)) == len(whole)
    assert lines.feed(b"\n") == [half if len(half) <= LIMIT else None]


def test_a_line_of_exactly_the_limit_passes_and_one_more_does_not() -> None:
    assert Lines(4).feed(b"1234\n12345\n") == [b"1234", None]


@given(st.integers(1, 50))
def test_an_endless_line_is_one_error_and_takes_no_room(count: int) -> None:
    lines = Lines(LIMIT)
    for _ in range(count):
        assert lines.feed(b"x" * 100) == []
        assert len(lines._buffer) <= LIMIT
    assert lines.feed(b"x\nnext\n") == [None, b"next"]
