"""Of short results that answer equally well, the newer one before the older one; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

from khive_supervisor.search.results import Hit
from khive_supervisor.truth.answering import (
    ALIKE,
    Answering,
    answers_as_well,
    tells_of_a_change,
)
from khive_supervisor.truth.compare import rivals
from khive_supervisor.truth.reading import Reading

Cosines = Mapping[tuple[int, int], float]
Readings = Mapping[int, Reading]


def newer_before(hits: Sequence[Hit], cosines: Cosines, readings: Readings) -> list[Hit]:
    """Return the results with newer ones before older ones that they answer as well as.

    Both say a few statements on the same (`readings` and `cosines` by the results' ids), and the
    newer one stands right behind the older one or tells of a change. Nothing else moves.
    """
    first: dict[int, int] = {}
    for older, newer in _alike(hits, cosines, readings):
        first.setdefault(newer, older)
    order = sorted(range(len(hits)), key=lambda n: (first.get(n, n), n not in first, -n))
    return [hits[n] for n in order]


def _alike(hits: Sequence[Hit], cosines: Cosines, readings: Readings) -> list[tuple[int, int]]:
    """Return pairs of places, older and newer, of which the newer one is further down."""
    compared = [place for place, hit in enumerate(hits) if hit.entry.id in readings]
    return [
        (one, other)
        for one, other in combinations(compared, 2)
        if _age(hits[one]) < _age(hits[other])
        and cosines.get((hits[one].entry.id, hits[other].entry.id), 0.0) >= ALIKE
        and _answers(hits[one], hits[other], other - one == 1, cosines, readings)
    ]


def _answers(
    older: Hit, newer: Hit, next_to_it: bool, cosines: Cosines, readings: Readings
) -> bool:
    ids = (older.entry.id, newer.entry.id)
    old, new = (readings[one] for one in ids)
    if not (old.statements and new.statements):
        return False
    changed = tells_of_a_change(new, old)
    return (
        (changed or next_to_it)
        and answers_as_well(_answer(older), _answer(newer), cosines.get(ids, 0.0), changed=changed)
        and not rivals(new, old)
    )


def _age(hit: Hit) -> tuple[float, int]:
    return hit.entry.created_at, hit.entry.id


def _answer(hit: Hit) -> Answering:
    facts, learned_boost = hit.judged.facts, hit.judged.ranked.learned_boost
    return Answering(hit.score, facts.coverage, facts.names, facts.cosine, learned_boost)
