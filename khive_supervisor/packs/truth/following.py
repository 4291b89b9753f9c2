"""Recall that follows links: what replaced a memory that fits, and what results are linked with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from khive_supervisor.graph import ontology
from khive_supervisor.graph.ontology import INVERSES, SUPERSEDES
from khive_supervisor.search.results import Hit
from khive_supervisor.store.curation import SUPERSEDED, UPDATED, Listing
from khive_supervisor.store.links import Along, EntryLink
from khive_supervisor.store.model import Entry, EntryFilter
from khive_supervisor.verbs import answers, forms
from khive_supervisor.verbs.context import Context

#: What leads from a replaced memory to what stands in its place.
REPLACED = ontology.ONTOLOGY[SUPERSEDES].inverse
#: Superseded entries that are looked at, the last that went, and successors that are followed.
MOST_GONE, LONGEST_CHAIN = 1000, 20
#: Links of the results that are looked at, for one result that may be added.
MORE_LINKS = 5


class Followed(NamedTuple):
    """What a recall asks for, and along which links it goes on by one step."""

    query: str
    where: EntryFilter
    readings: Sequence[str]
    limit: int
    floor: float | None


def with_linked(context: Context, hits: Sequence[Hit], asked: Followed) -> answers.Arranged:
    """Return results with what they lead to, and by entry id how that came to be here.

    What replaced something that fits stands where that would stand; other entries follow after the
    results, so many at most as there may be of these.
    """
    marks: dict[int, Mapping[str, str]] = {}
    found = list(hits)
    if REPLACED in asked.readings:
        for hit, old in _successors(context, asked):
            marks.setdefault(hit.entry.id, {"via": f"replaced {_name(old)}"})
            if all(one.entry.id != hit.entry.id for one in found):
                found.insert(sum(one.score >= hit.score for one in found), hit)
    found = found[: asked.limit]
    others = [one for one in asked.readings if one != REPLACED]
    for hit, said in _linked(context, found, asked, others) if others else ():
        found.append(hit)
        marks[hit.entry.id] = {"via": said}
    return found, marks


def _name(entry: Entry) -> str:
    return forms.show_id(entry.collection, entry.id)


def _successors(context: Context, asked: Followed) -> list[tuple[Hit, Entry]]:
    """Return what stands in the place of superseded entries that fit, best first, with those."""
    listing = Listing(asked.where, SUPERSEDED, order=UPDATED)
    dead = [one.entry for one in context.store.lists.page(listing, MOST_GONE)]
    if not dead:
        return []
    fitting = context.search.among(asked.query, dead, limit=asked.limit, floor=asked.floor)
    found = []
    for hit in fitting:
        entry = _successor(context, hit.entry, asked.where)
        if entry is not None:
            found.append((replace(hit, entry=entry, why="it replaced what fits"), hit.entry))
    return found


def _successor(context: Context, entry: Entry, where: EntryFilter) -> Entry | None:
    """Return the live entry at the end of a chain of successors; None: none that may be shown."""
    for _ in range(LONGEST_CHAIN):
        if entry.superseded_by is None:
            break
        found = context.store.entries.get([entry.superseded_by])
        if not found:
            return None
        (entry,) = found
    return entry if context.store.entries.filter_ids([entry.id], where) else None


def _linked(
    context: Context, hits: Sequence[Hit], asked: Followed, readings: Sequence[str]
) -> list[tuple[Hit, str]]:
    """Return entries that results lead to and that are none, with the words of how."""
    leaving, entering = ontology.sides(readings)
    where = EntryFilter(namespaces=asked.where.namespaces, projects=asked.where.projects)
    along = Along(leaving, entering, context.now(), where=where)
    by_id = {hit.entry.id: hit for hit in hits}
    links = context.store.links.along(by_id, along, MORE_LINKS * asked.limit, by_id)
    ends = {one.id: _far(one, by_id) for one in links}
    entries = {one.id: one for one in context.store.entries.get([to for _, to in ends.values()])}
    found: dict[int, tuple[Hit, str]] = {}
    # Those of the best results first.
    for link in sorted(links, key=lambda one: [*by_id].index(ends[one.id][0])):
        near, to = ends[link.id]
        entry = entries.get(to)
        if entry is None or not (entry.live or link.kind == SUPERSEDES):
            continue
        reading = ontology.reading(link.kind, forwards=link.from_id == near)
        hit = replace(by_id[near], entry=entry, why="it is linked", pieces=(), unshown=0)
        found.setdefault(to, (hit, f"{_name(by_id[near].entry)} {reading} it"))
    return [*found.values()][: asked.limit]


def _far(link: EntryLink, near: Mapping[int, Hit]) -> tuple[int, int]:
    """Return the ends of a link, that of a result first."""
    here, there = link.from_id, link.to_id
    return (here, there) if here in near else (there, here)


#: What may be followed: each kind as it is read from a result.
READINGS = tuple(dict.fromkeys((REPLACED, *ontology.KINDS, *INVERSES)))
