"""What could be tidied up: said twice, said otherwise since, over, or faded and of no use."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from khive_supervisor.access.grant import Audience
from khive_supervisor.errors import NotFound
from khive_supervisor.packs.truth import agreement
from khive_supervisor.store.model import Entry
from khive_supervisor.truth.compare import OTHERWISE, SAME
from khive_supervisor.verbs import forms, schema
from khive_supervisor.verbs.context import Context
from khive_supervisor.verbs.registry import Answer, Arguments, Verb

#: Memories that one call looks at, the newest, and proposals that it shows.
MOST, SHOWN = 2000, 100
#: An entry has faded when what is left of its salience is below this, after so many days.
FADED, FADING_DAYS = 0.02, 90
DAY = 86_400.0
KINDS = ("same", "otherwise", "expired", "faded")


@dataclass(frozen=True, slots=True)
class Proposal:
    """An entry that could go: why, and for which other one (None: for none)."""

    kind: str
    entry: Entry
    kept: Entry | None
    why: str


def proposals(context: Context, entries: Sequence[Entry]) -> Iterator[Proposal]:
    """Return what could be tidied up among live memories; each entry goes once at most."""
    now = context.now()
    gone: set[int] = set()
    for one in entries:
        if one.valid_until is not None and one.valid_until <= now:
            gone.add(one.id)
            yield Proposal("expired", one, None, f"held until {forms.timestamp(one.valid_until)}")
    for newer, older, found in agreement.pairs(context, entries):
        if gone & {newer.id, older.id} or found.kind not in (SAME, OTHERWISE):
            continue
        gone.add(older.id)
        yield Proposal(found.kind, older, newer, found.why)
    faded = [one for one in entries if one.id not in gone and _left(one, now) < FADED]
    used = _used(context, faded)
    for one in faded:
        if one.id not in used and now - one.created_at > FADING_DAYS * DAY:
            yield Proposal("faded", one, None, "it was never of use, and has faded")


def _left(entry: Entry, now: float) -> float:
    days = max(0.0, now - entry.created_at) / DAY
    return entry.salience * math.exp(-entry.decay * days)


def _used(context: Context, entries: Sequence[Entry]) -> set[int]:
    ids = [one.id for one in entries]
    profiles = context.profiles.snapshot().profiles.values()
    return {
        target
        for profile in profiles
        for target in context.whole_store.profiles.targets_of(profile.id, ids)
    }


def tidy(context: Context, args: Arguments) -> Answer:
    """Propose merges and retirements, or do what is proposed."""
    where = forms.entry_filter(context, args, "memory")
    wanted = set(args.get("only", KINDS))
    named = {forms.entry_id(one) for one in args["ids"]} if "ids" in args else None
    found = [
        one
        for one in proposals(context, context.store.entries.recent(where, MOST))
        if one.kind in wanted and (named is None or one.entry.id in named)
    ]
    shown = [_shown(one) for one in found[:SHOWN]]
    if not args.get("apply"):
        return {"proposed": len(found), "proposals": shown, "applied": 0}
    done = _apply(context, found)
    return {"proposed": len(found), "proposals": shown, "applied": done}


def _apply(context: Context, found: Sequence[Proposal]) -> int:
    """Do what is proposed as one change; what another call has done meanwhile is passed over."""
    store = context.store
    touched = {one.entry.id for one in found} | {one.kept.id for one in found if one.kept}
    done = 0
    with store.changes.recorded("tidy", sorted(touched)):
        for one in found:
            if one.kept is None:
                done += len(store.entries.forget([one.entry.id]))
                continue
            try:
                done += len(store.entries.replace([one.entry.id], one.kept.id))
            except NotFound:
                continue
            store.entries.annotate(one.kept.id, one.entry.tags)
    return done


def _shown(one: Proposal) -> dict[str, str]:
    shown = {
        "id": forms.show_id("memory", one.entry.id),
        "line": forms.line(one.entry),
        "kind": one.kind,
        "why": one.why,
    }
    return {**shown, "kept": forms.show_id("memory", one.kept.id)} if one.kept else shown


TIDY = Verb(
    "memory.tidy",
    "Propose what could be merged or taken out, or do it.",
    tidy,
    {
        "apply": schema.flag("Do what is proposed; without it, nothing changes."),
        "only": schema.array(
            schema.text(choices=KINDS), "Which proposals: all of them when left out.", most=4
        ),
        "ids": {**forms.IDS, "description": "Only the proposals that these entries go."},
        "namespace": forms.NAMESPACE,
    },
    description="Said twice, said otherwise since, no longer valid, or faded and never of use. "
    f"Looks at the newest {MOST} memories. One change, which undo takes back.",
    destructive=True,
    idempotent=True,
    audience=Audience.AGENT,
)
