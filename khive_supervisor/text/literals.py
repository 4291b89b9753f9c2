"""Names that are meant as they are written: dates, tickets, versions, flags, paths, ratios.

An index knows words and their neighbours; `7-3` and `3-7`, `--verify` and `--no-verify`, `C` and
`C++` are nearly the same to it, and to a vector. A *literal* is a part of a query whose signs and
whose order of parts belong to what is asked for: a stretch between blanks (`src/a.py`), what stands
between quotes, or a run of stretches that belong together (`* 5 * * *`, `a >= b`, `web -> db`,
`9:30 pm`, `cp a.txt b.txt`). It is found here by its form alone, and an entry holds it when the
same characters stand in it between the same boundaries.

All texts are folded (`text.folded`): literals have no letter case. Any string is allowed; the work
is in proportion to its length.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from khive_supervisor.text.analysis import folded

#: Literals of one query that are looked at; a pasted log has hundreds, and means none of them.
MOST_LITERALS = 8
#: Stretches of a query in which a single letter is a name; longer ones speak of variables.
FEW_STRETCHES = 4
#: Stretches of a query in which those that belong together, or are quoted, are a name. Longer ones
#: hold code and output, where whatever stands side by side is not what is asked for.
BRIEF_STRETCHES = 16
#: Characters of the longest literal.
LONGEST = 200
#: What an entry has of a literal that stands in it as a part of a longer name (`1.2` in `1.2.3`).
PART_OF_A_NAME = 0.5
#: What an entry has of a long number that it writes in other groups: telephones, accounts.
OTHER_GROUPS = 0.75
#: What an entry has of a name that it writes with other capitals: `-v`, `-V`.
OTHER_CAPITALS = 0.97
#: The same of a flag of one letter, which is another flag.
OTHER_FLAG = 0.6
#: Letters and digits, and digits among them, from which on a number is known in other groups.
_LONG, _LONG_DIGITS = 8, 6
#: What stretches are cut at. A comma or semicolon only where no digit follows: `1,000` is one name.
_BETWEEN = re.compile(r"[\s\"“”„«»`…—]+|[,;](?!\d)")
_QUOTED = re.compile(r"[\"“”„«»`]([^\"“”„«»`]{3,200})[\"“”„«»`]")
#: What is one blank within a run, in the query as in the entry.
_BLANK = re.compile(r"[\s,;()\"“”„«»`]+")
#: Signs that are a hyphen, a range or a minus.
_DASHES = str.maketrans(dict.fromkeys("‐‑‒–−", "-"))
#: Signs before and after a stretch that belong to the sentence, not to the name.
_BEFORE = "([{'’‘,;?!&*|"
_AFTER = ".,;:!?)]}([{'’‘>&*|"
#: A stretch that is a number, as those of telephones are written in groups.
_NUMBER = re.compile(r"[-+(]{0,2}\d[\d().\-/]*")
#: A stretch of nothing but signs that stand between what they relate.
_OPERATOR = re.compile(r"[-+*/%=<>!&|^~:→←↔⇒⇐≤≥≠≈∈×÷]+")
#: Of these the ones that stand in English and in lists, too.
_LOOSE = frozenset(("-", "--", "/", "&", "*", "+", ":"))
#: Halves of the day, after a time.
_HALVES = frozenset(("am", "pm", "a.m", "p.m"))
_FLAG = re.compile(r"-[a-z]")
_GROUPED = re.compile(r"[+(]*[a-z]{0,4}\d[\da-z ()\-/]*")
_MIXED = re.compile(r"(?=[^\W_]*\d)(?=[^\W_]*[^\W\d_])[^\W_]+")
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
        written: as it stood in the query, where that is known: capitals count a little.
    """

    text: str
    name: bool
    words: int
    written: str = ""


def literals(query: str) -> tuple[Literal, ...]:
    """Return the distinct literals of a query, in order, `MOST_LITERALS` at most.

    A query of one plain word has that one: who asks for `C` alone does not mean `C++`.
    """
    whole = _with_dashes(folded(query))
    stretches = [one for one in map(_stripped, _BETWEEN.split(whole)) if one]
    if len(stretches) == 1:
        found = dict.fromkeys(stretches, _is_name(stretches[0]))
    else:
        brief = len(stretches) <= BRIEF_STRETCHES
        found = dict.fromkeys(_quoted(whole) if brief else (), True)
        short = len(stretches) <= FEW_STRETCHES
        for run in _runs(stretches, _belongs if brief else _are_numbers):
            found |= {one: name for one, name in _of_run(run, short) if one not in found}
    kept = [one for one in found if len(one) <= LONGEST and _words(one)][:MOST_LITERALS]
    return tuple(Literal(one, found[one], _words(one), _written(one, query)) for one in kept)


@dataclass(frozen=True, slots=True)
class LiteralText:
    """An entry's text, as literals are looked for in it."""

    raw: str
    whole: str
    spaced: str

    @classmethod
    def of(cls, raw: str) -> LiteralText:
        """Return the forms of a text as it was stored."""
        whole = _with_dashes(folded(raw))
        return cls(raw, whole, _BLANK.sub(" ", whole))


def held(text: LiteralText, literal: Literal) -> float:
    """Return how far a text has the literal: 1 as written, 0 not at all.

    `PART_OF_A_NAME`: only within a longer name; the constants beside it: see there.
    """
    best = 0.0
    within = text.spaced if " " in literal.text else text.whole
    start = within.find(literal.text)
    while start >= 0:
        end = start + len(literal.text)
        best = max(best, _bounded(within, start, end))
        if best == 1.0:
            break
        start = within.find(literal.text, start + 1)
    if best == 1.0:
        if literal.written in text.raw:
            return 1.0
        return OTHER_FLAG if _FLAG.fullmatch(literal.text) else OTHER_CAPITALS
    return max(best, _in_other_groups(text.whole, literal))


def _with_dashes(text: str) -> str:
    return text if text.isascii() else text.translate(_DASHES)


def _quoted(whole: str) -> list[str]:
    """Return what is between quotes, where it is more than one stretch."""
    phrases = (_BLANK.sub(" ", found[1]).strip(" .,;:!?") for found in _QUOTED.finditer(whole))
    return [phrase for phrase in phrases if " " in phrase]


def _written(literal: str, query: str) -> str:
    """Return the literal with its capitals, from where it is bounded best.

    Empty where letters have other lengths, or it was joined.
    """
    if not query.isascii():
        return ""
    lower = query.lower()
    found = [place.span() for place in re.finditer(re.escape(literal), lower)]
    start, end = max(found, key=lambda span: _bounded(lower, *span), default=(0, 0))
    return query[start:end]


def _in_other_groups(whole: str, literal: Literal) -> float:
    """`OTHER_GROUPS` for a long number that stands in the text with other blanks and hyphens."""
    if _GROUPED.fullmatch(literal.text) is None:
        return 0.0
    wanted = _compact(literal.text)
    if len(wanted) < _LONG or sum(map(str.isdigit, wanted)) < _LONG_DIGITS:
        return 0.0
    found = re.search(rf"(?<!\d){re.escape(wanted)}(?!\d)", _compact(whole))
    return OTHER_GROUPS if found else 0.0


def _compact(text: str) -> str:
    return re.sub(r"[\s()\-/]", "", text)


def _stripped(stretch: str) -> str:
    if stretch.startswith("<") and stretch.rstrip(".,;:!?").endswith(">"):
        stretch = stretch[1:]
    sign = stretch.rstrip(".,;?)")
    if _OPERATOR.fullmatch(sign):
        return sign
    stretch = stretch.lstrip(_BEFORE).rstrip(_AFTER)
    # A point before a name belongs to it (`.env`, `../x`), one before white space does not.
    return stretch if any(c.isalnum() for c in stretch) else ""


def _runs(stretches: list[str], belongs: Callable[[str, str], bool]) -> list[list[str]]:
    """Return the stretches, those together that belong together."""
    runs: list[list[str]] = []
    for one in stretches:
        if runs and belongs(runs[-1][-1], one):
            runs[-1].append(one)
        else:
            runs.append([one])
    return runs


def _belongs(before: str, after: str) -> bool:
    """Return True if two stretches are parts of one: by a sign between them, or by their form."""
    if _is_operator(before) or _is_operator(after):
        return True
    if after in _HALVES:
        return before[:1].isdigit()
    return _are_numbers(before, after) or (_is_part(before) and _is_part(after))


def _are_numbers(before: str, after: str) -> bool:
    return _is_number(before) and _is_number(after)


def _of_run(run: list[str], short: bool) -> list[tuple[str, bool]]:
    """Return the literals of a run, each with whether it is a name: the whole, and its parts."""
    singles = [(one, _is_name(one)) for one in run if _counts(one, short)]
    if len(run) == 1:
        return singles
    whole = _BLANK.sub(" ", " ".join(run)).strip()
    if all(map(_is_number, run)):
        return [(whole, True)]
    if any(map(_is_operator, run)):
        core = _BLANK.sub(" ", " ".join(_core(run))).strip()
        return [(whole, _is_relation(run)), (core, True), *singles]
    return [(whole, run[-1] in _HALVES), *singles]


def _core(run: list[str]) -> list[str]:
    """What is left of `at * 5 * * *` without the words at its ends; not less than three parts."""
    kept = [one for one in run if not one.isalpha()]
    first, last = run.index(kept[0]), len(run) - run[::-1].index(kept[-1])
    return run[first:last] if last - first >= 3 else []


def _is_relation(run: list[str]) -> bool:
    """Return True if a run with signs is no English with a dash, and no list."""
    signs = {one for one in run if _is_operator(one)}
    return not signs <= _LOOSE or all(len(one) <= 2 or _is_number(one) for one in run)


def _counts(stretch: str, short: bool) -> bool:
    return _has_form(stretch) or (short and _is_letter(stretch))


def _is_operator(stretch: str) -> bool:
    return _OPERATOR.fullmatch(stretch) is not None


def _is_number(stretch: str) -> bool:
    return _NUMBER.fullmatch(stretch) is not None


def _is_part(stretch: str) -> bool:
    """Return True for what has the form of a name beside another: `a.txt`, `e4`, `de89`, 3704."""
    if _is_number(stretch) or _MIXED.fullmatch(stretch):
        return True
    return _has_form(stretch) and _JOINED_WORDS.fullmatch(stretch) is None


def _has_form(stretch: str) -> bool:
    return _SIGN.search(stretch) is not None and _ABBREVIATION.fullmatch(stretch) is None


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
    """Return how well what stands from `start` to `end` is bounded as a name: see `held`."""
    before, after = text[max(start - 2, 0) : start], text[end : end + 2]
    first, last = text[start], text[end - 1]
    if _continues(before[-1:], first) or _continues(after[:1], last):
        return 0.0
    if _glued(before[-1:], first) or _glued(after[:1], last):
        return PART_OF_A_NAME
    if _doubled(before[-1:], first) or _doubled(after[:1], last):
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


def _doubled(neighbour: str, edge: str) -> bool:
    """Return True if a sign at a literal's edge goes on beside it: `-x` in `--x`."""
    return neighbour == edge and not edge.isalnum() and not edge.isspace()


def _joins(sign: str, beyond: str, edge: str) -> bool:
    """Return True if a sign beside the edge goes on with the name: `-no`, `.30`, `++`."""
    if not sign or sign.isspace():
        return False
    if sign in "+#" and edge.isalnum():
        return True
    return sign in "-_./:@=~+" and bool(beyond) and (beyond.isalnum() or beyond in "-_./:@=+")
