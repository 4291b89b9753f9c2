"""What stands under the name of a secret in a table, in Markdown or with commas; pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

#: Rows of a table that are looked at, and characters of the longest one.
ROWS, LONGEST = 20, 400
_SIGNS = " `*\"'\r"
#: The name of a column of passwords.
_NAME = re.compile(
    r"(?:[\w-]{1,16}[ _-])?(?:pass(?:wor[dt]|wd|phrase|code)|pwd|pw|kennwort)", re.IGNORECASE
)
_RULE = re.compile(r"[\s|:+-]*")


def below(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield where the cells below a cell of a table's head are; nothing, if it is none."""
    first, last = text.rfind("\n", 0, start) + 1, _end_of_line(text, end)
    sign = next((one for one in "|\t,;" if one in text[first:last]), "")
    if not sign or not _is_head(text, first, last, sign):
        return
    column, cells = text.count(sign, first, start), text[first:last].split(sign)
    if not _NAME.fullmatch(cells[column].strip(_SIGNS)):
        return
    for _ in range(ROWS):
        first, last = last + 1, _end_of_line(text, last + 1)
        row = text[first:last].split(sign)
        if len(row) != len(cells) or last - first > LONGEST:
            return
        if not _RULE.fullmatch(text, first, last):
            begin = first + sum(len(cell) + 1 for cell in row[:column])
            yield _stripped(text, begin, begin + len(row[column]))


def _is_head(text: str, first: int, last: int, sign: str) -> bool:
    """Return True for the first line of a table; one in Markdown has a rule below it."""
    if last - first > LONGEST:
        return False
    before = text[text.rfind("\n", 0, max(0, first - 1)) + 1 : first]
    if before.count(sign) == text.count(sign, first, last):
        return False
    below = text[last + 1 : _end_of_line(text, last + 1)]
    return sign != "|" or ("--" in below and _RULE.fullmatch(below) is not None)


def _end_of_line(text: str, start: int) -> int:
    end = text.find("\n", start)
    return len(text) if end < 0 else end


def _stripped(text: str, start: int, end: int) -> tuple[int, int]:
    while start < end and text[start] in _SIGNS:
        start += 1
    while start < end and text[end - 1] in _SIGNS:
        end -= 1
    return start, end
