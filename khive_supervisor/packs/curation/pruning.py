"""Pruning: memories of whose salience almost nothing is left are taken out of every search."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from khive_supervisor.access.grant import Audience
from khive_supervisor.packs.curation.listing import WHICH, listing_of
from khive_supervisor.store.curation import FadedEntry, Fading
from khive_supervisor.verbs import forms, schema
from khive_supervisor.verbs.context import Context
from khive_supervisor.verbs.registry import Answer, Arguments, Verb

#: What is left of the salience of a memory that has faded, and how old it is at least.
THRESHOLD, OLDER_THAN = 0.02, "90d"
#: Memories that one call prunes at most, and that its answer shows.
MOST, SHOWN = 10_000, 10


def prune(context: Context, args: Arguments) -> Answer:
    """Forget memories that have faded, or tell which these are."""
    found = _faded(context, args)
    kept = Counter(one.kept for one in found if one.kept)
    gone = [one for one in found if not one.kept][: args.get("limit", MOST)]
    answer = {"entries": _shown(context, gone[:SHOWN]), "kept": dict(kept)}
    if args.get("dry_run", True):
        return {"would_prune": len(gone), **answer}
    ids = [one.id for one in gone]
    with context.store.changes.recorded("prune", ids):
        pruned = context.store.entries.forget(ids, "faded")
    return {"pruned": len(pruned), **answer}


def _faded(context: Context, args: Arguments) -> list[FadedEntry]:
    now = context.now()
    seconds = now - forms.moment(args.get("older_than", OLDER_THAN), now)
    listing = listing_of(context, {**args, "in": "memory"})
    fading = Fading(now, float(args.get("threshold", THRESHOLD)), seconds)
    return context.store.lists.faded(listing, fading, MOST)


def _shown(context: Context, gone: Sequence[FadedEntry]) -> list[dict[str, object]]:
    left = {one.id: one.left for one in gone}
    return [
        {
            "id": forms.show_id(one.collection, one.id),
            "left": round(left[one.id], 4),
            "created_at": forms.timestamp(one.created_at),
            "line": forms.line(one),
        }
        for one in context.store.entries.get([*left])
    ]


PRUNE = Verb(
    "memory.prune",
    "Take memories out of every search of whose salience almost nothing is left.",
    prune,
    {
        **{name: rule for name, rule in WHICH.items() if name != "in"},
        "threshold": schema.number(
            f"What is left of the salience, 0 to 1: less than this ({THRESHOLD}).", least=0, most=1
        ),
        "older_than": schema.text(
            f"Only memories made before then: an age or ISO 8601 ({OLDER_THAN})."
        ),
        "limit": schema.whole(f"How many at most ({MOST}).", least=1, most=MOST),
        "dry_run": schema.flag("Only tell what would be pruned (true)."),
    },
    description="Salience fades by each memory's decay. Never pruned: what is pinned, what "
    "something that lives depends on, and what feedback told of since older_than. memory.undo "
    "takes it back.",
    destructive=True,
    audience=Audience.AGENT,
)
