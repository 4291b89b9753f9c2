"""The hooks of clients: which events, what each starts, and the user's file that they stand in.

They are in the user's own settings, never a repository's: what a repository says is not the
user's word. A hook of ours is known by what it starts, wherever this program is installed.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from khive_supervisor.cli.clients import json_items, rewrite
from khive_supervisor.cli.clients.clients import (
    NAME,
    PROGRAM,
    Action,
    Environ,
    FileOutcome,
    home,
    refuse_edit,
)
from khive_supervisor.cli.clients.json_edit import CannotEdit
from khive_supervisor.text.plain_json import JsonObject

#: The tool that the clients call that can call one, and the member of a file with all hooks.
TOOL, SECTION = "hooks_event", "hooks"
#: Seconds after which a client gives a hook up; ours give up long before.
TIMEOUT = 3
#: The tools of Claude Code whose uses are noted.
_TOOLS = "Bash|Edit|Write|MultiEdit|NotebookEdit"
#: What each event's call of the tool is told, of the fields of the client's own JSON.
_FIELDS: Mapping[str, tuple[str, ...]] = {
    "UserPromptSubmit": ("prompt",),
    "PostToolUse": ("tool_name", "tool_input"),
    "PostToolUseFailure": ("tool_name", "tool_input", "error"),
}
_CLAUDE_EVENTS = {
    "SessionStart": "",
    "UserPromptSubmit": "",
    "PostToolUse": _TOOLS,
    "PostToolUseFailure": _TOOLS,
    "PermissionRequest": "",
    "Notification": "elicitation_dialog",
    "PreCompact": "",
    "Stop": "",
    "SessionEnd": "",
}
_CODEX_EVENTS = {
    "SessionStart": "",
    "UserPromptSubmit": "",
    "PostToolUse": "Bash|apply_patch|Edit|Write",
    "PermissionRequest": "",
    "PreCompact": "",
    "Stop": "",
    "SessionEnd": "",
}


@dataclass(frozen=True, slots=True)
class HookClient:
    """What is particular to the hooks of one client.

    Attributes:
        name: as `connect` calls the client.
        file: the user's file with hooks.
        events: each event that is used, with what it is matched by ("": it always is).
        calls_tools: the events for which the client calls a tool of our server itself.
        after: what the user has to do for the hooks to run.
    """

    name: str
    file: Callable[[Environ], str]
    events: Mapping[str, str]
    calls_tools: frozenset[str]
    after: str


def _claude_settings(environ: Environ) -> str:
    base = environ.get("CLAUDE_CONFIG_DIR") or os.path.join(home(environ), ".claude")
    return os.path.join(base, "settings.json")


def _codex_hooks(environ: Environ) -> str:
    return os.path.join(environ.get("CODEX_HOME") or home(environ) + "/.codex", "hooks.json")


HOOK_CLIENTS: Mapping[str, HookClient] = {
    client.name: client
    for client in (
        HookClient(
            "claude-code",
            _claude_settings,
            _CLAUDE_EVENTS,
            frozenset(_FIELDS),
            "New sessions run them; `/hooks` in Claude Code shows them.",
        ),
        HookClient(
            "codex",
            _codex_hooks,
            _CODEX_EVENTS,
            frozenset(),
            "Codex ignores hooks, without a word, until you trust them: start `codex`, choose "
            '"Trust all and continue" when it says that hooks need review (or type /hooks).',
        ),
    )
}


def command_name(event: str) -> str:
    """Return an event as `khive-supervisor hook` takes it: `SessionStart` is `session-start`."""
    parts = ("-" + c.lower() if c.isupper() else c for c in event)
    return "".join(parts).lstrip("-")


def wanted_hooks(
    client: HookClient, argv: list[str], env: Mapping[str, str], server: str = NAME
) -> dict[str, JsonObject]:
    """Return the group of each event.

    Args:
        client: whose hooks they are.
        argv: the command line of `khive-supervisor hook`.
        env: the variables that it needs.
        server: how the client calls our server.
    """
    calls = {event: _tool_call(event, server) for event in client.calls_tools}
    return {
        event: _group(matcher, calls.get(event) or _command(client, event, argv, env))
        for event, matcher in client.events.items()
    }


def _group(matcher: str, handler: JsonObject) -> JsonObject:
    return {**({"matcher": matcher} if matcher else {}), "hooks": [handler]}


def _tool_call(event: str, server: str) -> JsonObject:
    fields = ("session_id", "cwd", *_FIELDS[event])
    told = {"event": event, **{field: f"${{{field}}}" for field in fields}}
    return {"type": "mcp_tool", "server": server, "tool": TOOL, "input": told, "timeout": TIMEOUT}


def _command(client: HookClient, event: str, argv: list[str], env: Mapping[str, str]) -> JsonObject:
    set_before = [f"{name}={shlex.quote(value)}" for name, value in env.items()]
    words = [shlex.quote(word) for word in (*argv, command_name(event), "--client", client.name)]
    return {"type": "command", "command": " ".join(set_before + words), "timeout": TIMEOUT}


def is_our_hook(group: object) -> bool:
    """Return True if all that a group starts is ours."""
    hooks = group.get("hooks") if isinstance(group, dict) else None
    return isinstance(hooks, list) and bool(hooks) and all(map(_is_our_handler, hooks))


def _is_our_handler(handler: object) -> bool:
    if not isinstance(handler, dict):
        return False
    if handler.get("type") == "mcp_tool":
        return handler.get("server") == NAME and str(handler.get("tool", "")).startswith("hooks_")
    words = str(handler.get("command", "")).split()
    ours = any(
        os.path.basename(word.strip("'\"")) in (PROGRAM, "khive_supervisor") for word in words
    )
    return ours and "hook" in words


def command_of(group: object) -> str:
    """Return the command line that a group of ours starts; empty if it calls a tool."""
    handlers = group.get("hooks", ()) if isinstance(group, dict) else ()
    return next((str(one["command"]) for one in handlers if "command" in one), "")


def present_hooks(file: str) -> dict[str, list[object]]:
    """Return our groups in a file, by event; raises KhiveError if it cannot be read or parsed."""
    try:
        return _ours(rewrite.read(file).text)
    except CannotEdit as why:
        raise refuse_edit(file, why) from None


def _ours(text: str) -> dict[str, list[object]]:
    names = json_items.list_names(text, SECTION)
    found = {event: json_items.items(text, SECTION, event) for event in names}
    kept = {event: list(filter(is_our_hook, groups)) for event, groups in found.items()}
    return {event: groups for event, groups in kept.items() if groups}


def _with(text: str, wanted: Mapping[str, JsonObject]) -> str:
    """Return a text with our groups as they are wanted, each at the end of its event."""
    text = _without(text)
    for event, group in wanted.items():
        text = json_items.append_item(text, SECTION, event, group)
    return text


def _without(text: str) -> str:
    for event in _ours(text):
        text = json_items.remove_items(text, SECTION, event, is_our_hook)
    return text


def write_hooks(client: HookClient, file: str, wanted: Mapping[str, JsonObject]) -> FileOutcome:
    """Put our hooks into a file, or up to date; nothing else in it changes.

    Raises:
        KhiveError: the file cannot be edited safely, with what to paste; it was left untouched.
    """
    original = rewrite.read(file)
    entry = {SECTION: {event: [group] for event, group in wanted.items()}}
    try:
        present = _ours(original.text)
        if present == entry[SECTION]:
            return FileOutcome(client.name, file, "unchanged", entry)
        text = _with(original.text, wanted)
    except CannotEdit as why:
        raise refuse_edit(file, why, _with("", wanted)) from None
    backup = rewrite.replace(original, text)
    action: Action = "updated" if present else "added"
    return FileOutcome(client.name, file, action, entry, backup)


def remove_hooks(client: HookClient, file: str) -> FileOutcome:
    """Take our hooks out of a file; others' stay.

    A file in which nothing else changed since we came is as it was before, or gone.

    Raises:
        KhiveError: the file cannot be edited safely; it was left untouched.
    """
    original = rewrite.read(file)
    try:
        present = _ours(original.text)
        if not present:
            return FileOutcome(client.name, file, "absent", {})
        rewrite.take_back(original, _without(original.text), lambda text: _again(text, present))
    except CannotEdit as why:
        raise refuse_edit(file, why) from None
    return FileOutcome(client.name, file, "removed", {})


def _again(before: str, present: Mapping[str, list[object]]) -> str:
    """Return what a text becomes with these groups; raises CannotEdit."""
    groups = {event: found[0] for event, found in present.items() if isinstance(found[0], dict)}
    return _with(before, groups)
