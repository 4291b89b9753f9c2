"""Text in the columns of a screen: lines wrapped between words, tables cut to fit. Pure."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence

#: Columns that a table's columns keep even in a narrow terminal: the last one, and the others.
NARROWEST_LAST, NARROWEST = 20, 8
#: What a wrapped line goes on under: its indentation, or its last column.
_HEAD = re.compile(r"(?:\s*\S+(?: \S+)*?\s{2,})+|\s+")
#: Terminal sequences that take no column.
_SEQUENCE = re.compile("\x1b\\[[0-9;]*m")
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
    if len(_SEQUENCE.sub("", line)) <= width:
        return [line]
    head = _HEAD.match(line)
    start = len(head[0]) if head else 0
    plain = len(_SEQUENCE.sub("", line[:start]))
    if plain > width * _WIDEST_HEAD:
        start = plain = len(line) - len(line.lstrip())
    parts = textwrap.wrap(
        line[start:],
        max(width - plain, NARROWEST_LAST),
        break_long_words=False,
        break_on_hyphens=False,
        drop_whitespace=True,
    )
    return [line[:start] + parts[0], *(" " * plain + part for part in parts[1:])]


def fitted(cells: Sequence[Sequence[str]], width: int | None) -> list[str]:
    """Rows of cells as lines of left-aligned columns, at most `width` wide; None: as they are.

    The widest columns give way first; what does not fit ends in an ellipsis.
    """
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    if width is not None:
        widths = _narrowed(widths, width)
    return [_joined(row, widths) for row in cells]


def _narrowed(widths: Sequence[int], width: int) -> list[int]:
    """The widths with the widest columns narrowed until all fit, or none can be narrowed more."""
    kept = list(widths)
    least = [NARROWEST] * (len(kept) - 1) + [NARROWEST_LAST]
    room = width - len(_GAP) * (len(kept) - 1)
    while sum(kept) > room:
        column = max(range(len(kept)), key=lambda at: (kept[at] - least[at], at))
        if kept[column] <= least[column]:
            break
        kept[column] -= 1
    return kept


def _joined(row: Sequence[str], widths: Sequence[int]) -> str:
    cut = [
        cell if len(cell) <= width else cell[: width - 1] + "…"
        for cell, width in zip(row, widths, strict=True)
    ]
    return _GAP.join(
        [*(cell.ljust(width) for cell, width in zip(cut[:-1], widths, strict=False)), cut[-1]]
    ).rstrip()
