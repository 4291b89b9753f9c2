"""What a command prints, within bounds: its beginning and its end, and how much was between."""

from __future__ import annotations

import collections
import io
import os
import sys
from typing import Any


class Bounded:
    """Takes any number of bytes and keeps the first `head` and the last `tail` of them."""

    def __init__(self, head: int, tail: int) -> None:
        self._head_limit, self._tail_limit = head, tail
        self._head = bytearray()
        self._tail: collections.deque[bytes] = collections.deque()
        self._tail_bytes = 0
        self.total = 0

    @property
    def cut(self) -> int:
        """Return how many bytes were let go."""
        return self.total - len(self._head) - min(self._tail_bytes, self._tail_limit)

    def add(self, data: bytes) -> None:
        """Take what was printed next."""
        self.total += len(data)
        room = self._head_limit - len(self._head)
        self._head += data[:room] if room > 0 else b""
        rest = data[max(room, 0) :]
        if not rest:
            return
        self._tail.append(rest)
        self._tail_bytes += len(rest)
        while self._tail_bytes - len(self._tail[0]) >= self._tail_limit:
            self._tail_bytes -= len(self._tail.popleft())

    def end(self, most: int) -> str:
        """Return the last whole lines of what was printed, so many bytes at most.

        A line that is not whole may be a secret's half, which nothing would know for one.
        """
        kept = bytes(self._head) + b"".join(self._tail)
        lines = kept[: kept.rfind(b"\n") + 1]
        if len(lines) > most or self.cut:
            lines = lines[-most:].partition(b"\n")[2]
        return lines.decode("utf-8", "replace")

    def text(self) -> str:
        """Return what is left of it, and a line in the place of what is not."""
        cut = self.cut
        tail = b"".join(self._tail)[-self._tail_limit :] if self._tail_limit else b""
        head = self._head.decode("utf-8", "replace")
        between = f"\n[... {cut} bytes were left out here ...]\n" if cut else ""
        if not cut:
            return (bytes(self._head) + tail).decode("utf-8", "replace")
        return head + between + tail.decode("utf-8", "replace")


class UnfailingFile(io.FileIO):
    """A file that takes what is written to it although nobody reads it any more."""

    def write(self, data: Any) -> int:
        """Return the number of bytes, whether or not they arrived."""
        try:
            return super().write(data) or 0
        except OSError:
            return memoryview(data).nbytes


def print_to_log() -> None:
    """Have what a handler prints go where errors go, to the log; no print fails a task.

    Whoever reads it may be gone, and what is printed need not be Unicode.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os.dup2(2, 1)
    sys.stdout, sys.stderr = (
        io.TextIOWrapper(
            io.BufferedWriter(UnfailingFile(fd, "w", closefd=False)),
            encoding="utf-8", errors="backslashreplace", line_buffering=True,
        )
        for fd in (1, 2)
    )  # fmt: skip
