"""A terminal that is drawn on: its modes taken and given back, its size, keys, lines.

Only lines that have changed are sent, each to its own place, so that one that was misjudged
moves no other, and a slow connection carries little.
"""

from __future__ import annotations

import contextlib
import os
import select
import sys
import termios
import tty
from collections.abc import Sequence
from typing import Self

from khive_supervisor.cli.render.terminal import write
from khive_supervisor.cli.top import keys
from khive_supervisor.cli.top.cells import Line

#: Seconds in which the rest of a key's sequence comes, over a slow connection as well.
REST_WITHIN = 0.1
_ENTER = "\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[2J"
_LEAVE = "\x1b[?7h\x1b[?25h\x1b[0m\x1b[?1049l"
_CODES = {"bold": "1", "dim": "2", "chosen": "7", "head": "1;4"}
_COLOURS = {"good": "32", "warn": "33", "bad": "1;31"}
#: The same without colours: what is bad stands out all the same.
_PLAIN = {"bad": "1", "warn": "1"}


def coloured() -> bool:
    """Return True unless the user wants no colours."""
    return not os.environ.get("NO_COLOR")


def painted(line: Line, colours: bool) -> str:
    """Return a fitted line with the sequences of its styles."""
    codes = {**_CODES, **(_COLOURS if colours else _PLAIN)}
    return "".join(
        f"\x1b[{code}m{span.text}\x1b[0m" if (code := codes.get(span.style)) else span.text
        for span in line
    )


def size() -> tuple[int, int]:
    """Return columns and lines of the terminal; 80 by 24 if it does not say."""
    with contextlib.suppress(OSError, ValueError):
        found = os.get_terminal_size(sys.stdout.fileno())
        if found.columns and found.lines:
            return found.columns, found.lines
    return 80, 24


class TerminalScreen:
    """The screen, from entering the context to leaving it, however it is left."""

    def __init__(self) -> None:
        self._colours = coloured()
        self._shown: list[str] = []
        self._modes: list[int | list[bytes | int]] | None = None

    def __enter__(self) -> Self:
        self.take()
        return self

    def __exit__(self, *exc: object) -> None:
        self.give_back()

    def take(self) -> None:
        """Take the terminal: keys come at once and unseen, what was on it is kept beside."""
        self._modes = termios.tcgetattr(0)
        tty.setcbreak(0)
        self._send(_ENTER)
        self.forget()

    def give_back(self) -> None:
        """Give the terminal back as it was; idempotent."""
        modes, self._modes = self._modes, None
        if modes is None:
            return
        with contextlib.suppress(SystemExit):
            self._send(_LEAVE)
        with contextlib.suppress(termios.error):
            termios.tcsetattr(0, termios.TCSADRAIN, modes)

    def forget(self) -> None:
        """Draw all lines the next time: the terminal may show something else."""
        self._shown = []

    def show(self, lines: Sequence[Line]) -> None:
        """Draw the lines that are others than those that are shown."""
        drawn = [painted(line, self._colours) for line in lines]
        fresh = len(drawn) != len(self._shown)
        parts = ["\x1b[2J"] if fresh else []
        for place, text in enumerate(drawn, 1):
            if fresh or text != self._shown[place - 1]:
                parts.append(f"\x1b[{place};1H{text}\x1b[K")
        self._shown = drawn
        if parts:
            self._send("".join(parts))

    def read(self) -> list[str] | None:
        """Return the keys that were pressed; None when the terminal is gone."""
        try:
            data = os.read(0, 4096)
            while keys.incomplete(data) and select.select([0], [], [], REST_WITHIN)[0]:
                more = os.read(0, 4096)
                if not more:
                    break
                data += more
        except OSError:
            return None
        return keys.pressed(data) if data else None

    @staticmethod
    def _send(text: str) -> None:
        encoding = sys.stdout.encoding or "utf-8"
        write(sys.stdout, text.encode(encoding, "replace").decode(encoding))
