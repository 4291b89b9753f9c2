"""What memories say of each other: said before, said otherwise, and which of them is older."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from khive_supervisor.capture.model import CAPTURED
from khive_supervisor.embed.base import Vectors
from khive_supervisor.packs.truth import newer_first, sameness
from khive_supervisor.packs.truth.newer_first import Cosines
from khive_supervisor.search.results import Hit, document_of
from khive_supervisor.store.links import CONTRADICTS
from khive_supervisor.store.model import Entry, EntryFilter
from khive_supervisor.truth.amending import Worth, says_already
from khive_supervisor.truth.compare import (
    NEAR,
    OTHERWISE,
    OTHERWISE_COSINE,
    SAME,
    Comparison,
    compare,
)
from khive_supervisor.truth.reading import Reading, read
from khive_supervisor.verbs import forms
from khive_supervisor.verbs.context import Context

#: Results that are compared with each other, and entries that a new one is compared with.
COMPARED, NEIGHBOURS = 20, 16
#: Earlier entries that each of many is compared with.
NEAREST = 5
#: Characters of a new entry that its neighbours are looked for with, and documents that are told.
ASKED_CHARACTERS, TOLD = 1000, 2
_SMALLEST_LENGTH = 1e-9
#: Lines of what was captured from which on it is of many things.
MANY_LINES = 3
#: Who links by these rules.
BY_RULE = "rule"
_ORDER = (OTHERWISE, SAME, NEAR)


@dataclass(frozen=True, slots=True)
class Neighbour:
    """An earlier entry, and what a new one is to it."""

    entry: Entry
    finding: Comparison


def neighbours(context: Context, new: Entry, where: EntryFilter) -> list[Neighbour]:
    """Return the earlier entries that say nearly the same as a new one, or otherwise.

    The most telling first, those of `TOLD` documents at most, each with all its pieces: exchanges
    of one chat do not take the places of what another one says. Pieces of its own document are none
    of them.
    """
    asked = f"{new.title}\n{new.content}".strip()[:ASKED_CHARACTERS]
    # The rules say what is related, and not how well it answers: no floor.
    _, own_vector = _vectors(context, [new])
    found = context.search.search(
        asked, where, limit=NEIGHBOURS, now=context.now(), floor=0.0, by_document=False,
        meaning=own_vector[0] if len(own_vector) else None,
    )  # fmt: skip
    own = document_of(new)
    others = [hit.entry for hit in found.hits if document_of(hit.entry) != own]
    told = sorted(
        (Neighbour(one, finding) for one, finding in _findings(context, new, others)),
        key=lambda one: _ORDER.index(one.finding.kind),
    )
    documents = [*dict.fromkeys(document_of(one.entry) for one in told)][:TOLD]
    return [one for one in told if document_of(one.entry) in documents]


def first_of_each(found: Sequence[Neighbour]) -> list[Neighbour]:
    """Return the first, which is the most telling one, of each document."""
    first: dict[Hashable, Neighbour] = {}
    for one in found:
        first.setdefault(document_of(one.entry), one)
    return [*first.values()]


def _findings(
    context: Context, new: Entry, others: Sequence[Entry]
) -> Iterator[tuple[Entry, Comparison]]:
    """Yield what a new entry is to others, as far as it is told; the likeliest first.

    What may be about the same is told by a learned scale, where the model is known to it: the words
    in common alone tell little of it.
    """
    subjects = sameness.subjects_of(context.embedder)
    rows, vectors = _vectors(context, [*others, new])
    place = {one: number for number, one in enumerate(rows)}
    reading, readings = _read(new), [_read(one) for one in others]
    worth = sameness.worth_here(context)
    whole = _whole_of(others)
    left: list[tuple[Entry, Reading]] = []
    for one, earlier in zip(others, readings, strict=True):
        known = new.id in place and one.id in place
        cosine = float(vectors[place[new.id]] @ vectors[place[one.id]]) if known else None
        finding = compare(reading, earlier, cosine, worth)
        if reading.spoken and says_already(whole[document_of(one)], reading.text):
            finding = None
        judged = known and subjects is not None
        if finding and (finding.kind != NEAR or not judged):
            yield one, finding
        elif judged and not (earlier.long or reading.long):
            left.append((one, earlier))
    if left and subjects is not None:
        near = vectors[[*(place[one.id] for one, _ in left), place[new.id]]]
        likely = sameness.likely(reading, [earlier for _, earlier in left], near, subjects)
        yield from ((left[at][0], Comparison(NEAR, "may be about the same")) for at in likely)


def _whole_of(entries: Sequence[Entry]) -> Mapping[Hashable, str]:
    """Return what is known of each document of which there are pieces."""
    found: dict[Hashable, str] = {}
    for one in entries:
        document = document_of(one)
        found[document] = f"{found.get(document, '')}\n{one.title}\n{one.content}"
    return found


@dataclass(frozen=True, slots=True)
class _Said:
    """What a result says as a whole: an entry, or the pieces of a document that are shown."""

    best: Entry
    pieces: Sequence[Entry]

    @classmethod
    def by(cls, hit: Hit) -> _Said:
        """Return it for a result."""
        return cls(hit.entry, sorted((one.entry for one in hit.every), key=lambda one: one.id))

    @property
    def newest(self) -> tuple[float, int]:
        """Return what orders results by their dates."""
        return self.pieces[-1].created_at, self.pieces[-1].id

    @property
    def reading(self) -> Reading:
        """Return all of it as the rules read it."""
        if len(self.pieces) == 1:
            return _read(self.best)
        return read("\n".join([self.best.title, *(one.content for one in self.pieces)]))


def arranged(
    context: Context, hits: Sequence[Hit]
) -> tuple[list[Hit], Mapping[int, Mapping[str, str]]]:
    """Return results with newer ones first among those that disagree, and marks of the older ones.

    Who has more of the names in the query, as they are written, stays before the others: it is what
    was asked for; so does who was made at a time that the query names. A newer one that is likely
    to have taken the first one's place stands before it; nothing else changes its place. A mark is
    a field and its text, by entry id.
    Pieces of one document are read together, and do not disagree with each other.
    """
    compared, cosines, readings = known_of(context, hits)
    linked = _linked(context, [piece.id for one in compared for piece in one.pieces])
    worth = sameness.worth_here(context)
    newer_of = _disagreeing(compared, cosines, readings, linked, worth)
    newer_of |= _of_whole(compared, newer_of)
    ordered = newer_first.newer_before(hits, cosines, readings, linked.settled, worth)
    ordered = _newest_first(ordered, _of_best(compared, newer_of))
    # Ids grow: of several newer ones, the highest was stored last.
    marks = {
        older: {"older": f"may be outdated; {forms.show_id('memory', max(newers))} says otherwise"}
        for older, newers in newer_of.items()
    }
    return ordered, marks


def known_of(
    context: Context, hits: Sequence[Hit]
) -> tuple[Sequence[_Said], Cosines, Mapping[int, Reading]]:
    """Return the results that are compared, and by their ids their cosines and readings."""
    compared = [_Said.by(hit) for hit in hits if hit.entry.collection == "memory"][:COMPARED]
    cosines = _cosines(context, {one.best.id: one.pieces for one in compared})
    return compared, cosines, _Readings(compared)


class _Readings(Mapping[int, Reading]):
    """What results say, by their ids: each is read when it is asked for, and once."""

    def __init__(self, results: Sequence[_Said]) -> None:
        self._said = {one.best.id: one for one in results}
        self._read: dict[int, Reading] = {}

    def __getitem__(self, number: int) -> Reading:
        if number not in self._read:
            self._read[number] = self._said[number].reading
        return self._read[number]

    def __contains__(self, number: object) -> bool:
        return number in self._said

    def __iter__(self) -> Iterator[int]:
        return iter(self._said)

    def __len__(self) -> int:
        return len(self._said)


def _far(cosine: float | None) -> bool:
    """Return True if two texts are known to be too far apart to say otherwise."""
    return cosine is not None and cosine < OTHERWISE_COSINE


def _is_compared(entry: Entry) -> bool:
    """Return True for a memory of one thing; what was captured of a session can be of many."""
    return CAPTURED not in entry.tags or entry.content.count("\n") < MANY_LINES


def _of_whole(results: Sequence[_Said], newer_of: Mapping[int, set[int]]) -> dict[int, set[int]]:
    """Return who is newer than any piece that is shown of a result, by its best one's id."""
    found = {
        one.best.id: {newer for piece in one.pieces for newer in newer_of.get(piece.id, ())}
        for one in results
    }
    return {best: newers for best, newers in found.items() if newers}


def _of_best(results: Sequence[_Said], newer_of: Mapping[int, set[int]]) -> dict[int, set[int]]:
    """Return which results are newer than which, whatever piece of theirs says so."""
    best = {piece.id: one.best.id for one in results for piece in one.pieces}
    return {
        one.best.id: {best.get(newer, newer) for newer in newer_of.get(one.best.id, ())}
        for one in results
    }


def _disagreeing(
    results: Sequence[_Said],
    cosines: Cosines,
    readings: Mapping[int, Reading],
    linked: _Linked,
    worth: Worth,
) -> dict[int, set[int]]:
    """Return the newer results that say otherwise, by the older one's id."""
    newer_of: dict[int, set[int]] = {}
    of = {piece.id: one.best.id for one in results for piece in one.pieces}
    for new, old in linked.holding:
        if of.get(new) != of[old]:
            newer_of.setdefault(old, set()).add(new)
    ordered = sorted((one for one in results if _is_compared(one.best)), key=lambda one: one.newest)
    for older, newer in combinations([one.best.id for one in ordered], 2):
        cosine = cosines.get((newer, older))
        if (newer, older) in linked.settled or (newer, older) in linked.holding or _far(cosine):
            continue
        found = compare(readings[newer], readings[older], cosine, worth)
        if found and found.kind == OTHERWISE:
            newer_of.setdefault(older, set()).add(newer)
    return newer_of


@dataclass(frozen=True, slots=True)
class _Linked:
    """Pairs that are linked as contradicting, newer first, and those that are no longer so."""

    holding: AbstractSet[tuple[int, int]]
    settled: AbstractSet[tuple[int, int]]


def _linked(context: Context, ids: Sequence[int]) -> _Linked:
    if not ids:
        return _Linked(frozenset(), frozenset())
    links = [one for one in context.store.links.history(ids) if one.kind == CONTRADICTS]
    holding = {(one.from_id, one.to_id) for one in links if one.ended_at is None}
    ended = {(one.from_id, one.to_id) for one in links} - holding
    ends = {one for pair in holding for one in pair} - set(ids)
    live = {one.id for one in context.store.entries.get(list(ends)) if one.live} | set(ids)
    shown = {pair for pair in holding if pair[0] in live and pair[1] in ids}
    return _Linked(shown, ended)


def pairs(context: Context, entries: Sequence[Entry]) -> Iterator[tuple[Entry, Entry, Comparison]]:
    """Yield the pairs among entries that have something to do with each other: newer, older, how.

    Each is compared with the `NEAREST` before it that are next to it in meaning.
    """
    ordered = sorted(entries, key=lambda one: (one.created_at, one.id))
    rows, vectors = _vectors(context, ordered)
    place = {one: number for number, one in enumerate(rows)}
    readings = {one.id: _read(one) for one in ordered}
    worth = sameness.worth_here(context)
    for number, newer in enumerate(ordered):
        earlier = [one for one in ordered[:number] if one.id in place]
        if newer.id not in place or not earlier:
            continue
        cosines = vectors[[place[one.id] for one in earlier]] @ vectors[place[newer.id]]
        for one in np.argsort(-cosines)[:NEAREST]:
            of = readings[earlier[one].id]
            found = compare(readings[newer.id], of, float(cosines[one]), worth)
            if found:
                yield newer, earlier[one], found


def _newest_first(hits: Sequence[Hit], newer_of: Mapping[int, set[int]]) -> list[Hit]:
    """Return the hits with each group of disagreeing ones in its own places, newest first.

    Of each number of the query's names by itself.
    """
    group = {hit.entry.id: {hit.entry.id} for hit in hits}
    for older, newers in newer_of.items():
        for newer in newers & group.keys():
            if older in group and group[older] is not group[newer]:
                group[older] |= group[newer]
                for one in group[newer]:
                    group[one] = group[older]
    result = list(hits)
    places = {hit.entry.id: place for place, hit in enumerate(hits)}
    for members in {id(one): one for one in group.values() if len(one) > 1}.values():
        there = sorted(places[one] for one in members)
        newest = sorted(
            (hits[place] for place in there),
            key=lambda hit: (hit.judged.facts.names, *newer_first.age(hit)),
            reverse=True,
        )
        for place, hit in zip(there, newest, strict=True):
            result[place] = hit
    return result


def _read(entry: Entry) -> Reading:
    return read(f"{entry.title}\n{entry.content}" if entry.title else entry.content)


def _vectors(context: Context, entries: Sequence[Entry]) -> tuple[list[int], Vectors]:
    """Return the ids of entries that have vectors, and those, float32 (ids, dimensions)."""
    embedder = context.embedder
    if embedder is None:
        return [], np.empty((0, 0), np.float32)
    rows = context.whole_store.vectors.of(embedder.model_id, [one.id for one in entries])
    vectors = np.array([np.frombuffer(row.data, "<f2") for row in rows], np.float32)
    return [row.entry_id for row in rows], vectors


def _cosines(
    context: Context, results: Mapping[int, Sequence[Entry]]
) -> dict[tuple[int, int], float]:
    """Return the cosines of all pairs of results that have vectors, by both orders of their ids.

    A result of several entries has the mean of their vectors.
    """
    known, vectors = _vectors(context, [entry for entries in results.values() for entry in entries])
    place = {entry: number for number, entry in enumerate(known)}
    found = {}
    for one, entries in results.items():
        rows = [place[entry.id] for entry in entries if entry.id in place]
        if rows:
            whole = vectors[rows].sum(0)
            found[one] = whole / max(float(np.linalg.norm(whole)), _SMALLEST_LENGTH)
    if len(found) < 2:
        return {}
    stacked = np.stack([*found.values()])
    products = (stacked @ stacked.T).tolist()
    return {
        (one, other): products[i][j]
        for i, one in enumerate(found)
        for j, other in enumerate(found)
        if i != j
    }
