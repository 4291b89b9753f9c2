"""The hooks pack: what clients call at each event of a session; agents never do."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import TypeVar

from khive_supervisor import logs
from khive_supervisor.access.grant import Audience
from khive_supervisor.control import measured
from khive_supervisor.packs.capture.sessions import learn_session
from khive_supervisor.packs.hooks import completing, learning, sessions, speaking, whose
from khive_supervisor.packs.hooks.briefing import BRIEF
from khive_supervisor.packs.hooks.events import HookEvent, journalled, of_fields, of_text
from khive_supervisor.packs.hooks.whose import Kept
from khive_supervisor.store.journal.sessions import ClientSession
from khive_supervisor.text.plain_json import JsonObject
from khive_supervisor.verbs import schema
from khive_supervisor.verbs.context import Context
from khive_supervisor.verbs.registry import Answer, Arguments, Pack, Verb

log = logs.get("khive.hooks")

_T = TypeVar("_T")

#: Events at whose end a session's journal is learned from.
_LEARNED_AT = frozenset(("Stop", "SessionEnd", "PreCompact"))
#: Letters of an event's name that metrics tell.
MOST_LABEL = 40
#: What reads plain text, and puts it into the context as it is.
_PLAIN = frozenset((("claude-code", "SessionStart"),))


def handle(context: Context, event: HookEvent) -> str:
    """Note an event, and return what the session is to be told; empty: nothing.

    Whatever fails is logged, and the rest is done: a client never notices.
    """
    began = time.perf_counter()
    try:
        return _handle(context, event)
    finally:
        # A label must be one of few: whatever else a client calls its event is not told apart.
        name = event.name if event.name.isascii() and event.name.isalpha() else "other"
        measured.took(measured.HOOK, name[:MOST_LABEL], began)


def _handle(context: Context, event: HookEvent) -> str:
    known = _tried("session", lambda: whose.session_of(context, event))
    if known is None:
        log.info("hooks.passed_over", client=event.client, hook=event.name)
        return ""
    kept = _tried("capture", lambda: _kept(context)) or Kept(False, None)
    session = whose.moved_on(context, known, event, kept)
    told = _tried("speaking", lambda: speaking.told(context, event, session)) or speaking.SILENCE
    _tried("journal", lambda: _note(context, event, session, kept, told))
    if event.name in _LEARNED_AT:
        _tried("transcript", lambda: completing.complete(context, session, kept))
        _learn(context, session, ended=event.name == "SessionEnd")
    return told.answer.text


def _kept(context: Context) -> Kept:
    """Return whether anything of this session is kept, and the project that it is kept for."""
    allowed = context.store.capture.allowed
    family = context.project
    known = family.ids[0] if family is not None else None
    if not allowed(None) and not allowed(known):
        return Kept(False, known)
    project = context.store_project()
    return Kept(allowed(project), project)


def _note(
    context: Context, event: HookEvent, session: ClientSession, kept: Kept, told: speaking.Told
) -> None:
    """Store all that an event comes to, together: the disk is waited for once."""
    at, name = session.seen_at, session.session
    found = journalled(event, name, kept.project, session.namespace, at) if kept.words else []
    with context.store.transaction():
        context.store.client_sessions.note(session)
        context.store.journal.append(found)
        context.store.injections.add(speaking.injections(session, told))


def _learn(context: Context, session: ClientSession, *, ended: bool) -> None:
    """Learn from the journal, and from what was done with what the session was told."""
    client, name = session.client, session.session
    _tried("learning", lambda: learn_session(context, client, name, ended=ended))
    _tried("feedback", lambda: learning.judge(context, session, ended=ended))


def _tried(what: str, work: Callable[[], _T]) -> _T | None:
    """Return what work comes to; None if it fails, which is logged."""
    try:
        return work()
    except Exception as error:  # noqa: BLE001 - the client must not notice
        log.warning("hooks.failed", what=what, error=repr(error))
    return None


def _answer(event: HookEvent, text: str) -> JsonObject:
    """Return what a client takes as words for its model; nothing without any."""
    if not text:
        return {}
    return {"hookSpecificOutput": {"hookEventName": event.name, "additionalContext": text}}


def tool_event(context: Context, args: Arguments) -> Answer:
    """Take an event from a client that calls a tool for it."""
    event = of_fields(whose.CLAUDE_CODE, args["event"], args)
    return _answer(event, handle(context, event))


def command_event(context: Context, args: Arguments) -> Answer:
    """Take an event from `khive-supervisor hook`; what is to be printed."""
    event = of_text(args["client"], args["event"], args["said"])
    text = handle(context, event)
    if text and (event.client, event.name) not in _PLAIN:
        text = json.dumps(_answer(event, text), ensure_ascii=False)
    return {"print": text}


_EVENT = schema.text("What the client calls it.", longest=200)

PACK = Pack(
    name="hooks",
    summary="What clients tell of their sessions by hooks, and are told for it.",
    verbs=(
        Verb(
            name="hooks.event",
            summary="Take an event of a client's session; clients call it, agents never do.",
            handler=tool_event,
            properties={
                "event": _EVENT,
                "session_id": schema.text("The session, as the client names it."),
                "cwd": schema.text("Where the client works."),
                "prompt": schema.text("What the user says."),
                "tool_name": schema.text("The tool that was used."),
                "tool_input": schema.text("What it was given, as JSON."),
                "error": schema.text("How it failed."),
            },
            required=("event",),
            audience=Audience.AGENT,
            hook=True,
        ),
        Verb(
            name="hooks.command",
            summary="Take an event from `khive-supervisor hook`, and say what is to be printed.",
            handler=command_event,
            properties={
                "client": schema.text("Which client's it is.", longest=200),
                "event": _EVENT,
                "said": schema.text("What the client says, as JSON."),
            },
            required=("client", "event", "said"),
            audience=Audience.AGENT,
            hook=True,
        ),
    ),
)
SESSIONS = Pack(
    name="sessions",
    summary="The sessions of all clients, as their hooks tell of them.",
    verbs=(sessions.LIST, sessions.TOLD, BRIEF),
)
