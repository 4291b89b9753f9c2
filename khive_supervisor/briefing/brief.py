"""The brief of a project, for whoever begins to work in it; pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from khive_supervisor.briefing import tokens
from khive_supervisor.briefing.lines import Composed, Line, within

#: Of the whole budget, how much is used up when a section ends, at most.
PINNED, DECIDED, CHANGED, ENDED, OPEN = 0.4, 0.7, 0.8, 0.92, 1.0
#: Tokens of an entry's text in a brief; memory_get has all of it.
LINE_BUDGET = 70


@dataclass(frozen=True, slots=True)
class BriefFacts:
    """What there is to say; each the most important first.

    Attributes:
        pinned: what the user wants to be known always.
        decided: the newest decisions.
        changed: memories of which the code says otherwise by now.
        ended: what the last sessions ended with.
        open: tasks of the project's roles that are not done.
    """

    pinned: Sequence[Line] = ()
    decided: Sequence[Line] = ()
    changed: Sequence[Line] = ()
    ended: Sequence[Line] = ()
    open: Sequence[Line] = ()


def compose(facts: BriefFacts, budget: int, name: str = "") -> Composed:
    """Return the brief of a project within a number of tokens; empty if there is nothing to say."""
    of = f" of {name}" if name else ""
    head = f"Memory{of} (khive; memory_get has an id's whole text, memory_recall finds more)"
    sections = (
        ("Pinned:", facts.pinned, PINNED),
        ("Decided:", facts.decided, DECIDED),
        ("Changed in the code since:", facts.changed, CHANGED),
        ("Last sessions:", facts.ended, ENDED),
        ("Open tasks:", facts.open, OPEN),
    )
    parts, shown, used = [head], [], tokens.bound(head) + 1
    for title, lines, share in sections:
        room = int(budget * share) - used - tokens.bound(title) - 1
        kept, left = within([one for one in lines if one not in shown], room)
        if kept:
            used += tokens.bound(title) + 1 + room - left
            parts += [title, *map(str, kept)]
            shown += kept
    if not shown:
        return Composed()
    text = "\n".join(parts)
    return Composed(text, tuple(shown), tokens.bound(text))
