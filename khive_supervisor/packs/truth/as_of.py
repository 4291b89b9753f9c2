"""What was live and held at an earlier moment: predecessors in the place of what came later."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from khive_supervisor.packs.truth import agreement
from khive_supervisor.search.results import Hit
from khive_supervisor.store.curation import FORGOTTEN, SUPERSEDED, UPDATED, Listing
from khive_supervisor.store.links import SUPERSEDES
from khive_supervisor.store.model import Entry, EntryFilter
from khive_supervisor.verbs import answers, forms
from khive_supervisor.verbs.context import Context

#: Results that are looked at for one that is shown, and predecessors that are followed.
MORE, LONGEST_CHAIN = 3, 20
#: Forgotten entries that are looked at, and superseded ones: the last that went.
MOST_GONE = 1000


class PastQuestion(NamedTuple):
    """What is asked of an earlier moment, which is in unix seconds."""

    query: str
    where: EntryFilter
    moment: float
    limit: int
    floor: float | None


def arranged_at(asked: PastQuestion) -> answers.Arrange:
    """Return what puts results in order as they were at a moment, and adds what has gone since."""

    def arrange(context: Context, hits: Sequence[Hit]) -> answers.Arranged:
        then: dict[int, Hit] = {}
        for hit in hits:
            entry = _then(context, hit.entry, asked.moment)
            if entry is not None and entry.holds(asked.moment):
                then.setdefault(entry.id, replace(hit, entry=entry))
        for hit in _gone_since(context, asked):
            then.setdefault(hit.entry.id, hit)
        best = sorted(then.values(), key=lambda hit: -hit.score)
        shown = best[: asked.limit]
        ordered, marks = agreement.arranged(context, shown)
        later = {one.entry.id: _since(one.entry) for one in shown if not one.entry.live}
        return ordered, {one: {**marks.get(one, {}), **later.get(one, {})} for one in then}

    return arrange


def _gone_since(context: Context, asked: PastQuestion) -> list[Hit]:
    """Return what fits and lived at that moment, and does not any more; never what was purged."""
    where = replace(asked.where, until=asked.moment)
    dead: list[Entry] = []
    for state in (FORGOTTEN, SUPERSEDED):
        listing = Listing(where, state, order=UPDATED)
        dead += [one.entry for one in context.store.lists.page(listing, MOST_GONE)]
    replaced = _replaced_at(context, [one.id for one in dead if one.superseded_by is not None])
    lived = [
        one
        for one in dead
        if (one.deleted_at or replaced.get(one.id, 0.0)) > asked.moment and one.holds(asked.moment)
    ]
    if not lived:
        return []
    return context.search.among(asked.query, lived, limit=asked.limit, floor=asked.floor)


def _replaced_at(context: Context, ids: Sequence[int]) -> dict[int, float]:
    """Return when entries got their successors, by id."""
    links = context.store.links.of(ids, (SUPERSEDES,)) if ids else []
    return {one.to_id: one.created_at for one in links if one.to_id in set(ids)}


def _since(entry: Entry) -> dict[str, str]:
    """Return what has become of an entry since."""
    if entry.superseded_by is not None:
        return {"since": f"superseded by {forms.show_id(entry.collection, entry.superseded_by)}"}
    return {"since": "forgotten"}


def _then(context: Context, entry: Entry, moment: float) -> Entry | None:
    """Return what stood at a moment where an entry stands now; None: nothing."""
    for _ in range(LONGEST_CHAIN):
        if entry.created_at <= moment:
            return entry
        links = context.store.links.of([entry.id], (SUPERSEDES,))
        before = [one.to_id for one in links if one.from_id == entry.id]
        found = context.store.entries.get(before)
        if not found:
            return None
        # Of several that it replaced, the one that stood then, else the newest.
        entry = max(found, key=lambda one: (one.created_at <= moment, one.created_at))
    return None
