"""A terminal that a program runs in: a real pseudo-terminal, and a screen of what it sends."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import termios
import time
from collections.abc import Mapping, Sequence
from typing import Self

import pyte
from support import DEADLINE, kill


class PseudoTerminal:
    """A program on a pseudo-terminal of a size; killed at the end if it is still there."""

    __test__ = False

    def __init__(
        self,
        argv: Sequence[str],
        environment: Mapping[str, str],
        columns: int = 80,
        lines: int = 24,
    ) -> None:
        self.raw = b""
        self.screen = pyte.Screen(columns, lines)
        self._stream = pyte.ByteStream(self.screen)
        self._ended: int | None = None
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            # The size is set before the program asks for it.
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
            os.execvpe(argv[0], list(argv), {**environment, "TERM": "xterm-256color"})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        if self._ended is None:
            kill(self.pid)
            os.waitpid(self.pid, 0)
        os.close(self.fd)

    @property
    def text(self) -> str:
        """What the screen shows."""
        return "\n".join(self.screen.display)

    def press(self, keys: str) -> None:
        """Type something."""
        os.write(self.fd, keys.encode())

    def resize(self, columns: int, lines: int) -> None:
        """Give the terminal another size, as a window manager does."""
        self.screen.resize(lines, columns)
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def modes(self) -> list[int]:
        """The flags of the terminal: input, output, control, local."""
        return list(termios.tcgetattr(self.fd)[:4])  # type: ignore[arg-type]  # these are numbers

    def until(self, words: str, *, gone: bool = False) -> str:
        """Wait until the screen shows the words (or does not any more); return what it shows."""
        end = time.monotonic() + DEADLINE
        while (words in self.text) is gone:
            assert time.monotonic() < end, f"waited in vain for {words!r} in\n{self.text}"
            assert self.take(), f"it ended before {words!r}; it shows\n{self.text}"
        return self.text

    def take(self) -> bool:
        """Take in what comes within a moment; False when the program has let go of the terminal."""
        if select.select([self.fd], [], [], 0.1)[0]:
            try:
                data = os.read(self.fd, 1 << 16)
            except OSError:
                return False
            if not data:
                return False
            self.raw += data
            self._stream.feed(data)
        return True

    def end(self) -> int:
        """Wait for the program's end; return its exit code."""
        deadline = time.monotonic() + DEADLINE
        while self._ended is None:
            assert time.monotonic() < deadline, f"it does not end; it shows\n{self.text}"
            self.take()
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self._ended = os.waitstatus_to_exitcode(status)
        while self.take() and select.select([self.fd], [], [], 0)[0]:
            pass
        return self._ended
