"""Whose event it is: the session and the project are the connection's, whatever is said of them.

What a client's event says of its session may only agree with what is known of the connection; a
directory that it names is never looked at.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from khive_supervisor.packs.hooks.events import FRESH_CONTEXT, HookEvent
from khive_supervisor.store.journal.sessions import ClientSession, SessionState
from khive_supervisor.verbs.context import Context

#: The variable that Claude Code names its session by, to all that it starts.
CONVERSATION = "CLAUDE_CODE_SESSION_ID"
#: The client whose sessions it names.
CLAUDE_CODE = "claude-code"
#: Characters of a prompt that `sessions` shows.
SHOWN_PROMPT = 200
#: What a session does after each event; after others it does what it did.
_STATES = {
    "SessionStart": SessionState.WAITING,
    "UserPromptSubmit": SessionState.WORKING,
    "PostToolUse": SessionState.WORKING,
    "PostToolUseFailure": SessionState.WORKING,
    "PermissionRequest": SessionState.WAITING,
    "Notification": SessionState.WAITING,
    "Stop": SessionState.WAITING,
    "SessionEnd": SessionState.ENDED,
}


def session_of(context: Context, event: HookEvent) -> ClientSession | None:
    """Return the session that an event is of, as it is known so far; None: it is not to be told.

    A session that says another name than its connection's is believed if the same client process
    has begun a session of that name: it was cleared, or another one was resumed in it.
    """
    process = context.session.process
    connected = _conversation(context, event.client)
    session = event.session or connected
    if not session or not (process or connected):
        return None
    known = context.store.client_sessions.find(event.client, session)
    begins = event.name == "SessionStart" and context.session.kind == "verbs"
    agrees = session == connected or not connected or begins
    if not agrees and (known is None or not process or known.process != process):
        return None
    return known or ClientSession(event.client, session, process=process)


def _conversation(context: Context, client: str) -> str:
    return context.session.environment.get(CONVERSATION, "") if client == CLAUDE_CODE else ""


@dataclass(frozen=True, slots=True)
class Kept:
    """Whether what is said in a session is kept (`words`), and for which project."""

    words: bool
    project: int | None


def moved_on(
    context: Context, session: ClientSession, event: HookEvent, kept: Kept
) -> ClientSession:
    """Return a session as it is after an event."""
    now = context.now()
    identity = context.session.project
    fresh = event.name == "SessionStart" or event.source in FRESH_CONTEXT
    prompt = " ".join(event.prompt.split())[:SHOWN_PROMPT] or session.last_prompt
    state = _STATES.get(event.name, session.state)
    goes_on = state == session.state and event.name != "UserPromptSubmit" and not fresh
    return replace(
        session,
        project=kept.project,
        namespace=context.namespace(None),
        cwd=context.session.cwd,
        branch=identity.branch if identity is not None else "",
        process=context.session.process or session.process,
        state=state,
        epoch=session.epoch + fresh,
        last_prompt=prompt if kept.words else "",
        cost=session.cost if event.cost is None else event.cost,
        begun_at=session.begun_at or now,
        seen_at=now,
        since=session.since if goes_on and session.since else now,
    )
