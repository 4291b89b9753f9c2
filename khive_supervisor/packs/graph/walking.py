"""Walks along links: what is near an entry, and how two are connected.

The walls hold at each hop: of a namespace that does not exist for whoever asks, and of a project
that is not looked in, no entry is reached, and no way leads through one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from typing import NotRequired, TypedDict, cast

from khive_supervisor.config.load import namespace_allowed
from khive_supervisor.graph import ontology, walk
from khive_supervisor.graph.ontology import READINGS
from khive_supervisor.graph.walk import Step
from khive_supervisor.store.links import Along, EntryLink
from khive_supervisor.store.model import Entry, EntryFilter
from khive_supervisor.truth.about import About
from khive_supervisor.verbs import belonging, forms, schema
from khive_supervisor.verbs.context import Context
from khive_supervisor.verbs.registry import Answer, Arguments

#: Links that are shown at most: unless the call says otherwise, and whatever it says.
SHOWN, MOST_SHOWN = 50, 500
#: Links from an entry to the furthest: of neighbours, and of a path; usual, and at most.
NEAR, FAR = (1, 6), (6, 12)
#: Links that the search for a path looks at, and seconds that any walk may take.
MOST_LINKS, SECONDS = 50_000, 2.0

ID = schema.text("An id from an earlier answer, such as m12, k7 or e3.")
_READINGS = schema.array(
    schema.text(longest=40),
    f"Only along these: {', '.join(READINGS)}. Each is followed as it is read, so depends_on leads "
    "to what is needed, and needed_by to what needs it. All, either way, when left out.",
    most=len(READINGS),
)
WHERE = {
    "kinds": _READINGS,
    "as_of": schema.text("As it was known and held then: ISO 8601, or an age such as 7d."),
    "namespace": {**forms.NAMESPACE, "description": "Only within it; all that are allowed here."},
    "scope": belonging.SCOPE,
}


class ShownLink(TypedDict):
    """A neighbour, and the link that leads to it from `of`."""

    id: str
    link: str
    of: str
    depth: int
    line: str
    created_at: str
    kind: NotRequired[str]
    project: NotRequired[str]
    valid_from: NotRequired[str]
    valid_until: NotRequired[str]
    ended_at: NotRequired[str]
    by: NotRequired[str]
    superseded_by: NotRequired[str]


def neighbors(context: Context, args: Arguments) -> Answer:
    """Return what an entry is linked with, the nearest first."""
    (start,) = forms.allowed(context, forms.existing(context.store, [args["of"]]))
    along = _along(context, args)

    def around(ids: Sequence[int], besides: Collection[int], limit: int) -> list[EntryLink]:
        return context.store.links.along(ids, along, limit, besides)

    found = walk.neighbours(
        start.id,
        around,
        depth=args.get("depth", NEAR[0]),
        most=args.get("limit", SHOWN),
        in_time=_in_time(time.monotonic),
    )
    return {
        "of": forms.show_id(start.collection, start.id),
        "line": forms.line(start),
        "neighbors": _shown(context, start, found.steps, args),
        **_about(context, start),
        **({"more": found.ended} if found.ended else {}),
    }


def _about(context: Context, start: Entry) -> Answer:
    """Return which code an entry is about, if any."""
    places = context.store.references.of([start.id]).get(start.id, ())
    told = [str(About(one.path, one.name, one.value)) for one in places]
    return {"about": told} if told else {}


def path(context: Context, args: Arguments) -> Answer:
    """Return a shortest way from one entry to another one."""
    start, goal = forms.allowed(context, forms.existing(context.store, [args["from"], args["to"]]))
    along = _along(context, args)
    depth = args.get("depth", FAR[0])
    found = walk.shortest(
        start.id,
        goal.id,
        lambda ids, limit: context.store.links.along(ids, along, limit),
        lambda ids, limit: context.store.links.along(ids, along.turned(), limit),
        depth=depth,
        links=MOST_LINKS,
        in_time=_in_time(time.monotonic),
    )
    told: Answer = {"from": args["from"].strip(), "to": args["to"].strip()}
    if found is None:
        return {**told, "found": False, "why": f"no way of at most {depth} links leads there"}
    if found.ended:
        return {**told, "found": False, "why": found.ended}
    steps = _shown(context, start, found.steps, args)
    return {**told, "found": True, "length": len(steps), "line": forms.line(start), "path": steps}


def _in_time(clock: Callable[[], float]) -> Callable[[], bool]:
    end = clock() + SECONDS
    return lambda: clock() < end


def _along(context: Context, args: Arguments) -> Along:
    """Return which links a call goes along; held to what its session may see."""
    leaving, entering = ontology.sides(args.get("kinds", ()))
    where = EntryFilter(
        namespaces=_namespaces(context, args), projects=belonging.to_search(context, args)
    )
    if args.get("ended"):
        return Along(leaving, entering, None, where=where)
    past = "as_of" in args
    at = forms.moment(args["as_of"], context.now()) if past else context.now()
    return Along(leaving, entering, at, past, where)


def _namespaces(context: Context, args: Arguments) -> tuple[str, ...] | None:
    """Return the namespaces that a walk may enter; None: all."""
    if "namespace" in args:
        return (context.namespace(args["namespace"]),)
    if context.grant.namespaces is not None:
        among: Collection[str] = context.grant.namespaces
    elif "*" in context.config.session.allowed_namespaces:
        return None
    else:
        among = context.store.entries.namespaces()
    return tuple(one for one in among if namespace_allowed(context.config, one))


def _shown(
    context: Context, start: Entry, steps: Sequence[Step[EntryLink]], args: Arguments
) -> list[ShownLink]:
    entries = {one.id: one for one in context.store.entries.get([step.to for step in steps])}
    names = belonging.labels(context, entries.values(), args)
    known = {start.id: start, **entries}
    # One that was purged meanwhile is left out, and with it what was reached through it.
    whole = [step for step in steps if {step.before, step.to} <= known.keys()]
    return [_shown_step(step, known, names.get(step.to)) for step in whole]


def _shown_step(step: Step[EntryLink], known: dict[int, Entry], project: str | None) -> ShownLink:
    link, entry, before = step.link, known[step.to], known[step.before]
    shown: dict[str, object] = {
        "id": forms.show_id(entry.collection, entry.id),
        "link": ontology.reading(link.kind, forwards=link.from_id == step.before),
        "of": forms.show_id(before.collection, before.id),
        "depth": step.depth,
        "line": forms.line(entry),
        "created_at": forms.timestamp(link.created_at),
    }
    more = {
        "project": project,
        "by": link.by,
        "superseded_by": entry.superseded_by
        and forms.show_id(entry.collection, entry.superseded_by),
    }
    times = {
        "valid_from": link.valid_from,
        "valid_until": link.valid_until,
        "ended_at": link.ended_at,
    }
    shown |= {name: said for name, said in more.items() if said}
    shown |= {name: forms.timestamp(at) for name, at in times.items() if at is not None}
    return cast("ShownLink", shown)
