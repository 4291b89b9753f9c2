"""The projects pack: what projects there are, and what the user puts right about them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, NotRequired, TypedDict

from khive_supervisor.access.grant import Audience
from khive_supervisor.errors import InvalidInput, NotFound
from khive_supervisor.projects.identity import NAME_LIMIT, base_of
from khive_supervisor.store.interface import Store
from khive_supervisor.store.model import EntryFilter
from khive_supervisor.store.projects import ProjectFamily, ProjectRow
from khive_supervisor.verbs import forms, ingest, schema
from khive_supervisor.verbs.context import Context
from khive_supervisor.verbs.registry import Answer, Arguments, Pack, Verb

_NUMBER = re.compile(r"p([1-9][0-9]{0,17})")
#: The word for entries that are about the user as a whole, in the place of a project.
EVERYWHERE = "everywhere"
#: The argument that names a project to look in.
PROJECT = schema.text(
    f"Only of this project, or for every project ({EVERYWHERE}); scope otherwise.",
    longest=NAME_LIMIT,
)
#: Entries that are moved in one transaction.
BATCH = 500

_PROJECT = schema.text(
    "A project: its name, or a number such as p3 if several have that name.", longest=NAME_LIMIT
)
_FROM: Mapping[str, object] = {
    **_PROJECT,
    "description": f"Only entries of this project, or those without one ({EVERYWHERE}).",
}


class ShownProject(TypedDict):
    """A project: how many live entries it has, and the directories that it is found by.

    `project` is its number; a confined session sees none, since they count what others have.
    """

    name: str
    entries: int
    places: list[str]
    project: NotRequired[str]
    here: NotRequired[bool]


def list_projects(context: Context, args: Arguments) -> Answer:
    """Return all projects, those with the most entries first."""
    namespaces = (context.namespace(args["namespace"]),) if "namespace" in args else None
    counts = context.store.projects.counts(EntryFilter(namespaces=namespaces))
    own = context.project
    families: dict[int, list[ProjectRow]] = {}
    for row in context.whole_store.projects.all():
        families.setdefault(row.merged_into or row.id, []).append(row)
    shown = [
        _shown(context, rows, sum(counts.get(row.id, 0) for row in rows), own)
        for rows in families.values()
    ]
    found = sorted((one for one in shown if one["entries"]), key=lambda one: -one["entries"])
    return {"projects": found, EVERYWHERE: counts.get(None, 0)}


def _shown(
    context: Context, rows: list[ProjectRow], entries: int, own: ProjectFamily | None
) -> ShownProject:
    root = next(row for row in rows if row.merged_into is None)
    marks = (mark for row in rows for mark in row.marks)
    shown: ShownProject = {
        "name": root.name,
        "entries": entries,
        "places": [place_of(mark) for mark in marks],
    }
    if not context.grant.confined:
        shown["project"] = f"p{root.id}"
    if own is not None and own.ids[0] == root.id:
        shown["here"] = True
    return shown


def place_of(mark: str) -> str:
    """Return the directory that a mark stands for, as people know it; a part's has its name."""
    base, name = base_of(mark)
    kind, _, path = base.partition(":")
    place = path.removesuffix("/.git") if kind == "git" else path
    return f"{place}#{name}" if name else place


def _families(store: Store, text: str) -> list[ProjectFamily]:
    number = _NUMBER.fullmatch(text)
    if number is None:
        return list(store.projects.named(text))
    found = store.projects.family(int(number[1]))
    return [found] if found else []


def entry_filter(context: Context, args: Mapping[str, Any], collection: str | None) -> EntryFilter:
    """Return the filter of a call that may name a project; without one, its scope says where."""
    where = forms.entry_filter(context, args, collection)
    if "project" not in args:
        return where
    asked = args["project"]
    everywhere = asked == EVERYWHERE
    return replace(where, projects=(None,) if everywhere else family_of(context.store, asked).ids)


def family_of(store: Store, text: str) -> ProjectFamily:
    """Return the project that a name or number stands for.

    Raises:
        NotFound, InvalidInput: none does, or several do.
    """
    families = _families(store, text.strip())
    if not families:
        raise NotFound(
            f"There is no project {text[:NAME_LIMIT]!r}.", hint="projects.list names all."
        )
    if len(families) > 1:
        numbers = ", ".join(f"p{one.ids[0]}" for one in families)
        raise InvalidInput(
            f"Several projects are called {text[:NAME_LIMIT]!r}: {numbers}.",
            hint="Name one by its number; projects.list tells their places.",
        )
    return families[0]


def merge(context: Context, args: Arguments) -> Answer:
    """Make one project a part of another one."""
    store = context.store
    into, other = family_of(store, args["into"]), family_of(store, args["project"])
    if into.ids[0] == other.ids[0]:
        raise InvalidInput(f"{args['into']} and {args['project']} are one project already.")
    with store.changes.recorded_projects("merge", other.ids):
        store.projects.merge(into.ids[0], other.ids[0])
    return {"project": f"p{into.ids[0]}", "name": into.name, "merged": other.name}


def rename(context: Context, args: Arguments) -> Answer:
    """Give a project another name."""
    store = context.store
    family = family_of(store, args["project"])
    name = " ".join(context.gate.said(ingest.check_text(args["name"], "name"), "name").split())
    if not name or _NUMBER.fullmatch(name) or name == EVERYWHERE:
        raise InvalidInput(f"{args['name']!r} is no name for a project.", hint="Use a few words.")
    with store.changes.recorded_projects("rename", family.ids[:1]):
        store.projects.rename(family.ids[0], name)
    return {"project": f"p{family.ids[0]}", "name": name, "was": family.name}


_FILTERS = {name: rule for name, rule in forms.FILTERS.items() if name != "scope"} | forms.STORED_BY


def move(context: Context, args: Arguments) -> Answer:
    """Move entries to a project, or to the user as a whole."""
    store, to = context.store, args["to"]
    target = None if to == EVERYWHERE else family_of(store, to).ids[0]
    if "ids" in args:
        entries = forms.allowed(context, forms.existing(store, args["ids"]))
        chosen = [entry.id for entry in entries]
    else:
        chosen = list(_filtered(context, args))
    moved: list[int] = []
    if not args.get("dry_run"):
        with store.changes.recorded("move", chosen):
            for start in range(0, len(chosen), BATCH):
                moved += store.projects.move(chosen[start : start + BATCH], target)
                context.progress(min(start + BATCH, len(chosen)), len(chosen), "entries moved")
    return {"moved": len(moved), "matched": len(chosen), "to": to}


def _filtered(context: Context, args: Arguments) -> Iterable[int]:
    """Yield the live entries that the filters of a call let through; none without a filter."""
    if not any(name in args for name in ("from", *_FILTERS)):
        raise InvalidInput("projects.move needs ids or a filter.", hint="For example from, tags.")
    where = replace(forms.entry_filter(context, args, None), projects=None)
    if "from" in args:
        said = args["from"]
        ids = (None,) if said == EVERYWHERE else family_of(context.store, said).ids
        where = replace(where, projects=ids)
    after = 0
    while page := context.store.entries.page(after, BATCH, where):
        after = page[-1].id
        yield from (entry.id for entry in page)


PACK = Pack(
    "projects",
    "What memories are about.",
    (
        Verb(
            "projects.list",
            "List the projects that something is stored for.",
            list_projects,
            {"namespace": forms.NAMESPACE},
            description="With the directories that they are found by.",
            read_only=True,
            audience=Audience.AGENT,
        ),
        Verb(
            "projects.merge",
            "Make one project a part of another one.",
            merge,
            {"into": _PROJECT, "project": _PROJECT},
            ("into", "project"),
            description="For clones, and repositories that were moved, that were not seen to be "
            "one. Their entries are found in each of them from then on.",
            destructive=True,
            audience=Audience.OPERATOR,
            because="it changes what other sessions find",
        ),
        Verb(
            "projects.rename",
            "Give a project another name.",
            rename,
            {"project": _PROJECT, "name": schema.text("The new name.", longest=NAME_LIMIT)},
            ("project", "name"),
            idempotent=True,
            audience=Audience.OPERATOR,
            because="it changes what other sessions find",
        ),
        Verb(
            "projects.move",
            "Move entries to another project, or to the user as a whole.",
            move,
            {
                "to": {
                    **_PROJECT,
                    "description": f"Where to: a project, or {EVERYWHERE}: for all projects.",
                },
                "ids": forms.IDS,
                "from": _FROM,
                **_FILTERS,
                "dry_run": schema.flag("Say how many would move, and move nothing."),
            },
            ("to",),
            description="Those with these ids, or all that pass the filters. What is said there "
            "already stays where it is.",
            destructive=True,
            audience=Audience.OPERATOR,
            because="it changes what other sessions find",
        ),
    ),
)
