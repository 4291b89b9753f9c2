"""Text in the cells of a terminal: how wide it is, cut and filled up, and in which style. Pure."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from khive_supervisor.cli.render.terminal import one_line
from khive_supervisor.text import wellformed

#: Between two columns.
GAP = "  "
#: Ends a text that was cut.
CUT = "~"


@dataclass(frozen=True, slots=True)
class ScreenSpan:
    """A piece of a line. Its text may be foreign: whatever is in it, it stays one line."""

    text: str
    style: str = ""


Line = tuple[ScreenSpan, ...]


def clean(text: object) -> str:
    """Return a text as it may be sent to a terminal: one line of Unicode that obeys nothing."""
    return one_line(wellformed.text(str(text)))


def width_of(text: str) -> int:
    """Return how many cells a clean text takes."""
    return len(text) if text.isascii() else sum(map(_cells, text))


def _cells(letter: str) -> int:
    if unicodedata.category(letter) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1


def cut(text: str, width: int) -> str:
    """Return a clean text that takes at most `width` cells; one that was cut says so."""
    if width_of(text) <= width:
        return text
    taken, room = [], max(width - 1, 0)
    for letter in text:
        room -= _cells(letter)
        if room < 0:
            break
        taken.append(letter)
    return "".join(taken) + CUT[:width]


def filled(text: str, width: int) -> str:
    """Return a clean text that takes exactly `width` cells."""
    shown = cut(text, width)
    return shown + " " * (width - width_of(shown))


def fitted(line: Line, width: int) -> Line:
    """Return a line that takes at most `width` cells, all of it clean."""
    spans, room = [], width
    for span in line:
        shown = cut(clean(span.text), room)
        if shown:
            spans.append(ScreenSpan(shown, span.style))
        room -= width_of(shown)
    return tuple(spans)


def widths(rows: Sequence[Sequence[str]], caps: Sequence[int], room: int) -> list[int]:
    """Return how wide columns are: as their texts, at most as their caps, the last as it may.

    Where there is room for more, columns that were cut get it, from the left.
    """
    wanted = [max((width_of(row[n]) for row in rows), default=0) for n in range(len(caps))]
    given = [min(most, cap) for most, cap in zip(wanted[:-1], caps, strict=False)]
    left = room - sum(given) - len(GAP) * len(given)
    spare = max(0, left - min(wanted[-1], caps[-1]))
    for n, most in enumerate(wanted[:-1]):
        more = min(spare, most - given[n])
        given[n] += more
        spare -= more
    return [*given, max(0, room - sum(given) - len(GAP) * len(given))]


def shares(wanted: Sequence[int], room: int) -> list[int]:
    """Return how many lines each gets of `room`: whoever wants little all, the others alike."""
    given = [0] * len(wanted)
    while room > 0 and (short := [n for n, most in enumerate(wanted) if given[n] < most]):
        for n in short[:room]:
            given[n] += 1
        room -= len(short[:room])
    return given
