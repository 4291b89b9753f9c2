"""What was live and held at an earlier moment: predecessors in the place of what came later."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from khive_supervisor.packs.truth import agreement
from khive_supervisor.search.results import Hit
from khive_supervisor.store.links import SUPERSEDES
from khive_supervisor.store.model import Entry
from khive_supervisor.verbs import answers, forms
from khive_supervisor.verbs.context import Context

#: Results that are looked at for one that is shown, and predecessors that are followed.
MORE, LONGEST_CHAIN = 3, 20


def arranged_at(moment: float, limit: int) -> answers.Arrange:
    """Return what puts results in order as they were at a moment, in unix seconds."""

    def arrange(context: Context, hits: Sequence[Hit]) -> answers.Arranged:
        then: dict[int, Hit] = {}
        for hit in hits:
            entry = _then(context, hit.entry, moment)
            if entry is not None and entry.holds(moment):
                then.setdefault(entry.id, replace(hit, entry=entry))
        shown = [*then.values()][:limit]
        ordered, marks = agreement.arranged(context, shown)
        later = {one.entry.id: _since(one.entry) for one in shown if not one.entry.live}
        return ordered, {one: {**marks.get(one, {}), **later.get(one, {})} for one in then}

    return arrange


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
