"""Claude Code's transcripts: what a line of `~/.claude/projects/*/*.jsonl` tells; pure.

Written by 2.1; a line of a kind that is not known tells nothing and is counted. Lines of subagents
(`isSidechain`) are left out: nobody but an agent speaks there. So are summaries, what the client
says to itself (`isMeta`), and what it writes when a context is compacted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from khive_supervisor.store.journal.model import EventKind, JournalEvent, Speaker
from khive_supervisor.text.plain_json import JsonObject
from khive_supervisor.transcripts.form import (
    PendingCall,
    Telling,
    Told,
    TranscriptState,
    mapping,
    moment,
    text_of,
)

CLIENT = "claude-code"
#: Kinds of lines that tell nothing of a session.
_SILENT = frozenset(
    (
        "queue-operation", "attachment", "last-prompt", "mode", "summary", "file-history-snapshot",
        "progress", "custom-title", "agent-name", "ai-title", "pr-link", "permission-mode",
        "bridge-session", "tag", "relocated", "worktree-state", "content-replacement",
    )
)  # fmt: skip
#: What the client puts in the place of a prompt.
_NOT_SAID = re.compile(
    r"^\s*(?:<(?:command-|local-command-|bash-|user-memory|task-notification|system-reminder)|"
    r"Caveat: The messages below|\[Request interrupted|This session is being continued from)"
)
_EXIT = re.compile(r"^(?:Error: )?Exit code (\d{1,3})\b")
_EDITS = {"Edit": "file_path", "Write": "file_path", "MultiEdit": "file_path",
          "NotebookEdit": "notebook_path"}  # fmt: skip


def read(state: TranscriptState, line: JsonObject) -> Told:
    """Return what a line makes of the state, and the events that it tells of."""
    kind = line.get("type")
    state = _known(state, line)
    if line.get("isSidechain") or kind in _SILENT:
        return state, ()
    telling = Telling(CLIENT, state.session, moment(line.get("timestamp")))
    if kind == "user":
        return _user(state, line, telling)
    if kind == "assistant":
        return _assistant(state, line, telling)
    if kind == "system" and line.get("subtype") == "compact_boundary":
        return state, (telling.event(EventKind.COMPACT, Speaker.TOOL),)
    return (state if kind == "system" else replace(state, unknown=state.unknown + 1)), ()


def _known(state: TranscriptState, line: JsonObject) -> TranscriptState:
    """Return the state with what every line says of the session."""
    own = not line.get("isSidechain")
    return replace(
        state,
        session=str(line.get("sessionId") or state.session),
        cwd=str(line.get("cwd") or state.cwd) if own else state.cwd,
        version=str(line.get("version") or state.version),
        lines=state.lines + 1,
    )


def _user(state: TranscriptState, line: JsonObject, telling: Telling) -> Told:
    if line.get("isMeta") or line.get("isCompactSummary"):
        return state, ()
    content = mapping(line.get("message")).get("content")
    blocks: Sequence[Any] = content if isinstance(content, list) else []
    events: list[JournalEvent] = []
    for block in blocks:
        if isinstance(block, dict) and block.get("type") == "tool_result":
            call = str(block.get("tool_use_id"))
            pending = state.pending.get(call)
            events += _result(pending, block, telling) if pending else ()
            state = state.answered(call)
    said = content if isinstance(content, str) else text_of(_texts(blocks))
    if said.strip() and not _NOT_SAID.match(said):
        events.append(telling.event(EventKind.PROMPT, Speaker.USER, said))
    return state, tuple(events)


def _texts(blocks: Sequence[Any]) -> list[JsonObject]:
    return [one for one in blocks if isinstance(one, dict) and one.get("type") == "text"]


def _result(pending: PendingCall, block: JsonObject, telling: Telling) -> Iterator[JournalEvent]:
    """Yield what the result of a tool tells: a command's end, an edit, an error."""
    output, failed = text_of(block.get("content")), bool(block.get("is_error"))
    if pending.tool == "Bash":
        found = _EXIT.match(output)
        code = int(found[1]) if found else None if failed else 0
        yield telling.event(
            EventKind.COMMAND, Speaker.AGENT, pending.text, exit_code=code, tool=pending.tool
        )
    elif pending.path and not failed:
        yield telling.event(EventKind.EDIT, Speaker.AGENT, path=pending.path, tool=pending.tool)
    if failed and output:
        yield telling.event(EventKind.ERROR, Speaker.TOOL, output, tool=pending.tool)


def _assistant(state: TranscriptState, line: JsonObject, telling: Telling) -> Told:
    content = mapping(line.get("message")).get("content")
    blocks: Sequence[Any] = content if isinstance(content, list) else []
    said = content if isinstance(content, str) else text_of(_texts(blocks))
    for block in blocks:
        if isinstance(block, dict) and block.get("type") == "tool_use":
            state = state.called(str(block.get("id")), _call(block))
    if not said.strip():
        return state, ()
    return state, (telling.event(EventKind.ANSWER, Speaker.AGENT, said),)


def _call(block: JsonObject) -> PendingCall:
    tool, given = str(block.get("name")), mapping(block.get("input"))
    path = given.get(_EDITS.get(tool, ""))
    return PendingCall(tool, text_of(given.get("command")), path if isinstance(path, str) else "")
