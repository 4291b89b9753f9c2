"""Lists: what is in the memory, page by page, and counted by its properties."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NotRequired, cast

from khive_supervisor.errors import InvalidInput
from khive_supervisor.packs.memory import waiting
from khive_supervisor.packs.memory.projects import PROJECT, entry_filter
from khive_supervisor.store import curation
from khive_supervisor.store.curation import ListedEntry, Listing, Position
from khive_supervisor.store.model import EntryFilter
from khive_supervisor.text.plain_json import JsonObject
from khive_supervisor.verbs import belonging, forms, schema
from khive_supervisor.verbs.context import Context
from khive_supervisor.verbs.registry import Answer, Arguments

COLLECTIONS = {"memory": "memory", "knowledge": "knowledge", "all": None}
#: Entries of a page, and characters of each content, unless the call says otherwise.
DEFAULT_LIMIT, DEFAULT_CHARACTERS = 20, 300
#: Values of a group that `stats` names; the others are counted together.
NAMED = 20
#: What is asked for of entries and not known of those that wait for a team's server.
_NOT_OF_WAITING = {"cursor", "tags", "kind", "since", "until", "pinned", *forms.STORED_BY}
_CURSOR = re.compile(r"([01]):(-?[0-9]{1,12}(?:\.[0-9]{1,12})?):([1-9][0-9]{0,17})")

#: Which entries: the arguments of each verb that takes a filter.
WHICH: JsonObject = {
    "in": schema.text("What to look among (memory).", choices=COLLECTIONS),
    **forms.FILTERS,
    "project": PROJECT,
    **forms.STORED_BY,
}
STATE = schema.text(
    "live (the default), forgotten, superseded, pinned (and live), or all.", choices=curation.STATES
)
PAGE: JsonObject = {
    **WHICH,
    "state": STATE,
    "contains": schema.text("Only those that have each of these words, in any case.", longest=200),
    "order": schema.text(
        "created (the default), updated, or used: when feedback last told of it. "
        "The newest is first.",
        choices=curation.ORDERS,
    ),
    "limit": schema.whole(f"How many at most ({DEFAULT_LIMIT}).", least=1, most=500),
    "cursor": schema.text("Go on where the last page ended: its `next`.", longest=100),
    "max_characters": schema.whole(
        f"Characters of each content ({DEFAULT_CHARACTERS}); memory_get has all.",
        least=20,
        most=100_000,
    ),
}


class ShownListed(forms.ShownEntry):
    """An entry of a list."""

    updated_at: str
    pinned: NotRequired[bool]
    used_at: NotRequired[str]


def listing_of(context: Context, args: Mapping[str, Any]) -> Listing:
    """Return the list that a call's arguments ask for; never of more than one namespace."""
    where = entry_filter(context, args, COLLECTIONS[args.get("in", "memory")])
    return Listing(
        where,
        args.get("state", curation.LIVE),
        args.get("order", curation.CREATED),
        tuple(args.get("contains", "").split()),
    )


def page(context: Context, args: Arguments) -> Answer:
    """Return a page of the entries that a filter lets through; pinned ones are first."""
    listing = listing_of(context, args)
    limit = args.get("limit", DEFAULT_LIMIT)
    after = _position(args["cursor"]) if "cursor" in args else None
    found = context.store.lists.page(listing, limit + 1, after)
    characters = args.get("max_characters", DEFAULT_CHARACTERS)
    named = belonging.labels(context, (one.entry for one in found[:limit]), args)
    answer: dict[str, object] = {
        "entries": [_shown(one, characters, named.get(one.entry.id)) for one in found[:limit]],
        "total": context.store.lists.count(listing),
    }
    if not answer["total"]:
        answer |= _elsewhere(context, listing)
    if len(found) > limit:
        answer["next"] = _cursor(found[limit - 1].position)
    if not args.keys() & _NOT_OF_WAITING and listing.state in (curation.LIVE, curation.ALL):
        waits = waiting.listed(context, listing.where, listing.words, limit, characters)
        answer |= {"waiting": waits} if waits else {}
    return answer


def _elsewhere(context: Context, listing: Listing) -> Answer:
    """Return a note of how many entries an empty list would have of all projects, if any."""
    if listing.where.projects is None:
        return {}
    anywhere = replace(listing, where=replace(listing.where, projects=None))
    count = context.store.lists.count(anywhere)
    said = f'Nothing here; {count} of other projects: scope = "all" lists them.'
    return {"notes": [said]} if count else {}


def _shown(listed: ListedEntry, characters: int, project: str | None) -> ShownListed:
    entry = listed.entry
    shown = cast("ShownListed", forms.show(entry, characters, project))
    shown["updated_at"] = forms.timestamp(entry.updated_at)
    if listed.pinned_at is not None:
        shown["pinned"] = True
    if listed.used_at is not None:
        shown["used_at"] = forms.timestamp(listed.used_at)
    return shown


def _cursor(position: Position) -> str:
    return f"{position.pinned:d}:{position.moment!r}:{position.id}"


def _position(cursor: str) -> Position:
    found = _CURSOR.fullmatch(cursor.strip())
    if found is None:
        raise InvalidInput(
            f"{cursor!r} is not where a page ended.", hint="Use `next` of the page before."
        )
    return Position(found[1] == "1", float(found[2]), int(found[3]))


def tags(context: Context, args: Arguments) -> Answer:
    """Return the tags of live entries with their counts, the most frequent first."""
    found = context.store.lists.tags(listing_of(context, args).where)
    limit = args.get("limit", 500)
    answer: dict[str, object] = {"tags": dict(list(found.items())[:limit]), "total": len(found)}
    if not found and (where := listing_of(context, args).where).projects is not None:
        count = len(context.store.lists.tags(replace(where, projects=None)))
        said = f'Nothing here; {count} of other projects: scope = "all" lists them.'
        answer |= {"notes": [said]} if count else {}
    return answer


def stats(context: Context, args: Arguments) -> Answer:
    """Count what is stored by its properties, and tell how large the files are.

    An operator's counts are of all namespaces unless one is named.
    """
    everywhere = context.grant.operator and "namespace" not in args
    where = EntryFilter() if everywhere else forms.entry_filter(context, args, None)
    lists, now = context.store.lists, context.now()
    answer: dict[str, object] = {
        "entries": {state: lists.count(Listing(where, state)) for state in curation.STATES[:-1]},
        **{f"by_{group}": _most(context, group, where, now) for group in curation.GROUPS},
    }
    return answer if context.grant.confined else {**answer, **_sizes(context)}


def _most(context: Context, group: str, where: EntryFilter, now: float) -> dict[str, int]:
    """Return the most frequent values of a group; what remains stands together at the end."""
    counts = [*context.store.lists.counts(group, Listing(where), now).items()]
    shown = {name or "(none)": count for name, count in counts[:NAMED]}
    rest = sum(count for _, count in counts[NAMED:])
    return {**shown, "(others)": rest} if rest else shown


def _sizes(context: Context) -> Answer:
    """Return the sizes of the store's files, and what waits to be embedded."""
    path, embedder = context.store.path, context.embedder
    sizes: dict[str, object] = {
        "bytes": {
            "store": _size(path),
            "log": _size(f"{path}-wal"),
            "index": _size_of_folder(os.path.join(os.path.dirname(path), "index")),
        }
    }
    if embedder is not None:
        sizes["vectors_missing"] = context.store.vectors.stats(embedder.model_id).missing
    return sizes


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0


def _size_of_folder(path: str) -> int:
    try:
        return sum(_size(os.path.join(path, name)) for name in os.listdir(path))
    except OSError:
        return 0
