"""One line for an entry, and as many lines as a budget has room for; pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from khive_supervisor.briefing import tokens

#: What stands between two lines, in tokens, and a little for how a text is put into a context.
_LINE_END = 1


@dataclass(frozen=True, slots=True)
class Line:
    """What is said of an entry.

    Attributes:
        entry: the entry's id; 0 for what is none.
        shown: the id as people and agents write it: "m12".
        day: when it was stored, "2026-11-29".
        text: what it says, on one line.
        remarks: what has become of it, or what says otherwise.
    """

    entry: int
    shown: str
    day: str
    text: str
    remarks: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return the line."""
        remarks = f" ({'; '.join(self.remarks)})" if self.remarks else ""
        head = " ".join(part for part in (self.shown, self.day) if part)
        return f"{head} {one_line(self.text)}{remarks}".strip()


@dataclass(frozen=True, slots=True)
class Composed:
    """A text within its budget, the lines that are in it, and what it is counted as."""

    text: str = ""
    lines: tuple[Line, ...] = ()
    tokens: int = 0


def one_line(text: str) -> str:
    """Return a text on one line."""
    return " ".join(text.split())


def within(lines: Iterable[Line], budget: int) -> tuple[list[Line], int]:
    """Return the first lines that fit, longer ones passed over, and the tokens that are left."""
    kept: list[Line] = []
    for line in lines:
        cost = tokens.bound(str(line)) + _LINE_END
        if cost <= budget:
            kept.append(line)
            budget -= cost
    return kept, budget


def composed(head: str, lines: Sequence[Line], budget: int) -> Composed:
    """Return a head with those lines below it that fit; empty without any."""
    kept, _ = within(lines, budget - tokens.bound(head) - _LINE_END)
    if not kept:
        return Composed()
    text = "\n".join([head, *map(str, kept)])
    return Composed(text, tuple(kept), tokens.bound(text))
