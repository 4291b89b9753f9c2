"""What a session is told at an event: the brief at its start, what fits a prompt, a known fix."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from khive_supervisor.briefing import tokens
from khive_supervisor.briefing.lines import Composed, Line, composed
from khive_supervisor.briefing.prompts import error_query, prompt_query
from khive_supervisor.packs.hooks.events import HookEvent
from khive_supervisor.packs.hooks.facts import fitting, line_of
from khive_supervisor.packs.hooks.starting import composed_brief
from khive_supervisor.store.journal.sessions import ClientSession, Injection
from khive_supervisor.verbs.context import Context

#: What stands above the lines.
PROMPT_HEAD = "From memory (khive):"
ERROR_HEAD = "From memory (khive), on this error:"
#: Lines at a prompt, and on an error.
_PROMPT_LINES, _ERROR_LINES = 4, 2
#: What each line but the text takes, in tokens: the id, the date, the line's end.
_LINE_HEAD = 14


@dataclass(frozen=True, slots=True)
class Told:
    """What a session is told, and what for: start, prompt or error."""

    event: str
    answer: Composed


SILENCE = Told("", Composed())

Speaks = Callable[[Context, HookEvent, ClientSession], Told]


def told(context: Context, event: HookEvent, session: ClientSession) -> Told:
    """Return what a session is told at an event."""
    speaks = _SPEAKERS.get(event.name)
    return SILENCE if speaks is None else speaks(context, event, session)


def injections(session: ClientSession, found: Told) -> list[Injection]:
    """Return what is recorded of what a session is told."""
    return [
        Injection(
            line.entry, found.event, session.epoch, tokens.bound(str(line)), session.seen_at,
            session.client, session.session,
        )
        for line in found.answer.lines
        if line.entry
    ]  # fmt: skip


def _at_start(context: Context, _event: HookEvent, _session: ClientSession) -> Told:
    return Told("start", composed_brief(context, context.config.hooks.start_tokens))


def _at_prompt(context: Context, event: HookEvent, session: ClientSession) -> Told:
    budget = context.config.hooks.prompt_tokens
    query = prompt_query(event.prompt)
    room = budget - tokens.bound(PROMPT_HEAD) - 1
    lines = _lines(context, session, query, room, _PROMPT_LINES)
    return Told("prompt", composed(PROMPT_HEAD, lines, budget))


def _on_error(context: Context, event: HookEvent, session: ClientSession) -> Told:
    budget = context.config.hooks.error_tokens
    query = error_query(event.command, event.output) if event.failed else ""
    room = budget - tokens.bound(ERROR_HEAD) - 1
    lines = _lines(context, session, query, room, _ERROR_LINES)
    return Told("error", composed(ERROR_HEAD, lines, budget))


_SPEAKERS: dict[str, Speaks] = {
    "SessionStart": _at_start,
    "UserPromptSubmit": _at_prompt,
    "PostToolUse": _on_error,
    "PostToolUseFailure": _on_error,
}


def _lines(
    context: Context, session: ClientSession, query: str, budget: int, most: int
) -> list[Line]:
    """Return lines for what fits a query and was not told before, within a budget."""
    if not query or budget <= 0:
        return []
    known = _told_before(context, session)
    found = [one for one in fitting(context, query) if one[0].id not in known][:most]
    lines: list[Line] = []
    for entry, remarks in found:
        room = budget - _LINE_HEAD - sum(map(tokens.bound, remarks))
        line = line_of(entry, query, room, remarks)
        if line.text:
            lines.append(line)
            budget -= tokens.bound(str(line)) + 1
    return lines


def _told_before(context: Context, session: ClientSession) -> Collection[int]:
    """Return what is in the session's context already."""
    found = context.store.injections.of_session(session.client, session.session)
    return {one.entry for one in found if one.epoch == session.epoch}
