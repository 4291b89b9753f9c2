"""After fusion: entries that have the query's names as they are written come before the others.

Both arms see words: `OPS-12-40` and `OPS-40-12` have the same, and nearly the same meaning. So the
candidates are read, and each literal of the query (`literals`) is looked for in them:

    factor = 1 / (1 + STEEPNESS * share^2 * (best - have))

`have` is what a candidate has of the literals, 0..1, and `best` the most that any has: when nobody
has a name, nobody loses. `share` is how much of the query the literals are, by words: a question
for a date is all about it, a pasted log is not about each of its paths. What only may be a name
(`web-to-db`, `and/or`) counts less. Measured: docs/adr/0027-names-as-written.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from khive_supervisor.index.inverted.scope import Scope
from khive_supervisor.search import fusion
from khive_supervisor.store.interface import Store
from khive_supervisor.store.model import Entry
from khive_supervisor.text.analysis import Query
from khive_supervisor.text.literals import Literal, LiteralText, held, literals

#: How much is lost by a candidate that has nothing of a query that is one literal: nine tenths.
STEEPNESS = 9.0
#: What counts of words that are joined by hyphens or slashes.
JOINED_WORDS = 0.5
#: Of a query that is less about its literals than this, by words, nobody is asked for them.
LEAST_SHARE = 0.05
#: Entries with a literal's words side by side that are asked for; of one that more have, only the
#: first candidates are read.
MOST_ASKED = 500
#: Candidates that are read where the index cannot tell who has a literal: 10 microseconds each.
MOST_READ = 64
#: Entries that have a literal and that neither arm has listed: so many are added.
MOST_ADDED = 16


@dataclass(frozen=True, slots=True)
class Written:
    """Fused candidates, best first after their factors.

    Attributes:
        fused: the candidates; their scores have the factor in them.
        factors: by entry id, of those that were read; empty when no name decides.
        holders: the entries that have most of the names.
        dated: by entry id, the factors of the time that the query names; empty without one.
        have: what those that were read have of the names, 0..1, and `share`: how much of the
            query these are.
    """

    fused: Sequence[fusion.Fused]
    factors: Mapping[int, float] = field(default_factory=dict)
    holders: frozenset[int] = frozenset()
    have: Mapping[int, float] = field(default_factory=dict)
    share: float = 0.0
    dated: Mapping[int, float] = field(default_factory=dict)


def prefer_written(
    query: str, terms: Query, fused: Sequence[fusion.Fused], store: Store, scope: Scope
) -> Written:
    """Order the fused candidates by what they have of the query's literals.

    A query without one costs nothing. Entries that have a literal and are no candidates become
    some, with what the arms give to those that they do not list.
    """
    wanted = literals(query)
    share = _share(wanted, terms)
    if not fused or share < LEAST_SHARE:
        return Written(fused)
    listed = {candidate.id for candidate in fused}
    beside, sure = _side_by_side(wanted, store)
    added = _passing(sorted(beside - listed, reverse=True)[:MOST_ADDED], scope)
    ranked = [candidate.id for candidate in fused]
    unsure = () if sure else ranked[:MOST_READ]
    read = dict.fromkeys([*(i for i in ranked if i in beside), *unsure, *added])
    have = _have(wanted, store.entries.get([*read]))
    every = [*fused, *(fusion.unlisted(one, fused[0].arms) for one in added)]
    best = max(have.values(), default=0.0)
    if not best:
        return Written(fused)
    loss = STEEPNESS * share * share
    factors = {one.id: 1.0 / (1.0 + loss * (best - have.get(one.id, 0.0))) for one in every}
    scored = [one._replace(score=one.score * factors[one.id]) for one in every]
    holders = frozenset(one for one, got in have.items() if got == best)
    ordered = sorted(scored, key=lambda one: (-one.score, -one.id))
    return Written(ordered, factors, holders, have, share)


def _side_by_side(wanted: Sequence[Literal], store: Store) -> tuple[set[int], bool]:
    """The entries that have a literal's words side by side, and whether nobody else can have one.

    The index knows no signs, and so nothing of a literal of one word (`--verify`, `C++`).
    """
    found: set[int] = set()
    sure = True
    for literal in wanted:
        ids = store.postings.phrase_ids(literal.text, MOST_ASKED) if literal.words > 1 else []
        if literal.words > 1 and len(ids) < MOST_ASKED:
            found.update(ids)
        else:
            sure = False
    return found, sure


def _passing(ids: Sequence[int], scope: Scope) -> list[int]:
    passed = scope.passing(np.array(ids, np.int64)) if ids else ()
    return [one for one, passes in zip(ids, passed, strict=True) if passes]


def _have(wanted: Sequence[Literal], entries: Sequence[Entry]) -> dict[int, float]:
    """Return what each entry has of the literals, 0..1."""
    worth = [literal.words * (1.0 if literal.name else JOINED_WORDS) for literal in wanted]
    have = {}
    for entry in entries:
        text = LiteralText.of("\n".join((entry.title, entry.content, *entry.tags)))
        got = sum(w * held(text, one) for w, one in zip(worth, wanted, strict=True))
        have[entry.id] = got / sum(worth)
    return have


def _share(wanted: Sequence[Literal], terms: Query) -> float:
    """Return how much of a query its literals are, 0..1."""
    words = sum(one.words * (1.0 if one.name else JOINED_WORDS) for one in wanted)
    all_words = sum(1 for term in terms if term.isalnum())
    return min(words / max(all_words, 1), 1.0)
