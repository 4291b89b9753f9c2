"""Lines to a descriptor that may be slow: at once if it takes them, else when it does.

A line is never mixed with another one, and never half written because its sender was cancelled.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass


def _nothing() -> None:
    """Do nothing: nobody wants to know."""


@dataclass(slots=True)
class _Waiting:
    rest: memoryview
    on_written: Callable[[], None]
    done: asyncio.Future[bool]


class LineWriter:
    """Writes lines in the order in which `write` was called."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._waiting: deque[_Waiting] = deque()
        #: Whether the reader has gone: nothing can be written any more.
        self.gone = False
        #: Called once, when that is noticed.
        self.on_gone: Callable[[], None] = _nothing
        os.set_blocking(fd, False)

    @property
    def busy(self) -> bool:
        """Return True if something waits to be written."""
        return bool(self._waiting)

    async def write(self, line: bytes, on_written: Callable[[], None] = _nothing) -> bool:
        """Write one line whole; False if the reader is gone. Cancelled, it is written all the same.

        `on_written` is called at the moment at which the last byte is out.
        """
        rest = memoryview(line + b"\n")
        if not self._waiting:
            rest = self._put(rest)
            if not rest:
                on_written()
                return True
        if self.gone:
            return False
        loop = asyncio.get_running_loop()
        waiting = _Waiting(rest, on_written, loop.create_future())
        self._waiting.append(waiting)
        if len(self._waiting) == 1:
            loop.add_writer(self._fd, self._go_on)
        return await waiting.done

    def _put(self, rest: memoryview) -> memoryview:
        """Write what is taken now; what is left."""
        try:
            while rest:
                rest = rest[os.write(self._fd, rest) :]
        except BlockingIOError:
            return rest
        except OSError:
            self._lose()
        return rest

    def _go_on(self) -> None:
        while self._waiting:
            first = self._waiting[0]
            first.rest = self._put(first.rest)
            if self.gone or first.rest:
                return
            self._waiting.popleft()
            first.on_written()
            if not first.done.done():
                first.done.set_result(True)
        asyncio.get_running_loop().remove_writer(self._fd)

    def _lose(self) -> None:
        if self.gone:
            return
        self.gone = True
        if self._waiting:
            asyncio.get_running_loop().remove_writer(self._fd)
        while self._waiting:
            waiting = self._waiting.popleft()
            if not waiting.done.done():
                waiting.done.set_result(False)
        self.on_gone()
