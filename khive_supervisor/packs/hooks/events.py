"""What a client's hook says, in its own JSON or as arguments of a tool; pure.

Fields that are missing, or are of another kind than expected, are empty: clients of other releases
say other things.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from khive_supervisor.briefing.prompts import looks_failed
from khive_supervisor.store.journal.model import EventKind, JournalEvent, Speaker
from khive_supervisor.text import wellformed

#: Characters of a name, and of a text, that are taken from a client.
MOST_NAME, MOST_TEXT = 200, 200_000
#: What begins a session's context anew.
FRESH_CONTEXT = frozenset(("clear", "compact"))
#: Tools that change files, by whichever client.
EDITS = frozenset(("Edit", "Write", "MultiEdit", "NotebookEdit", "apply_patch"))
SHELLS = frozenset(("Bash", "shell", "local_shell", "exec_command", "unified_exec"))
_PATCHED = re.compile(r"^\*\*\* (?:Add|Update|Delete) File: (.+)$", re.MULTILINE)
#: How clients say a command's exit code above its output.
_EXIT = re.compile(
    r"^(?:process exited with code|exit code:?) +(-?\d{1,3})\b", re.IGNORECASE | re.MULTILINE
)
#: The events that tell of a tool's use.
_OF_TOOLS = frozenset(("PostToolUse", "PostToolUseFailure"))
#: Whose success is told by the event's name; of others, no exit code says nothing.
_TELLS_FAILURES = "claude-code"


@dataclass(frozen=True, slots=True)
class HookEvent:
    """One event of a client's session.

    Attributes:
        client, name: whose event, and what the client calls it.
        session, cwd: as the client says.
        source: why a session starts.
        prompt: what the user says.
        tool, command, paths: what the agent has used, and on what.
        failed, exit_code, output: how that went, and what it said.
        answer: what the agent says last.
        cost: of the session, in dollars; None where it is not told.
    """

    client: str
    name: str
    session: str = ""
    cwd: str = ""
    source: str = ""
    prompt: str = ""
    tool: str = ""
    command: str = ""
    paths: tuple[str, ...] = ()
    failed: bool = False
    exit_code: int | None = None
    output: str = ""
    answer: str = ""
    cost: float | None = None


def of_text(client: str, name: str, said: str) -> HookEvent:
    """Return the event of a client's own JSON, which may be anything."""
    try:
        found = json.loads(wellformed.json_escapes(said))
    except (ValueError, RecursionError):
        found = None
    return of_fields(client, name, found if isinstance(found, dict) else {})


def of_fields(client: str, name: str, said: Mapping[str, object]) -> HookEvent:
    """Return the event of a client's fields; its name may be spelt as our command's words are."""
    name = _event_name(name)
    tool = _text(said, "tool_name", MOST_NAME)
    given = _object(said.get("tool_input"))
    output = _text(said, "error") or _output(said.get("tool_response"))
    code = _exit_code(said.get("tool_response"), output) if tool in SHELLS else None
    if code is None and tool in SHELLS and client == _TELLS_FAILURES:
        code = 0 if name == "PostToolUse" else None
    unsure = tool in SHELLS and code is None
    failed = name == "PostToolUseFailure" or bool(code) or (unsure and looks_failed(output))
    cost = said.get("cost", said.get("total_cost_usd"))
    return HookEvent(
        client[:MOST_NAME],
        name[:MOST_NAME],
        session=_text(said, "session_id", MOST_NAME),
        cwd=_text(said, "cwd"),
        source=_text(said, "source", MOST_NAME),
        prompt=_text(said, "prompt"),
        tool=tool,
        command=_command(given) if tool in SHELLS else "",
        paths=_paths(given) if tool in EDITS else (),
        failed=failed,
        exit_code=code,
        output=output if failed else "",
        answer=_text(said, "last_assistant_message"),
        cost=float(cost) if isinstance(cost, int | float) else None,
    )


def _event_name(name: str) -> str:
    """Return what clients call an event: `user-prompt-submit` is `UserPromptSubmit`."""
    parts = name.split("-")
    return name if parts[0] != parts[0].lower() else "".join(part.capitalize() for part in parts)


def _text(said: Mapping[str, object], name: str, most: int = MOST_TEXT) -> str:
    found = said.get(name)
    return found[:most] if isinstance(found, str) else ""


def _object(value: object) -> Mapping[str, object]:
    """Return an object, which a client may have written as JSON into a string."""
    if isinstance(value, str):
        try:
            value = json.loads(wellformed.json_escapes(value))
        except (ValueError, RecursionError):
            return {"command": value}
    return value if isinstance(value, dict) else {}


def _command(given: Mapping[str, object]) -> str:
    found = given.get("command", given.get("cmd", ""))
    if isinstance(found, list):
        words = [str(word) for word in found]
        return words[-1] if len(words) == 3 and words[1] in ("-c", "-lc") else " ".join(words)
    return found[:MOST_TEXT] if isinstance(found, str) else ""


def _paths(given: Mapping[str, object]) -> tuple[str, ...]:
    named = [given.get(name) for name in ("file_path", "notebook_path", "path")]
    found = [one for one in named if isinstance(one, str) and one]
    patch = given.get("command", given.get("input", given.get("patch", "")))
    text = " ".join(map(str, patch)) if isinstance(patch, list) else str(patch)
    return tuple(dict.fromkeys(found + _PATCHED.findall(text[:MOST_TEXT])))


def _output(response: object) -> str:
    if isinstance(response, str):
        return response[:MOST_TEXT]
    if not isinstance(response, dict):
        return ""
    parts = [response.get(name) for name in ("output", "stdout", "stderr", "error", "content")]
    return "\n".join(part for part in parts if isinstance(part, str) and part)[:MOST_TEXT]


def _exit_code(response: object, output: str) -> int | None:
    """Return a command's exit code, where the client tells it."""
    for place in (response, response.get("metadata") if isinstance(response, dict) else None):
        found = place.get("exit_code") if isinstance(place, dict) else None
        if isinstance(found, int):
            return found
    said = _EXIT.search(output[:200])
    return int(said[1]) if said else None


def journalled(
    event: HookEvent, session: str, project: int | None, namespace: str, at: float
) -> list[JournalEvent]:
    """Return what the journal of a session gets of an event."""

    def one(kind: EventKind, speaker: Speaker, text: str = "", path: str = "") -> JournalEvent:
        return JournalEvent(
            event.client, session, kind, speaker, text, path, at=at, tool=event.tool,
            exit_code=event.exit_code if kind == EventKind.COMMAND else None,
            project=project, namespace=namespace,
        )  # fmt: skip

    if event.name == "SessionStart":
        kind = EventKind.COMPACT if event.source == "compact" else EventKind.START
        return [one(kind, Speaker.TOOL, event.source)]
    if event.name == "UserPromptSubmit":
        return [one(EventKind.PROMPT, Speaker.USER, event.prompt)] if event.prompt else []
    if event.name == "Stop":
        return [one(EventKind.ANSWER, Speaker.AGENT, event.answer)] if event.answer else []
    if event.name == "SessionEnd":
        return [one(EventKind.END, Speaker.TOOL)]
    if event.name not in _OF_TOOLS:
        return []
    return _of_tool(event, [one(EventKind.EDIT, Speaker.AGENT, path=path) for path in event.paths],
                    one(EventKind.COMMAND, Speaker.AGENT, event.command),
                    one(EventKind.ERROR, Speaker.TOOL, event.output))  # fmt: skip


def _of_tool(
    event: HookEvent, edits: Sequence[JournalEvent], command: JournalEvent, error: JournalEvent
) -> list[JournalEvent]:
    used = [command] if event.command else [] if event.failed else list(edits)
    return used + ([error] if event.failed and event.output else [])
