"""The sessions of all clients: where they work, and whether they wait for somebody."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from typing import NotRequired, TypedDict

from khive_supervisor.access import lineage
from khive_supervisor.access.grant import Audience
from khive_supervisor.briefing.states import Seen, state_of
from khive_supervisor.errors import KhiveError
from khive_supervisor.store.journal.model import ANY_EVENT, JournalFilter
from khive_supervisor.store.journal.sessions import ClientSession, Injection
from khive_supervisor.verbs import forms, schema
from khive_supervisor.verbs.context import Context
from khive_supervisor.verbs.registry import Answer, Arguments, Verb

#: Sessions that are shown unless more are asked for.
DEFAULT_LIMIT = 20


class ShownSession(TypedDict):
    """A session as it is shown; what is not known of it is left out."""

    client: str
    session: str
    state: str
    seen_at: str
    since: str
    project: NotRequired[str]
    branch: NotRequired[str]
    cwd: NotRequired[str]
    last_prompt: NotRequired[str]
    calls: NotRequired[int]
    memory_bytes: NotRequired[int]
    cost: NotRequired[float]


def list_sessions(context: Context, args: Arguments) -> Answer:
    """Return the sessions that were heard of last, and those that are attached without hooks."""
    where = _asked(context)
    found = context.store.client_sessions.page(where, args.get("limit", DEFAULT_LIMIT))
    names = context.whole_store.projects.names({o.project for o in found if o.project is not None})
    shown = [_shown(one, names.get(one.project or 0, ""), context.now) for one in found]
    served = _served(context)
    for one, told in zip(found, shown, strict=True):
        own = [each for client, each in served if client and client == one.process]
        if own:
            told["calls"] = _sum("calls", own)
        if memory := _sum("memory_bytes", own):
            told["memory_bytes"] = memory
    known = {one.process for one in found}
    return {"sessions": shown, "without_hooks": _without_hooks(served, known)}


def _sum(name: str, workers: list[Answer]) -> int:
    return sum(int(str(one.get(name, 0))) for one in workers)


def _asked(context: Context) -> JournalFilter:
    """Return which sessions whoever asks may see: an agent, those of its own project."""
    if context.grant.operator:
        return ANY_EVENT
    family = context.project
    project = family.ids[0] if family is not None else 0
    return JournalFilter(project=project, namespaces=(context.namespace(None),))


def _shown(one: ClientSession, project: str, now: Callable[[], float]) -> ShownSession:
    state = state_of(Seen(one.state, one.seen_at, _lives(one.process)), now())
    shown = ShownSession(
        client=one.client,
        session=one.session,
        state=state,
        seen_at=_moment(one.seen_at),
        since=_moment(one.seen_at if state == "idle" else one.since or one.seen_at),
    )
    if project:
        shown["project"] = project
    if one.branch:
        shown["branch"] = one.branch
    if one.cwd:
        shown["cwd"] = one.cwd
    if one.last_prompt:
        shown["last_prompt"] = one.last_prompt
    if one.cost is not None:
        shown["cost"] = one.cost
    return shown


def _moment(at: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))


def _lives(process: str) -> bool | None:
    """Return whether a client's process is there; None if it is not known which."""
    pid, _, started = process.partition(":")
    if not pid.isdigit() or not started.isdigit():
        return None
    found = lineage.living(int(pid))
    return found is not None and found.started == int(started)


def _served(context: Context) -> list[tuple[str, Answer]]:
    """Return the sessions that the supervisor serves, each with its client's process."""
    if not context.grant.operator:
        return []
    try:
        status = context.ask_supervisor("status")
    except KhiveError:
        return []
    return [
        (_client_of(one["client_pid"]), one)
        for one in status.get("sessions", [])
        if one.get("kind") == "session" and one.get("client_pid")
    ]


def _client_of(pid: object) -> str:
    """Return the process of the client that one belongs to; empty if none is known."""
    client = lineage.client_of(pid) if isinstance(pid, int) else None
    return f"{client.pid}:{client.started}" if client is not None else ""


def _without_hooks(served: list[tuple[str, Answer]], known: Collection[str]) -> list[Answer]:
    """Return the sessions of which no hook has told."""
    return [
        {
            "client": one.get("client") or "",
            "cwd": one.get("cwd") or "",
            "pid": one["client_pid"],
            "calls": one.get("calls", 0),
            **({"memory_bytes": one["memory_bytes"]} if "memory_bytes" in one else {}),
        }
        for client, one in served
        if not client or client not in known
    ]


class ShownInjection(TypedDict):
    """Where an entry was put into a context; `used` is missing while that is not known."""

    client: str
    session: str
    event: str
    at: str
    tokens: int
    used: NotRequired[bool]


def where_told(context: Context, args: Arguments) -> Answer:
    """Return into which sessions an entry was put, the newest first."""
    (entry,) = forms.allowed(context, forms.existing(context.store, [args["id"]]))
    found = context.store.injections.of_entry(entry.id, args.get("limit", DEFAULT_LIMIT))
    return {"id": args["id"], "told": [_shown_injection(one) for one in found]}


def _shown_injection(one: Injection) -> ShownInjection:
    shown = ShownInjection(
        client=one.client, session=one.session, event=one.event, at=_moment(one.at),
        tokens=one.tokens,
    )  # fmt: skip
    if one.used is not None:
        shown["used"] = one.used
    return shown


LIST = Verb(
    name="sessions.list",
    summary="List clients' sessions: project, branch, state, last prompt.",
    handler=list_sessions,
    properties={
        "limit": schema.whole(f"How many at most ({DEFAULT_LIMIT}).", least=1, most=500),
    },
    read_only=True,
    audience=Audience.AGENT,
)
TOLD = Verb(
    name="sessions.told",
    summary="Say into which sessions an entry was put by itself, and whether it was used there.",
    handler=where_told,
    properties={
        "id": schema.text("The entry, such as m12."),
        "limit": schema.whole(f"How many at most ({DEFAULT_LIMIT}).", least=1, most=500),
    },
    required=("id",),
    read_only=True,
    audience=Audience.AGENT,
)
