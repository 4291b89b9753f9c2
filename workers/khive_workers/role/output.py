"""What handlers print, within bounds: the beginning and the end, and how much was between."""

from __future__ import annotations

import collections
import io
import logging
import os
import sys
import threading
from collections.abc import Callable
from typing import Any

from khive_supervisor.tasks.model import LOG_LIMIT

#: Bytes of what was printed so far that are shown while a task is at work.
SHOWN = 4096


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


class PrintedText:
    """What the function at work has printed: written by its thread, read by the worker's loop."""

    def __init__(self) -> None:
        self._kept = Bounded(0, LOG_LIMIT)
        #: Called when there is something to read, and not again before it was read.
        self.on_news: Callable[[], None] = lambda: None
        self._told = True
        self._lock = threading.Lock()
        self._files: tuple[io.TextIOWrapper, ...] = ()
        # A function may fork while the loop reads.
        os.register_at_fork(after_in_child=self._forked)

    def _forked(self) -> None:
        self._lock, self.on_news = threading.Lock(), lambda: None

    def add(self, data: bytes) -> None:
        """Keep what was printed next."""
        with self._lock:
            self._kept.add(data)
            news, self._told = self._told, False
        if news:
            self.on_news()

    def begin(self) -> None:
        """Forget what was printed before: another task begins."""
        self.flush()
        with self._lock:
            self._kept, self._told = Bounded(0, LOG_LIMIT), True

    def flush(self) -> None:
        """Take in lines that have not ended yet."""
        for file in self._files:
            file.flush()

    def fresh(self) -> str | None:
        """Return the end of its whole lines; None: nothing was printed since the last time."""
        with self._lock:
            if self._told:
                return None
            self._told = True
            return self._kept.end(SHOWN) or None

    def text(self) -> str:
        """Return all that is kept of it, with the line that has not ended."""
        self.flush()
        with self._lock:
            return self._kept.text()

    def print_to_log(self) -> None:
        """Have what a handler prints go where errors go, to the log; no print fails a task.

        Whoever reads it may be gone, and what is printed need not be Unicode.
        """
        sys.stdout.flush()
        sys.stderr.flush()
        os.dup2(2, 1)
        self._files = tuple(
            io.TextIOWrapper(
                io.BufferedWriter(UnfailingFile(fd, self.add)),
                encoding="utf-8", errors="backslashreplace", line_buffering=True,
            )
            for fd in (1, 2)
        )  # fmt: skip
        sys.stdout, sys.stderr = self._files
        logging.getLogger().addHandler(TaskLogHandler(self))


class TaskLogHandler(logging.Handler):
    """Has what a function logs be in its task's log; this program's own lines are not."""

    def __init__(self, printed: PrintedText) -> None:
        super().__init__()
        self._printed = printed
        self.addFilter(lambda record: not record.name.startswith("khive"))

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one line; what cannot be formatted is told as logging does."""
        try:
            line = f"{record.levelname} {record.name}: {self.format(record)}\n"
        except Exception:  # noqa: BLE001 - whatever a record's arguments do when they are shown
            self.handleError(record)
            return
        self._printed.add(line.encode("utf-8", "backslashreplace"))


class UnfailingFile(io.FileIO):
    """A file that takes what is written to it although nobody reads it any more."""

    def __init__(self, fd: int, also: Callable[[bytes], None]) -> None:
        super().__init__(fd, "w", closefd=False)
        self._also = also

    def write(self, data: Any) -> int:
        """Return the number of bytes, whether or not they arrived."""
        self._also(bytes(data))
        try:
            return super().write(data) or 0
        except OSError:
            return memoryview(data).nbytes
