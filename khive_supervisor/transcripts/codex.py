"""Codex's transcripts: what a line of `~/.codex/sessions/**/rollout-*.jsonl` tells; pure.

Written by 0.171, where items that were completed tell of commands and changes of files; older ones
tell of them by the calls of tools and their outputs, which are read where there are no such items.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
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

CLIENT = "codex"
#: A transcript in which items that were completed tell of commands.
_BY_ITEMS = "items"
_SILENT = frozenset(("world_state", "turn_context", "token_usage_record", "ghost_snapshot"))
_KNOWN = frozenset(("session_meta", "response_item", "event_msg", "compacted"))
#: What the client puts in the place of a prompt.
_NOT_SAID = re.compile(
    r"^\s*(?:<(?:environment_context|user_instructions|turn_aborted|skill|INSTRUCTIONS|"
    r"subagent_notification|permissions)|# AGENTS\.md instructions)"
)
_CALLS = frozenset(("function_call", "local_shell_call", "custom_tool_call"))
_OUTPUTS = frozenset(("function_call_output", "custom_tool_call_output"))
_PATCHED = re.compile(r"^\*\*\* (?:Add|Update|Delete) File: (.+)$", re.MULTILINE)
_EXIT = re.compile(
    r"(?:\bexited with code|\bexit code:?|\"exit_code\"\s*:)\s*(\d{1,3})\b", re.IGNORECASE
)


def read(state: TranscriptState, line: JsonObject) -> Told:
    """Return what a line makes of the state, and the events that it tells of."""
    kind, payload = line.get("type"), mapping(line.get("payload"))
    state = replace(state, lines=state.lines + 1)
    telling = Telling(CLIENT, state.session, moment(line.get("timestamp")))
    if kind == "session_meta":
        return _begun(state, payload), ()
    if kind == "response_item":
        return _response(state, payload, telling)
    if kind == "event_msg":
        return _message(state, payload, telling)
    if kind == "compacted":
        return state, (telling.event(EventKind.COMPACT, Speaker.TOOL),)
    unknown = kind not in _SILENT
    return replace(state, unknown=state.unknown + unknown), ()


def _begun(state: TranscriptState, payload: JsonObject) -> TranscriptState:
    return replace(
        state,
        session=str(payload.get("id") or payload.get("session_id") or ""),
        cwd=str(payload.get("cwd") or ""),
        version=str(payload.get("cli_version") or ""),
    )


# --- what was said --------------------------------------------------------------------------------


def _response(state: TranscriptState, payload: JsonObject, telling: Telling) -> Told:
    kind = payload.get("type")
    if kind == "message":
        return state, tuple(_said(payload, telling))
    if kind in _CALLS:
        return state.called(str(payload.get("call_id")), _call(payload)), ()
    if kind in _OUTPUTS:
        return _output(state, payload, telling)
    return state, ()


def _said(payload: JsonObject, telling: Telling) -> Iterator[JournalEvent]:
    text = text_of(payload.get("content"))
    if not text.strip():
        return
    if payload.get("role") == "assistant":
        yield telling.event(EventKind.ANSWER, Speaker.AGENT, text)
    elif payload.get("role") == "user" and _by_user(payload, text):
        yield telling.event(EventKind.PROMPT, Speaker.USER, text)


def _by_user(payload: JsonObject, text: str) -> bool:
    """Return True if a message in the user's place is the user's own."""
    kinds = mapping(payload.get("internal_chat_message_metadata_passthrough")).get(
        "content_item_kinds"
    )
    if isinstance(kinds, list):
        return "user.text" in kinds
    return not _NOT_SAID.match(text)


# --- what was done --------------------------------------------------------------------------------


def _message(state: TranscriptState, payload: JsonObject, telling: Telling) -> Told:
    item = mapping(payload.get("item"))
    if payload.get("type") != "item_completed" or not item:
        return state, ()
    kind = item.get("type")
    if kind == "CommandExecution":
        events = _ran(_line(item.get("command")), item.get("exit_code"),
                      text_of(item.get("aggregated_output")), telling)  # fmt: skip
        return replace(state, flags=state.flags | {_BY_ITEMS}), tuple(events)
    if kind == "FileChange" and item.get("status") == "completed":
        return state, tuple(_changed(mapping(item.get("changes")), telling))
    return state, ()


def _ran(command: str, code: Any, output: str, telling: Telling) -> Iterator[JournalEvent]:
    known = code if isinstance(code, int) and not isinstance(code, bool) else None
    yield telling.event(EventKind.COMMAND, Speaker.AGENT, command, exit_code=known, tool="exec")
    if known and output:
        yield telling.event(EventKind.ERROR, Speaker.TOOL, output, tool="exec")


def _changed(changes: Mapping[str, Any], telling: Telling) -> Iterator[JournalEvent]:
    for path in changes:
        yield telling.event(EventKind.EDIT, Speaker.AGENT, path=path, tool="apply_patch")


def _line(command: Any) -> str:
    """Return a command as a line: what a shell was given, or the words of a program."""
    if isinstance(command, str):
        return command
    words = [str(one) for one in command] if isinstance(command, list) else []
    if len(words) == 3 and words[1] in ("-lc", "-c"):
        return words[2]
    return " ".join(words)


def _call(payload: JsonObject) -> PendingCall:
    """Return what a call of a tool is about; of a script nothing is known."""
    name = str(payload.get("name") or "")
    given = _arguments(payload)
    if isinstance(given, dict):
        return PendingCall(name, _line(given.get("command") or given.get("cmd")))
    if name == "apply_patch":
        return PendingCall(name, path="\n".join(_PATCHED.findall(str(given))))
    return PendingCall(name)


def _arguments(payload: JsonObject) -> Any:
    if payload.get("type") == "local_shell_call":
        return mapping(payload.get("action"))
    try:
        return (
            json.loads(str(payload.get("arguments")))
            if "arguments" in payload
            else (payload.get("input"))
        )
    except ValueError:
        return None


def _output(state: TranscriptState, payload: JsonObject, telling: Telling) -> Told:
    """Return what an older transcript tells by the output of a call."""
    call = str(payload.get("call_id"))
    pending = state.pending.get(call)
    state = state.answered(call)
    if pending is None or _BY_ITEMS in state.flags:
        return state, ()
    output = payload.get("output")
    text = output if isinstance(output, str) else text_of(output)
    if pending.text:
        found = _EXIT.search(text)
        return state, tuple(_ran(pending.text, int(found[1]) if found else None, text, telling))
    paths = dict.fromkeys(pending.path.split("\n")) if pending.path else {}
    return state, tuple(_changed(paths, telling))
