"""Text in the columns of a screen: lines wrapped between words, tables that fit. Pure."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from itertools import accumulate

from khive_supervisor.cli.render.terminal import LAID_OUT

#: Columns that a last column keeps, and a wrapped line, even in a narrow terminal.
NARROWEST_LAST = 20
#: What a wrapped line goes on under: its indentation, or its last column.
_HEAD = re.compile(r"(?:\s*\S+(?: \S+)*?\s{2,})+|\s+")
#: The share of the screen that the head of a wrapped line may take.
_WIDEST_HEAD = 0.5
_GAP = "  "


def wrapped(text: str, width: int) -> str:
    """The text with lines of at most `width` columns, broken between words.

    A line goes on below where its text began: under its last column if it has columns, else at its
    indentation. A word that is longer than a line is left whole.
    """
    return "\n".join(part for line in text.split("\n") for part in _line(line, width))


def _line(line: str, width: int) -> list[str]:
    if _columns(line) <= width:
        return [line]
    head = _HEAD.match(line)
    start = head.end() if head else 0
    if _columns(line[:start]) > width * _WIDEST_HEAD:
        start = len(line) - len(line.lstrip())
    below = _columns(line[:start])
    parts = textwrap.wrap(
        line[start:],
        max(width - below, NARROWEST_LAST),
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [line[:start] + parts[0], *(" " * below + part for part in parts[1:])]


def _columns(text: str) -> int:
    """How many columns a text takes: what stands for a terminal's sequence takes none."""
    return len(text) - text.count(LAID_OUT)


def fitted(cells: Sequence[Sequence[str]], width: int | None) -> list[str]:
    """Rows of cells, the first one the headings, as lines of at most `width`; None: any width.

    Left-aligned columns. What does not fit of a last column is cut. Where more columns do not fit,
    each row has those on lines of its own below it, with their headings.
    """
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    if width is None:
        return [_joined(row, widths) for row in cells]
    room = width - sum(widths[:-1]) - len(_GAP) * (len(widths) - 1)
    if room >= min(widths[-1], NARROWEST_LAST):
        return [_joined(row, [*widths[:-1], min(widths[-1], room)]) for row in cells]
    shown = _that_fit(widths, width)
    heading, *rows = cells
    lines = [_joined(heading[:shown], widths[:shown])]
    for row in rows:
        lines.append(_joined(row[:shown], widths[:shown]))
        lines += _below(heading[shown:], row[shown:], width)
    return lines


def _below(heading: Sequence[str], cells: Sequence[str], width: int) -> list[str]:
    """Return the lines of what does not fit into a row's own."""
    rest = zip(heading, cells, strict=True)
    said = _GAP.join(f"{name.lower()}: {cell}" for name, cell in rest if cell)
    return _line(f"    {said}", width) if said else []


def _that_fit(widths: Sequence[int], width: int) -> int:
    """How many of the first columns fit; one always does."""
    total = accumulate(widths, lambda some, one: some + len(_GAP) + one)
    return max(1, sum(1 for one in total if one <= width))


def _joined(row: Sequence[str], widths: Sequence[int]) -> str:
    cut = [
        cell if len(cell) <= width else cell[: width - 1] + "…"
        for cell, width in zip(row, widths, strict=True)
    ]
    return _GAP.join(
        [*(cell.ljust(width) for cell, width in zip(cut[:-1], widths, strict=False)), cut[-1]]
    ).rstrip()
