"""Names that are meant as they are written: dates, tickets, versions, flags, paths, ratios.

An index knows words and their neighbours; `7-3` and `3-7`, `--verify` and `--no-verify`, `C` and
`C++` are nearly the same to it, and to a vector. A *literal* is a stretch of a query whose signs
and whose order of parts belong to what is asked for. It is found here by its form alone, and an
entry holds it when the same characters stand in it between the same boundaries.

All texts are folded (`text.folded`): literals have no letter case. Any string is allowed; the work
is in proportion to its length.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import groupby

#: Literals of one query that are looked at; a pasted log has hundreds, and means none of them.
MOST_LITERALS = 8
#: Stretches of a query in which a single letter is a name; longer ones speak of variables.
FEW_STRETCHES = 4
#: Characters of the longest literal.
LONGEST = 200
#: What an entry has of a literal that stands in it as a part of a longer name (`1.2` in `1.2.3`).
PART_OF_A_NAME = 0.5

#: What stretches are cut at. A comma or semicolon only where no digit follows: `1,000` is one name.
_BETWEEN = re.compile(r"[\s\"“”„«»`…—–|]+|[,;](?!\d)")
#: Signs before and after a stretch that belong to the sentence, not to the name.
_BEFORE = "([{'’‘,;?!&*"
_AFTER = ".,;:!?)]}([{'’‘>&*"
#: A stretch that is a number, as those of telephones are written in groups.
_NUMBER = re.compile(r"[+(]{0,2}\d[\d().\-/]*")
#: Words joined by hyphens or slashes: English more often than a name.
_JOINED_WORDS = re.compile(r"[^\W\d_]+(?:[-/][^\W\d_]+)+")
#: Single letters with dots: "e.g", "u.s".
_ABBREVIATION = re.compile(r"(?:[^\W\d_]\.)+[^\W\d_]?")
#: Words of one letter, and what an apostrophe leaves of words: no names.
_LETTER_WORDS = frozenset("adimost")
_SIGN = re.compile(r"[^\w\s'’‘]|_")


@dataclass(frozen=True, slots=True)
class Literal:
    """A name as it is written, folded.

    Attributes:
        text: its characters; groups of a number have one space between them.
        name: its form tells that it is one; otherwise it may be English with a hyphen or slash.
        words: how many words it has for the index.
    """

    text: str
    name: bool
    words: int


def literals(folded: str) -> tuple[Literal, ...]:
    """The distinct literals of a folded query, in order, `MOST_LITERALS` at most.

    A query of one plain word has that one: who asks for `C` alone does not mean `C++`.
    """
    stretches = [one for one in map(_stripped, _BETWEEN.split(folded)) if one]
    if len(stretches) == 1:
        found = stretches
    else:
        short = len(stretches) <= FEW_STRETCHES
        found = [
            one for one in _with_groups(stretches) if _has_form(one) or (short and _is_letter(one))
        ]
    kept = (one for one in dict.fromkeys(found) if len(one) <= LONGEST and _words(one))
    return tuple(Literal(one, _is_name(one), _words(one)) for one in kept)[:MOST_LITERALS]


def held(folded: str, literal: Literal) -> float:
    """Return how far a folded text has the literal: 1 as written, 0 not at all.

    `PART_OF_A_NAME`: only within a longer name.
    """
    best = 0.0
    spaced = " ".join(folded.split()) if " " in literal.text else folded
    start = spaced.find(literal.text)
    while start >= 0:
        end = start + len(literal.text)
        best = max(best, _bounded(spaced, start, end))
        if best == 1.0:
            break
        start = spaced.find(literal.text, start + 1)
    return best


def _stripped(stretch: str) -> str:
    if stretch.startswith("<") and stretch.rstrip(".,;:!?").endswith(">"):
        stretch = stretch[1:]
    stretch = stretch.lstrip(_BEFORE).rstrip(_AFTER)
    # A point before a name belongs to it (`.env`, `../x`), one before white space does not.
    return stretch if any(c.isalnum() for c in stretch) else ""


def _with_groups(stretches: list[str]) -> list[str]:
    """The stretches, with numbers that follow each other as one."""
    joined = []
    for numbers, run in groupby(stretches, lambda one: _NUMBER.fullmatch(one) is not None):
        parts = list(run)
        joined += [" ".join(parts)] if numbers else parts
    return joined


def _has_form(stretch: str) -> bool:
    return " " in stretch or (
        _SIGN.search(stretch) is not None and _ABBREVIATION.fullmatch(stretch) is None
    )


def _is_letter(stretch: str) -> bool:
    """Return True for a letter that is a name in "written in C", which does not mean C++."""
    return len(stretch) == 1 and stretch not in _LETTER_WORDS


def _is_name(literal: str) -> bool:
    if _is_letter(literal):
        return True
    return _has_form(literal) and _JOINED_WORDS.fullmatch(literal) is None


def _words(literal: str) -> int:
    return len(re.findall(r"[^\W_]+", literal))


def _bounded(text: str, start: int, end: int) -> float:
    """How well what stands from `start` to `end` is bounded as a name: see `held`."""
    before, after = text[max(start - 2, 0) : start], text[end : end + 2]
    first, last = text[start], text[end - 1]
    if _continues(before[-1:], first) or _continues(after[:1], last):
        return 0.0
    if _glued(before[-1:], first) or _glued(after[:1], last):
        return PART_OF_A_NAME
    if _joins(after[:1], after[1:], last) or _joins(before[-1:], before[:-1], first):
        return PART_OF_A_NAME
    return 1.0


def _continues(neighbour: str, edge: str) -> bool:
    """Return True if a character beside a literal's edge makes both one word or number."""
    if not (neighbour.isalnum() and edge.isalnum()):
        return False
    return neighbour.isdigit() == edge.isdigit()


def _glued(neighbour: str, edge: str) -> bool:
    """Return True if there is no sign between a literal's edge and what is beside it: `v1.2`."""
    return neighbour.isalnum() and not _continues(neighbour, edge)


def _joins(sign: str, beyond: str, edge: str) -> bool:
    """Return True if a sign beside the edge goes on with the name: `-no`, `.30`, `++`."""
    if not sign or sign.isspace():
        return False
    if sign in "+#" and edge.isalnum():
        return True
    return sign in "-_./:@=~+" and bool(beyond) and (beyond.isalnum() or beyond in "-_./:@=+")
