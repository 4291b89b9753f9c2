"""What a search without a query answers: the entries that its filters let through."""

from __future__ import annotations

from khive_supervisor.store.curation import Listing
from khive_supervisor.store.model import EntryFilter
from khive_supervisor.verbs import answers, belonging
from khive_supervisor.verbs.answers import Found
from khive_supervisor.verbs.context import Context
from khive_supervisor.verbs.registry import Arguments

_NOTE = "There is no query: these are the pinned entries and the newest ones; memory_list has all."


def asks_for_nothing(args: Arguments) -> bool:
    """Return True if a query says nothing."""
    return not args["query"].strip()


def newest(context: Context, args: Arguments, where: EntryFilter, kind: str) -> Found:
    """Return the pinned and the newest entries that pass a filter, in the form of results."""
    limit = args.get("limit", answers.DEFAULT_LIMIT)
    entries = [one.entry for one in context.store.lists.page(Listing(where), limit)]
    named = belonging.labels(context, entries, args)
    characters = args.get("max_characters", answers.DEFAULT_CHARACTERS)
    namespace = next(iter(where.namespaces or ()), "")
    shown = [answers.show_entry(one, characters, 0.0, named.get(one.id)) for one in entries]
    profile = context.profiles.serving(context.session.actor, namespace, kind)
    return {
        "results": shown,
        "served_by": {"profile": profile, "serve": ""},
        "notes": [_NOTE],
    }
