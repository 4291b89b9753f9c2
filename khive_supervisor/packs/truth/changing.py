"""What a memory does to earlier ones: takes their place, is the same, or holds beside them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TypedDict

from khive_supervisor.errors import InvalidInput
from khive_supervisor.packs.truth import agreement, code, succession
from khive_supervisor.store.curation import REMEMBER
from khive_supervisor.store.links import CONTRADICTS, SAME_AS, CodeReference
from khive_supervisor.store.model import Added, Entry, NewEntry
from khive_supervisor.text.plain_json import JsonObject
from khive_supervisor.truth.about import About
from khive_supervisor.truth.compare import OTHERWISE
from khive_supervisor.verbs import forms, schema, usage
from khive_supervisor.verbs.context import Context
from khive_supervisor.verbs.registry import Answer, Arguments

_TIME = "ISO 8601 (in UTC unless it says otherwise)"
_SOME = schema.text()
#: Arguments of remember.
ARGUMENTS: JsonObject = {
    "supersedes": schema.array(_SOME, "Memories that this one replaces.", most=20),
    "same_as": schema.text("A memory that says the same: it stays, and this is merged into it."),
    "both_hold": schema.array(_SOME, "Memories that hold beside this one.", most=20),
    "about": schema.array(
        _SOME,
        "Code that it is about: path, path::name or path::name=value; recall says whether it still "
        "holds.",
        most=20,
    ),
    "valid_from": schema.text(f"It holds from then: {_TIME}."),
    "valid_until": schema.text(
        f"It holds until then, and is not found after: {_TIME}; empty: no end."
    ),
}
#: What an agent can do about related memories.
NEXT = (
    "If it replaces one: remember it again with supersedes = [id]; if it says the same: "
    "same_as = id; if both hold: both_hold = [id]."
)


class Validity(TypedDict):
    """When an entry holds, in unix seconds."""

    valid_from: float | None
    valid_until: float | None


def validity(context: Context, args: Arguments) -> Validity:
    """Return when an entry holds, as a call says it.

    Raises:
        InvalidInput: not a time, or an end before the beginning.
    """
    first, last = (
        forms.moment(args[name], context.now()) if args.get(name) else None
        for name in ("valid_from", "valid_until")
    )
    _check_order(first, last, "Exchange them.")
    return {"valid_from": first, "valid_until": last}


def check_validity(entry: NewEntry) -> None:
    """Raise InvalidInput if an entry ends before it begins, by what it keeps of another one."""
    _check_order(
        entry.valid_from, entry.valid_until, "What it replaces has the other one: give both."
    )


def _check_order(first: float | None, last: float | None, hint: str) -> None:
    if first is not None and last is not None and first >= last:
        raise InvalidInput("valid_until is not after valid_from.", hint=hint)


def asked(context: Context, args: Arguments) -> Asked:
    """Return what a call says of earlier memories, and of code.

    Raises:
        InvalidInput: one is no live memory, or the call both replaces and is the same; or a place
            in code is none.
        SecretFound: a value that is said of code is one.
        NotFound: there is no such entry.
    """
    if "supersedes" in args and "same_as" in args:
        raise InvalidInput("A memory replaces others, or is the same as one: not both.")
    _those(context, [*args.get("both_hold", ()), *_one(args)])
    about = [context.gate.said(text, "about") for text in args.get("about", ())]
    return Asked(_those(context, args.get("supersedes", ())), code.references(context, about))


def _one(args: Arguments) -> list[str]:
    return [args["same_as"]] if "same_as" in args else []


def _those(context: Context, ids: list[str]) -> list[Entry]:
    found = forms.allowed(context, forms.existing(context.store, list(ids)))
    for text, entry in zip(ids, found, strict=True):
        if entry.collection != "memory" or not entry.live:
            raise InvalidInput(
                f"{text} is no live memory.",
                hint="memory_get shows what became of it; name its successor.",
            )
    return found


@dataclass(frozen=True, slots=True)
class Asked:
    """What a call says of earlier memories and of code, looked at before anything is stored."""

    replaced: Sequence[Entry]
    about: Sequence[CodeReference]

    @property
    def ids(self) -> list[int]:
        """Return the ids of the memories that are replaced."""
        return [one.id for one in self.replaced]


def settled(context: Context, added: Added, asked: Asked, args: Arguments) -> Answer:
    """Do what a call says of earlier memories, and return what there is to say of them."""
    answer = about(context, added, asked.replaced, asked.about, args)
    gone = [one.id for one in asked.replaced if one.id != added.id]
    if gone:
        answer["supersedes"] = [forms.show_id("memory", one) for one in gone]
    for one in gone:
        usage.corrected(context, one, added.id)
    if "same_as" in args:
        answer |= _merged(context, added, forms.entry_id(args["same_as"]))
        return answer
    beside = [forms.entry_id(text) for text in args.get("both_hold", ())]
    for one in beside:
        _hold_both(context, added.id, one)
    if added.created and not context.in_batch:
        answer |= related(context, added.id, {*beside, *gone})
    return answer


def about(
    context: Context,
    added: Added,
    replaced: Sequence[Entry],
    said: Sequence[CodeReference],
    args: Arguments,
) -> dict[str, object]:
    """Keep which code a memory is about: what its call says, else what it was of those it replaces.

    Return what there is to say of that.
    """
    if said:
        context.store.references.add(added.id, said)
    elif "about" not in args:
        others = [one for one in replaced if one.id != added.id]
        succession.take_references(context, others, added.id, args["content"])
    return {"about": [str(About(one.path, one.name, one.value)) for one in said]} if said else {}


def _merged(context: Context, added: Added, kept: int) -> Answer:
    if added.id == kept:
        return {}
    store = context.store
    (entry,) = store.entries.get([added.id])
    with store.changes.recorded("merge", [added.id, kept], onto=REMEMBER if added.created else ""):
        store.links.add(added.id, kept, SAME_AS, context.session.actor)
        store.entries.replace([added.id], kept)
        store.entries.annotate(kept, entry.tags)
    return {
        "id": forms.show_id("memory", kept),
        "status": "merged",
        "merged": forms.show_id("memory", added.id),
    }


def _hold_both(context: Context, new: int, old: int) -> None:
    """Keep that two memories were looked at, and that neither is outdated by the other."""
    newer, older = max(new, old), min(new, old)
    if newer != older:
        with context.store.transaction():
            context.store.links.add(newer, older, CONTRADICTS, context.session.actor)
            context.store.links.end(newer, older, CONTRADICTS)


def related(context: Context, new: int, known: Collection[int] = ()) -> Answer:
    """Return the earlier entries that a new one may have to do with, other than known ones.

    Of each document it is the most telling one. All that say otherwise are linked. It searches, so
    it is not for inside a transaction.
    """
    (entry,) = context.store.entries.get([new])
    where = forms.entry_filter(context, {"namespace": entry.namespace}, "memory")
    found = [
        one for one in agreement.neighbours(context, entry, where) if one.entry.id not in known
    ]
    otherwise = [one.entry.id for one in found if one.finding.kind == OTHERWISE]
    if otherwise:
        with context.store.transaction():
            for older in otherwise:
                context.store.links.add(new, older, CONTRADICTS, agreement.BY_RULE)
    told = [
        {
            "id": forms.show_id("memory", one.entry.id),
            "line": forms.line(one.entry),
            "why": one.finding.why,
        }
        for one in agreement.first_of_each(found)
    ]
    return {"related": told, "next": NEXT} if told else {}
