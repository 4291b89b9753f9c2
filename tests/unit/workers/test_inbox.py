"""The inbox: any chunking gives the same lines, and a successor goes on wherever it was left."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from khive_workers.mcp.inbox import CHUNK, SMALL, Inbox, LineRefusal

LINE = st.binary(max_size=30).map(lambda data: data.replace(b"\n", b"").replace(b"\0", b""))
LIMIT = 10


class Pipe:
    """A client and the memory of its session."""

    def __init__(self) -> None:
        self.memory = os.memfd_create("test")
        self.source, self.client = os.pipe()
        os.set_blocking(self.source, False)

    def open(self, limit: int = LIMIT) -> Inbox:
        return Inbox(self.memory, limit)

    def close(self) -> None:
        for fd in (self.memory, self.source, self.client):
            os.close(fd)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    made = Pipe()
    yield made
    made.close()


def feed(box: Inbox, pipe: Pipe, data: bytes) -> list[bytes | LineRefusal]:
    """Send some bytes, and take the lines that are whole then."""
    if data:
        os.write(pipe.client, data)
        assert box.read(pipe.source) == len(data)
    lines = []
    while (line := box.peek()) is not None:
        lines.append(line)
        box.drop()
    return lines


def allowed(line: bytes) -> bytes | LineRefusal:
    return line if len(line) <= LIMIT else LineRefusal.TOO_LONG


@given(st.lists(LINE, max_size=8), LINE, st.integers(1, 40), st.integers(0, 300))
def test_any_chunking_and_any_change_of_worker_gives_the_same_lines(
    wanted: list[bytes], half: bytes, size: int, change: int
) -> None:
    data = b"".join(line + b"\n" for line in wanted) + half
    pipe = Pipe()
    box = pipe.open()
    lines: list[bytes | LineRefusal] = []
    for at in range(0, len(data), size):
        if at >= change:
            change = len(data)
            box = pipe.open()  # the one before is not even closed: it was killed
        lines += feed(box, pipe, data[at : at + size])
    assert lines == [allowed(line) for line in wanted]
    assert feed(box, pipe, b"\n") == [allowed(half)]
    pipe.close()


def test_what_was_read_and_not_dropped_is_there_for_the_next_worker(pipe: Pipe) -> None:
    first = pipe.open()
    os.write(pipe.client, b"one\ntwo\nthr")
    first.read(pipe.source)
    assert first.peek() == b"one"
    first.drop()
    assert first.peek() == b"two"
    second = pipe.open()
    assert second.peek() == b"two"
    second.drop()
    assert feed(second, pipe, b"ee\n") == [b"three"]
    assert pipe.open().peek() is None


def test_a_line_of_exactly_the_limit_passes_and_one_more_does_not(pipe: Pipe) -> None:
    assert feed(pipe.open(4), pipe, b"1234\n12345\n") == [b"1234", LineRefusal.TOO_LONG]


@given(st.integers(1, 30), st.booleans())
def test_an_endless_line_is_one_error_and_takes_no_room(count: int, killed: bool) -> None:
    pipe = Pipe()
    box = pipe.open()
    for _ in range(count):
        assert feed(box, pipe, b"x" * 100) == []
        assert box._end - box._start == 0
    if killed:
        box = pipe.open()
    assert feed(box, pipe, b"x\nnext\n") == [LineRefusal.TOO_LONG, b"next"]
    pipe.close()


def test_what_does_not_fit_behind_goes_to_the_front(pipe: Pipe) -> None:
    """A client that never pauses at the end of a line, for longer than the memory."""
    limit = 3 * CHUNK
    box = pipe.open(limit)
    line = b"y" * (CHUNK // 2 + 7)
    sent, lines = b"", 0
    while lines < 40 * limit // len(line):
        sent += line + b"\n"
        some, sent = sent[: CHUNK - 11], sent[CHUNK - 11 :]
        if len(some) < CHUNK - 11:
            sent = some
            continue
        found = feed(box, pipe, some)
        assert set(found) <= {line}
        lines += len(found)
        if lines % 7 == 0:
            box = pipe.open(limit)
    assert os.fstat(pipe.memory).st_size <= 4 * limit


def test_long_lines_give_their_memory_back(pipe: Pipe) -> None:
    box = pipe.open(64 * CHUNK)
    for _ in range(20 * 64):
        assert feed(box, pipe, b"z" * (CHUNK // 64)) == []
    assert len(feed(box, pipe, b"\n")) == 1
    assert feed(box, pipe, b"next\n") == [b"next"]
    assert os.fstat(pipe.memory).st_size == SMALL


def test_a_successor_with_a_lower_limit_refuses_what_is_too_long_for_it(pipe: Pipe) -> None:
    big = pipe.open(4 * CHUNK)
    for _ in range(3):
        os.write(pipe.client, b"w" * CHUNK)
        big.read(pipe.source)
    small = pipe.open(LIMIT)
    assert small.peek() is None
    assert feed(small, pipe, b"w\nshort\n") == [LineRefusal.TOO_LONG, b"short"]


def test_a_line_for_which_there_is_no_memory_is_one_too_long(pipe: Pipe) -> None:
    most = resource.getrlimit(resource.RLIMIT_FSIZE)
    box = pipe.open(64 * CHUNK)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3 * CHUNK, most[1]))
    try:
        for _ in range(5 * 64):
            assert feed(box, pipe, b"v" * (CHUNK // 64)) == []
        assert feed(box, pipe, b"\nnext\n") == [LineRefusal.TOO_LONG, b"next"]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, most)
