"""Notes as people and agents leave them: what is said of one thing again, or otherwise, by another.

`notes.tsv` was written by somebody who had seen neither the rules nor what the scale was learned
from, as if by one hand for the first of each pair and another one, weeks later, for the second.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.core.context import Context
from benchmarks.core.report import Row
from benchmarks.truth.contradictions import Memory, is_settled, rows_of
from khive_supervisor.embed.minilm import MiniLM

SETS = ("notes",)
SEED = 7
#: Days between the first of the pairs and what came later.
LATER = 21
#: The share of the first texts that nothing is counted of: there is too little to be like.
UNCOUNTED = 0.25


@dataclass(frozen=True, slots=True)
class Noted:
    """A pair of notes by its kind (restated, changed, alike), and a question; or a single one."""

    kind: str
    earlier: str
    later: str = ""
    question: str = ""


def measure(context: Context) -> list[Row]:
    """The rows of both sets."""
    model = MiniLM()
    rows: list[Row] = []
    for name in SETS:
        rows += _rows(Memory(context.work / "noted" / name, model), name)
    return rows


def _rows(memory: Memory, name: str) -> list[Row]:
    every = [Noted(*row) for row in rows_of(name)]
    draw = random.Random(SEED)
    first = draw.sample(every, len(every))
    later = draw.sample([one for one in every if one.later], sum(bool(one.later) for one in every))
    noise = [bool(memory.remember(one.earlier).get("related")) for one in first]
    memory.now += LATER * 86400.0
    told = {one: _is_told(memory, one) for one in later}
    return [
        _told_row(name, told, noise[int(UNCOUNTED * len(noise)) :]),
        _asked_row(memory, name, every),
    ]


def _is_told(memory: Memory, one: Noted) -> bool:
    related = memory.remember(one.later).get("related", ())
    return any(found["line"] == one.earlier for found in related)


def _told_row(name: str, told: dict[Noted, bool], noise: Sequence[bool]) -> Row:
    count = {kind: _count(told, kind) for kind in ("restated", "changed", "alike")}
    asked = {kind: sum(one.kind == kind for one in told) for kind in count}
    right = count["restated"] + count["changed"]
    share = sum(noise) / len(noise)
    return Row(
        what=f"{name}: the earlier note is told at remember",
        target="said again or otherwise 90 %; at most 20 % of unrelated writes",
        khive=", ".join(f"{kind} {count[kind]} of {asked[kind]}" for kind in count)
        + f"; unrelated {100 * share:.0f} % of {len(noise)}",
        peers=(),
        met=right >= 0.9 * (asked["restated"] + asked["changed"]) and share <= 0.2,
    )


def _count(told: dict[Noted, bool], kind: str) -> int:
    return sum(yes for one, yes in told.items() if one.kind == kind)


def _asked_row(memory: Memory, name: str, every: Sequence[Noted]) -> Row:
    """Questions in words of neither note; with many of them nothing is found that fits."""
    changed = [one for one in every if one.kind == "changed"]
    alike = [one for one in every if one.kind == "alike"]
    answers = [memory.recall(one.question) for one in changed]
    settled = sum(
        is_settled(found, one.earlier, one.later)
        for one, found in zip(changed, answers, strict=True)
    )
    found = [memory.recall(one.question) for one in alike]
    own = sum(
        bool(some) and some[0]["content"] == one.earlier
        for one, some in zip(alike, found, strict=True)
    )
    marked = sum(any("older" in one for one in some) for some in found)
    return Row(
        what=f"{name}: questions in other words",
        target="newer first, older marked or not shown; alike: its own first, none marked",
        khive=f"{settled} of {len(changed)} settled (of {sum(not one for one in answers)} nothing "
        f"is shown); {own} of {len(alike)} its own first, {marked} answers with a mark",
        peers=(),
        met=None,
    )
