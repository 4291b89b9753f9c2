"""Links: made and ended, between entries, and from entries to code."""

from __future__ import annotations

from khive_supervisor.errors import InvalidInput, NotFound
from khive_supervisor.graph import ontology
from khive_supervisor.graph.ontology import ABOUT, KINDS, LinkKind
from khive_supervisor.packs.truth import changing, code
from khive_supervisor.store.model import Entry
from khive_supervisor.truth.about import About
from khive_supervisor.truth.about import parse as parse_about
from khive_supervisor.verbs import forms, schema
from khive_supervisor.verbs.context import Context
from khive_supervisor.verbs.registry import Answer, Arguments

_END = "an id from an earlier answer, such as m12, k7 or e3"
#: What is linked, and how.
ENDS = {
    "from": schema.text(f"The entry that the link says something of: {_END}."),
    "kind": schema.text(f"How: {', '.join(KINDS)}.", longest=40),
    "to": schema.text(f"What it leads to: {_END}; of about, also code: path or path::name."),
}
TIMES = {name: changing.ARGUMENTS[name] for name in ("valid_from", "valid_until")}


def link(context: Context, args: Arguments) -> Answer:
    """Link an entry with another one, or with the code that it is about."""
    kind, (start,) = ontology.kind_of(args["kind"]), _entries(context, args["from"])
    if not _is_id(args["to"]):
        return _about_code(context, kind, start, args["to"])
    start, end = _entries(context, args["from"], args["to"])
    valid = changing.validity(context, args)
    if kind.by_superseding:
        return _answer(start, kind, _name(end), made=_supersede(context, start, end))
    actor = context.session.actor
    made = context.store.links.add(start.id, end.id, kind.name, actor, **valid)
    return _answer(start, kind, _name(end), made=made)


def _entries(context: Context, *ids: str) -> list[Entry]:
    return forms.allowed(context, forms.existing(context.store, [*ids]))


def _is_id(text: str) -> bool:
    try:
        return forms.entry_id(text) > 0
    except InvalidInput:
        return False


def _name(entry: Entry) -> str:
    return forms.show_id(entry.collection, entry.id)


def _answer(start: Entry, kind: LinkKind, end: str, *, made: bool) -> Answer:
    return {
        "from": _name(start),
        "kind": kind.name,
        "to": end,
        "status": "linked" if made else "known",
    }


def _supersede(context: Context, new: Entry, old: Entry) -> bool:
    """Let an entry take the place of another one, so that the old one is not found any more."""
    ontology.check(ontology.ONTOLOGY[ontology.SUPERSEDES], new.collection, old.collection)
    if old.superseded_by == new.id:
        return False
    for one in (new, old):
        if not one.live or new.id == old.id:
            raise InvalidInput(
                f"{_name(new)} cannot take the place of {_name(old)}: {_name(one)} is not live.",
                hint="memory.get shows what became of it; name its successor.",
            )
    with context.store.changes.recorded("supersede", [old.id, new.id]):
        return bool(context.store.entries.replace([old.id], new.id))


def _about_code(context: Context, kind: LinkKind, start: Entry, place: str) -> Answer:
    if kind.name != ABOUT:
        raise InvalidInput(
            f"{place[:80]!r} is no id, and {kind.name} leads to an entry.",
            hint=f"Only {ABOUT} leads to code; ids look like m12, k7 or e3.",
        )
    (reference,) = code.references(context, [context.gate.said(place, "to")])
    context.store.references.add(start.id, [reference])
    shown = str(About(reference.path, reference.name, reference.value))
    return _answer(start, kind, shown, made=True)


def unlink(context: Context, args: Arguments) -> Answer:
    """End a link; what it said is kept as something that was so once."""
    kind, (start,) = ontology.kind_of(args["kind"]), _entries(context, args["from"])
    if kind.by_superseding:
        raise InvalidInput(
            "What was superseded is not brought back by unlinking.",
            hint="memory.undo takes the last change back; memory.changes lists them.",
        )
    if not _is_id(args["to"]):
        return _not_about_code(context, kind, start, args["to"])
    start, end = _entries(context, args["from"], args["to"])
    if not context.store.links.end(start.id, end.id, kind.name):
        raise _no_link(start, kind, _name(end))
    return {**_answer(start, kind, _name(end), made=True), "status": "unlinked"}


def _not_about_code(context: Context, kind: LinkKind, start: Entry, place: str) -> Answer:
    about = parse_about(place.strip())
    if kind.name != ABOUT or about is None:
        raise _no_link(start, kind, place[:80])
    if not context.store.references.remove(start.id, about.path, about.name):
        raise _no_link(start, kind, place[:80])
    return {**_answer(start, kind, str(about), made=True), "status": "unlinked"}


def _no_link(start: Entry, kind: LinkKind, end: str) -> NotFound:
    return NotFound(
        f"No link {kind.name} stands from {_name(start)} to {end}.",
        hint=f"graph.neighbors with of = {_name(start)} lists those that do.",
    )
