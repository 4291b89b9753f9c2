"""Lines to a descriptor that may be slow: whole, in order, and not lost by a cancelled sender."""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest
from khive_workers.mcp.line_writer import LineWriter
from support import run

#: Bytes of the smallest pipe that there is.
PAGE = 4096


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """A pipe that takes one page; its writer is told of its end by an error, as ours are."""
    before = signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    read, write = os.pipe()
    fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, PAGE)
    os.set_blocking(read, False)
    yield read, write
    for descriptor in (read, write):
        try:
            os.close(descriptor)
        except OSError:
            pass  # the test has closed it
    signal.signal(signal.SIGPIPE, before)


async def read_until(read: int, done: Callable[[bytes], bool]) -> bytes:
    """Return what is read until a condition holds; never blocks the loop that writes."""
    got = b""
    while not done(got):
        try:
            got += os.read(read, 1 << 16)
        except BlockingIOError:
            pass
        await asyncio.sleep(0)
    return got


def test_a_line_is_written_at_once_if_there_is_room(pipe: tuple[int, int]) -> None:
    read, write = pipe
    written: list[str] = []

    async def main() -> None:
        writer = LineWriter(write)
        assert await writer.write(b"one", lambda: written.append("one"))
        assert await writer.write(b"")
        assert not writer.busy

    run(main())
    assert os.read(read, 100) == b"one\n\n"
    assert written == ["one"]


def test_what_does_not_fit_is_written_when_it_does_and_in_order(pipe: tuple[int, int]) -> None:
    read, write = pipe
    told: list[int] = []

    async def main() -> bytes:
        writer = LineWriter(write)
        lines = [bytes([97 + n]) * 3000 for n in range(5)]
        writes = [
            asyncio.ensure_future(writer.write(line, lambda n=n: told.append(n)))
            for n, line in enumerate(lines)
        ]
        await asyncio.sleep(0)
        assert writer.busy
        assert told == [0]
        got = await read_until(read, lambda data: len(data) == 5 * 3001)
        assert await asyncio.gather(*writes) == [True] * 5
        assert not writer.busy
        assert got == b"".join(line + b"\n" for line in lines)
        return got

    run(main())
    assert told == [0, 1, 2, 3, 4]


def test_a_line_whose_sender_was_cancelled_is_written_whole(pipe: tuple[int, int]) -> None:
    read, write = pipe

    async def main() -> None:
        writer = LineWriter(write)
        first = asyncio.ensure_future(writer.write(b"a" * 6000))
        second = asyncio.ensure_future(writer.write(b"b"))
        await asyncio.sleep(0)
        assert writer.busy
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        got = await read_until(read, lambda data: data.endswith(b"b\n"))
        assert got == b"a" * 6000 + b"\nb\n"
        assert await second

    run(main())


def gone(closes: Callable[[LineWriter], Coroutine[Any, Any, None]], write: int) -> list[str]:
    """Return what was told of a reader that goes."""
    told: list[str] = []

    async def main() -> None:
        writer = LineWriter(write)
        writer.on_gone = lambda: told.append("gone")
        await closes(writer)
        assert writer.gone
        assert not writer.busy
        assert not await writer.write(b"more")

    run(main())
    return told


def test_a_reader_that_goes_while_something_waits_is_noticed_once(pipe: tuple[int, int]) -> None:
    read, write = pipe

    async def closes(writer: LineWriter) -> None:
        writes = [asyncio.ensure_future(writer.write(b"x" * 6000)) for _ in range(3)]
        await asyncio.sleep(0)
        assert writer.busy
        os.close(read)
        assert await asyncio.gather(*writes) == [False] * 3

    assert gone(closes, write) == ["gone"]


def test_a_reader_that_is_gone_already_is_noticed_at_the_next_line(pipe: tuple[int, int]) -> None:
    read, write = pipe

    async def closes(writer: LineWriter) -> None:
        os.close(read)
        assert not await writer.write(b"x")
        assert not await writer.write(b"x")

    assert gone(closes, write) == ["gone"]
