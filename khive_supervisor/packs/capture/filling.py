"""What is captured, where that is on, and the sessions of before."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import TypedDict

from khive_supervisor.access.grant import Audience
from khive_supervisor.errors import KhiveError
from khive_supervisor.host import paths
from khive_supervisor.packs.capture.sessions import learn_session
from khive_supervisor.packs.memory.projects import family_of
from khive_supervisor.projects.identity import NAME_LIMIT
from khive_supervisor.text.plain_json import JsonObject
from khive_supervisor.transcripts import finding
from khive_supervisor.transcripts.belonging import BelongingOf
from khive_supervisor.transcripts.form import restored
from khive_supervisor.transcripts.looking import beginning_of
from khive_supervisor.transcripts.reading import TranscriptFile, take_in
from khive_supervisor.verbs import schema
from khive_supervisor.verbs.context import Context
from khive_supervisor.verbs.registry import Answer, Arguments, Verb

#: Transcripts that one call takes in.
_AT_ONCE = 5
_HERE = "here"


class ProjectCount(TypedDict):
    """The sessions of one project that are not taken in yet."""

    project: str
    sessions: int
    bytes: int


def status(context: Context, _args: Arguments) -> Answer:
    """Say where capturing is on, what is kept, and which transcripts are not understood."""
    store = context.store
    switches = store.capture.switches()
    names = store.projects.names([one for one in switches if one is not None])
    strange = [one.path for one in store.capture.cursors() if _is_strange(one.state)]
    return {
        "all": switches.get(None),
        "projects": {names.get(one, f"p{one}"): on for one, on in switches.items() if one},
        "sessions": len(store.journal.sessions(limit=100_000)),
        "events": store.journal.count(),
        "kept_days": round(context.config.journal.keep / 86_400, 1),
        "transcripts": len(store.capture.cursors()),
        "not_understood": strange[:20],
        "candidates": len(store.capture.candidates(limit=100_000)),
    }


def _is_strange(state: str) -> bool:
    """Return True if most lines of a transcript are of kinds that this release does not know."""
    known = restored(state)
    return known.lines > 0 and known.unknown * 2 > known.lines


def switch(context: Context, args: Arguments) -> Answer:
    """Turn capturing on or off, for a project or for all; a project can be as all are again."""
    asked = args.get("project")
    project = None if asked is None else _project(context, asked)
    context.store.capture.switch(project, {"on": True, "off": False}.get(args["state"]))
    return {"project": asked or "all", "state": args["state"]}


def _project(context: Context, name: str) -> int | None:
    if name == _HERE:
        return context.store_project()
    return family_of(context.store, name).ids[0]


def backfill(context: Context, args: Arguments) -> Answer:
    """Count the sessions of before by their projects, or take some of them in."""
    where = finding.roots(paths.home(), os.environ)
    places = BelongingOf(context.store, context.config, paths.home(), paths.state_home())
    waiting = _waiting(context, where, args.get("after", ""))
    if args.get("dry_run"):
        return {"projects": _counts(waiting, places, context)}
    wanted = args.get("projects")
    done, events, last = 0, 0, ""
    for file in islice(waiting, _AT_ONCE):
        last = file.path
        if wanted is None or _name(context, file, places) in wanted:
            events += _taken(context, file, places)
            done += 1
    return {"sessions": done, "events": events, **({"next": last} if last else {})}


def _waiting(context: Context, where: Mapping[str, str], after: str) -> Iterator[TranscriptFile]:
    """Yield the transcripts that were never read, in the order of their paths."""
    known = {one.path for one in context.store.capture.cursors()}
    found = sorted(finding.transcripts(where), key=lambda one: one.path)
    return (one for one in found if one.path > after and one.path not in known)


def _counts(
    files: Iterator[TranscriptFile], places: BelongingOf, context: Context
) -> list[ProjectCount]:
    found: dict[str, ProjectCount] = {}
    for file in files:
        name = _name(context, file, places)
        if name:
            one = found.setdefault(name, {"project": name, "sessions": 0, "bytes": 0})
            one["sessions"] += 1
            one["bytes"] += os.path.getsize(file.path)
    return sorted(found.values(), key=lambda one: -one["sessions"])


def _name(context: Context, file: TranscriptFile, places: BelongingOf) -> str:
    """Return the name of a transcript's project; empty if it is not to be kept."""
    found = places(beginning_of(file).cwd)
    if not found.kept:
        return ""
    if found.project is None:
        return "no project"
    return context.store.projects.names([found.project]).get(found.project, "")


def _taken(context: Context, file: TranscriptFile, places: BelongingOf) -> int:
    """Take in a transcript, and learn from its sessions; return how many events it told."""
    events, sessions, more = 0, set[str](), True
    try:
        while more:
            taken = take_in(context.store, file, places)
            events, more = events + taken.events, taken.more
            sessions |= taken.sessions
    except OSError:
        return events
    for session in sessions:
        _learned(context, file.client, session)
    return events


def _learned(context: Context, client: str, session: str) -> None:
    try:
        learn_session(context, client, session, ended=True)
    except KhiveError:
        return  # it is in the journal; a later look learns from it


_PROJECT = schema.text(
    "A project's name, or here (the session's); without it, for all.", longest=NAME_LIMIT
)
_BACKFILL: JsonObject = {
    "dry_run": schema.flag("Only count them, by project."),
    "projects": schema.array(schema.text(longest=NAME_LIMIT), "Only of these projects.", most=1000),
    "after": schema.text("Go on after this one: `next` of the answer before."),
}
_BECAUSE = "what users say in their sessions is kept by it"
VERBS = (
    Verb(
        "capture.status",
        "Say where sessions are captured, and what is kept of them.",
        status,
        read_only=True,
        audience=Audience.OPERATOR,
        because=_BECAUSE,
        shared=True,
    ),
    Verb(
        "capture.switch",
        "Turn capturing on or off, for a project or for all.",
        switch,
        {
            "state": schema.text("default: as for all.", choices=("on", "off", "default")),
            "project": _PROJECT,
        },
        ("state",),
        audience=Audience.OPERATOR,
        because=_BECAUSE,
        shared=True,
    ),
    Verb(
        "capture.backfill",
        "Count the sessions of before by project, or take the next ones in.",
        backfill,
        _BACKFILL,
        audience=Audience.OPERATOR,
        because=_BECAUSE,
        shared=True,
    ),
)
