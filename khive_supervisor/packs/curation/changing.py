"""Changes: pins, what a filter forgets, and the undoing of both and of others."""

from __future__ import annotations

from collections.abc import Iterable

from khive_supervisor.audit import actors
from khive_supervisor.errors import InvalidInput, NotFound
from khive_supervisor.packs.curation.listing import WHICH, listing_of
from khive_supervisor.store.curation import REMEMBER, EntryChange
from khive_supervisor.store.model import Entry
from khive_supervisor.verbs import forms
from khive_supervisor.verbs.context import Context
from khive_supervisor.verbs.registry import Answer, Arguments

#: Entries that one call forgets by a filter, and that its answer shows.
MOST, SHOWN = 100_000, 10
#: What tells which entries are meant: where to look alone would be all of them.
_CONDITIONS = tuple(name for name in WHICH if name not in ("in", "namespace", "scope"))


def pin(context: Context, args: Arguments) -> Answer:
    """Pin entries, or let go of pinned ones."""
    entries, notes = forms.those(context, args["ids"])
    wanted, ids = args.get("pinned", True), [entry.id for entry in entries]
    with context.store.changes.recorded("pin" if wanted else "unpin", ids):
        changed = set(context.store.lists.pin(ids, wanted))
    answer = {
        "pinned" if wanted else "unpinned": _ids(one for one in entries if one.id in changed),
        "unchanged": _ids(one for one in entries if one.id not in changed),
    }
    return forms.noted(answer, notes)


def _ids(entries: Iterable[Entry]) -> list[str]:
    return [forms.show_id(one.collection, one.id) for one in entries]


def forget_matching(context: Context, args: Arguments) -> Answer:
    """Take what a filter lets through out of every search, or tell what that would be."""
    if not any(name in args for name in _CONDITIONS):
        raise InvalidInput(
            "Nothing says which entries are meant.",
            hint=f"Give at least one of {', '.join(_CONDITIONS)}.",
        )
    ids = context.store.lists.ids(listing_of(context, args), MOST)
    first = [
        {"id": forms.show_id(one.collection, one.id), "line": forms.line(one)}
        for one in context.store.entries.get(ids[:SHOWN])
    ]
    if args.get("dry_run", True):
        return {"would_forget": len(ids), "entries": first}
    with context.store.changes.recorded("forget", ids):
        gone = context.store.entries.forget(ids)
    return {"forgotten": len(gone), "entries": first}


def changes(context: Context, args: Arguments) -> Answer:
    """Return what was done of late, the newest first: to an agent, what its own session did."""
    found = context.store.changes.recent(args.get("limit", 20), _whose(context))
    return {"changes": [_shown(context, one) for one in found]}


def undo(context: Context, args: Arguments) -> Answer:
    """Put the entries of the last change back as they were, or tell which change that is."""
    change = _last(context)
    if args.get("dry_run"):
        return {"would_undo": _shown(context, change)}
    return {"undone": _shown(context, context.store.changes.undo(change.id))}


def _whose(context: Context) -> str | None:
    """Return whose changes whoever asks may see and undo; None: everybody's."""
    if context.grant.operator:
        return None
    return actors.session(context.session.id, context.session.actor)


def _last(context: Context) -> EntryChange:
    own = actors.session(context.session.id, context.session.actor)
    held = (one for one in context.store.changes.recent(200, _whose(context)) if _held(one, own))
    change = next(held, None)
    if change is None:
        whose = "" if context.grant.operator else " of this session"
        raise NotFound(f"There is no change{whose} that could be undone.")
    return change


def _held(change: EntryChange, own: str) -> bool:
    """Return True for a change that an undo may mean.

    Sessions store things all the time: what another one has stored since is not what a person
    takes back who asks to undo the last change.
    """
    return change.undone_at is None and (change.what != REMEMBER or change.actor == own)


def _shown(context: Context, change: EntryChange) -> Answer:
    entries = context.store.entries.get(change.entries[:SHOWN])
    shown: dict[str, object] = {
        "change": change.id,
        "what": change.what,
        "at": forms.timestamp(change.at),
        "by": change.actor,
        "count": len(change.entries),
        "entries": _ids(entries),
    }
    if change.undone_at is not None:
        shown["undone_at"] = forms.timestamp(change.undone_at)
    return shown
