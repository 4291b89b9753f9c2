"""Removing for good: entries that are named or filtered, and secrets that are in the store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from khive_supervisor.access.grant import Audience
from khive_supervisor.errors import InvalidInput
from khive_supervisor.packs.curation.listing import WHICH, listing_of
from khive_supervisor.packs.memory import erasing
from khive_supervisor.redaction.gate import Mode, TextGate
from khive_supervisor.store.curation import ALL, STATES
from khive_supervisor.store.entries import FoundSecret, gated
from khive_supervisor.store.model import Entry, NewEntry, Provenance
from khive_supervisor.verbs import forms, ingest, schema
from khive_supervisor.verbs.context import Context
from khive_supervisor.verbs.registry import Answer, Arguments, Pack, Verb

#: Entries that one call removes by a filter, and that an answer shows.
MOST, SHOWN = 10_000, 20
#: What a filter has to say something of: which collection or projects alone would be all of them.
_CONDITIONS = tuple(name for name in WHICH if name not in ("in", "scope"))
#: Places that an answer of `secrets.scan` names.
NAMED = 200
_IN_A_TEAM = (
    "The other machines of the team follow; `khive-supervisor team purges` says which have "
    "confirmed that nothing is left."
)


def purge(context: Context, args: Arguments) -> Answer:
    """Remove entries for good, or say which ones would be."""
    entries, notes = _chosen(context, args)
    if args.get("dry_run"):
        return forms.noted({"would_purge": len(entries), "entries": _lines(entries)}, notes)
    if entries and context.whole_store.unheard() is not None:
        notes.append(_IN_A_TEAM)
    return forms.noted(_purged(context, entries), notes)


def _chosen(context: Context, args: Arguments) -> tuple[list[Entry], list[str]]:
    """Return the entries that are meant, and why others are not among them."""
    if ("ids" in args) == any(name in args for name in _CONDITIONS):
        raise InvalidInput(
            "Either ids are purged, or what a filter lets through.",
            hint="Name ids, or at least one of: " + ", ".join(_CONDITIONS) + ".",
        )
    if "ids" in args:
        return forms.those(context, args["ids"])
    # What is to be gone for good is gone from what was forgotten and replaced as well.
    listing = listing_of(context, {"state": ALL, **args})
    return context.store.entries.get(context.store.lists.ids(listing, MOST)), []


def _purged(context: Context, entries: Sequence[Entry]) -> Answer:
    store = context.store
    store.purges.check_room()
    pieces = erasing.pieces_of(context, entries)
    done = store.purges.purge([one.id for one in entries])
    words = erasing.own_words(context, entries)
    gone = [one for one in entries if one.id in done.ids]
    answer: dict[str, object] = {
        "purged": [forms.show_id(one.collection, one.id) for one in gone],
        "vectors": done.vectors,
        "learned": done.learned,
        "left": erasing.erase(context, pieces, words, gone),
    }
    if done.journal:
        answer["journal"] = done.journal
    if done.sources:
        answer["sources"] = list(done.sources)
    if done.versions:
        answer["earlier_versions"] = [
            forms.show_id(one.collection, one.id) for one in store.entries.get(done.versions)
        ]
    return answer


def _lines(entries: Sequence[Entry]) -> list[str]:
    return [
        f"{forms.show_id(one.collection, one.id)}: {forms.line(one)}" for one in entries[:SHOWN]
    ]


# --- secrets that are in already ------------------------------------------------------------------


def scan(context: Context, args: Arguments) -> Answer:
    """Name the secrets that the store holds: ids, rules and places, never a value."""
    found = list(context.store.purges.secrets())
    answer: dict[str, object] = {
        "found": len(found),
        "places": [_place(context, one) for one in found[:NAMED]],
    }
    if args.get("fix") and found:
        answer |= _fixed(context, found)
    return answer


def _place(context: Context, found: FoundSecret) -> Mapping[str, str]:
    return {"id": _named(context, found), "field": found.column, "place": found.place}


def _named(context: Context, found: FoundSecret) -> str:
    if found.table in ("entries", "entry_sources"):
        entry = next(iter(context.store.entries.get([found.row])), None)
        if entry is not None:
            return forms.show_id(entry.collection, entry.id)
    return f"t{found.row}" if found.table == "tasks" else f"{found.table} {found.row}"


def _fixed(context: Context, found: Sequence[FoundSecret]) -> Mapping[str, object]:
    """Mask what can be masked: an entry by another one in its place, all else where it is."""
    store = context.store
    store.purges.check_room()
    values = store.purges.values(found)
    ids = list(dict.fromkeys(one.row for one in found if one.table == "entries"))
    entries = store.entries.get(ids)
    masked = [pair for one in entries if one.live and (pair := _masked(context, one))]
    store.purges.purge(ids)
    changed = store.purges.mask(found)
    return {
        "masked": [f"{old} is {new} now" for old, new in masked],
        "purged": [forms.show_id(one.collection, one.id) for one in entries],
        "masked_elsewhere": changed,
        "left": erasing.erase(context, values, (), entries),
    }


def _masked(context: Context, old: Entry) -> tuple[str, str] | None:
    """Put an entry's masked text in its place; return both ids, or None if nothing is left."""
    new = NewEntry(
        old.collection, old.namespace, old.kind, old.title, old.content, old.tags, old.salience,
        old.decay, old.source, old.created_at, old.project, old.branch, old.commit,
        _provenance(context, old), old.valid_from, old.valid_until,
    )  # fmt: skip
    try:
        new = gated(TextGate(Mode.MASK), new)
    except InvalidInput:  # all of it was private
        return None
    (vector,) = ingest.embed(context, [new])
    model_id = context.embedder.model_id if vector and context.embedder else None
    added = context.store.entries.supersede(old.id, new, vector, model_id)
    context.store.references.add(added.id, context.store.references.of([old.id]).get(old.id, ()))
    context.store.purges.take_place(old.id, added.id)
    return forms.show_id(old.collection, old.id), forms.show_id(old.collection, added.id)


def _provenance(context: Context, entry: Entry) -> Provenance | None:
    number = entry.provenance
    return None if number is None else context.store.entries.provenances([number]).get(number)


_LEFT: Any = schema.array(schema.record(), "Where something is left of it, and why.")
_BECAUSE = "what it removes cannot be brought back"

PURGE = Verb(
    "memory.purge",
    "Remove entries for good, from every file of the store.",
    purge,
    {
        "ids": schema.array(
            schema.text(), "Ids from earlier answers, such as m12 or k7.", fewest=1, most=1000
        ),
        **WHICH,
        "state": schema.text(
            "live, forgotten, superseded, pinned (and live), or all (the default).", choices=STATES
        ),
        "dry_run": schema.flag("Say what would be purged, and change nothing."),
    },
    description="Content, words, vectors, what was learned of it. Backups are named, not touched.",
    destructive=True,
    audience=Audience.OPERATOR,
    because=_BECAUSE,
)

PACK = Pack(
    "secrets",
    "Secrets that were stored.",
    (
        Verb(
            "secrets.scan",
            "Name the secrets that the store holds already, or mask them.",
            scan,
            {"fix": schema.flag("Mask them, and remove what was there for good.")},
            description="Ids, places and rules; never a value.",
            destructive=True,
            idempotent=True,
            audience=Audience.OPERATOR,
            because=_BECAUSE,
            shared=True,
        ),
    ),
)
