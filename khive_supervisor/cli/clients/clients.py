"""The MCP clients that can be connected: where their configuration is and what goes into it.

Facts about the clients stand in one table; the rest is the same for all. Only our own entry is
ever touched, and what a user added to it stays.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from khive_supervisor.cli.clients import json_edit, rewrite, toml_edit
from khive_supervisor.errors import InvalidInput, KhiveError
from khive_supervisor.text.plain_json import JsonObject

#: The name of our entry in every client.
NAME = "khive"
PROGRAM = "khive-supervisor"
#: Variables that decide which supervisor is found, and which store one uses that attach starts.
#: Some clients start their servers with a scrubbed environment, so an entry carries those set.
OWN_VARIABLES = ("KHIVE_SOCKET", "KHIVE_CONFIG", "KHIVE_STORE")
#: The directories that they default to, relative to the home directory.
DIRECTORIES = {
    "XDG_CONFIG_HOME": ".config",
    "XDG_DATA_HOME": ".local/share",
    "XDG_STATE_HOME": ".local/state",
}
ENVIRONMENT = (*OWN_VARIABLES, *DIRECTORIES)

Action = Literal["added", "updated", "unchanged", "removed", "absent"]
Environ = Mapping[str, str]


class Editor(Protocol):
    """What edits one format: the modules `json_edit` and `toml_edit`."""

    def parse(self, text: str, /) -> JsonObject:
        """The document."""

    def set_member(self, text: str, section: str, name: str, value: JsonObject, /) -> str:
        """The document with `section.name` added or changed."""

    def remove_member(self, text: str, section: str, name: str, /) -> str:
        """The document without `section.name`."""


@dataclass(frozen=True, slots=True)
class McpClient:
    """What is particular to one client.

    Attributes:
        name, title: on the command line, and for people.
        user_file: its configuration for all of a user's projects.
        project_file: its configuration of one project, relative to the project.
        section: the table or object that holds the servers.
        editor: what edits its format.
        always: settings that our entry needs besides command and arguments.
        once: settings that a new entry gets, and that a user may then change.
        after: what the user has to do for the client to notice.
        after_project: the same for a project's file.
        argv_in_one: the command is one list with its arguments.
        variables: the member that holds environment variables.
        approval: what lets the client call tools that change something without asking, and why.
    """

    name: str
    title: str
    user_file: Callable[[Environ], str]
    project_file: str
    section: str
    editor: Editor = json_edit
    always: Mapping[str, Any] = field(default_factory=dict)
    once: Mapping[str, Any] = field(default_factory=dict)
    after: str = ""
    after_project: str = ""
    argv_in_one: bool = False
    variables: str = "env"
    approval: tuple[Mapping[str, Any], str] | None = None


@dataclass(frozen=True, slots=True)
class FileOutcome:
    """What was done to one file."""

    client: str
    file: str
    action: Action
    entry: JsonObject
    backup: str | None = None
    notes: tuple[str, ...] = ()


def home(environ: Environ) -> str:
    """Return the user's home directory."""
    return environ.get("HOME") or os.path.expanduser("~")


def _claude_file(environ: Environ) -> str:
    return os.path.join(environ.get("CLAUDE_CONFIG_DIR") or home(environ), ".claude.json")


def _codex_file(environ: Environ) -> str:
    return os.path.join(environ.get("CODEX_HOME") or home(environ) + "/.codex", "config.toml")


def _vscode_file(environ: Environ) -> str:
    """The user file of the first VS Code that is there; on a remote machine, its server's."""
    own = home(environ)
    if sys.platform == "darwin":
        base = own + "/Library/Application Support"
    else:
        base = environ.get("XDG_CONFIG_HOME") or own + "/.config"
    candidates = [f"{base}/{name}/User" for name in ("Code", "Code - Insiders", "VSCodium")]
    candidates.append(own + "/.vscode-server/data/User")
    found = next((path for path in candidates if os.path.isdir(path)), candidates[0])
    return found + "/mcp.json"


_CODEX_APPROVAL = (
    'Where Codex runs with approval_policy = "never" it can remember, recall, supersede and '
    "forget; khive_call, which leads to everything else, is refused. `connect codex --approve` "
    'writes default_tools_approval_mode = "approve" into [mcp_servers.khive]: then it uses all '
    "tools of this server without asking."
)


def _opencode_file(environ: Environ) -> str:
    """The user's file in the form that is there, JSON with comments or without."""
    base = (environ.get("XDG_CONFIG_HOME") or home(environ) + "/.config") + "/opencode"
    candidates = [f"{base}/{name}" for name in ("opencode.json", "opencode.jsonc")]
    return next((path for path in candidates if os.path.exists(path)), candidates[0])


CLIENTS: dict[str, McpClient] = {
    client.name: client
    for client in (
        McpClient(
            "claude-code",
            "Claude Code",
            _claude_file,
            ".mcp.json",
            "mcpServers",
            always={"type": "stdio"},
            # Without it the tools are behind a search, known to the model by name only.
            once={"alwaysLoad": True},
            after="New sessions have it; `claude mcp list` shows it.",
            after_project="Claude Code asks each user to approve it in the next session there.",
        ),
        McpClient(
            "codex",
            "Codex",
            _codex_file,
            ".codex/config.toml",
            "mcp_servers",
            editor=toml_edit,
            # Older releases gave a server 10 seconds; the first start after a boot may take some.
            once={"startup_timeout_sec": 30},
            after="New sessions have it; `codex mcp list` shows it. Codex does not wait for a "
            "supervisor that is only starting: keep one running (`start --background`).",
            after_project="Codex reads it in projects that the user trusts.",
            approval=(
                {"default_tools_approval_mode": "approve"},
                _CODEX_APPROVAL,
            ),
        ),
        McpClient(
            "cursor",
            "Cursor",
            lambda environ: home(environ) + "/.cursor/mcp.json",
            ".cursor/mcp.json",
            "mcpServers",
            after="Restart Cursor, or switch the server on in its MCP settings.",
        ),
        McpClient(
            "vscode",
            "VS Code",
            _vscode_file,
            ".vscode/mcp.json",
            "servers",
            always={"type": "stdio"},
            after="Run `MCP: List Servers` in VS Code and start it.",
        ),
        McpClient(
            "gemini",
            "Gemini CLI",
            lambda environ: home(environ) + "/.gemini/settings.json",
            ".gemini/settings.json",
            "mcpServers",
            after="New sessions in folders that you trust have it; `gemini mcp list` shows it.",
        ),
        McpClient(
            "opencode",
            "OpenCode",
            _opencode_file,
            "opencode.json",
            "mcp",
            always={"type": "local"},
            once={"enabled": True},
            after="New sessions have it; `opencode mcp list` shows it.",
            argv_in_one=True,
            variables="environment",
        ),
    )
}


def command(argv0: str, name: str = "attach", *, portable: bool = False) -> list[str]:
    """The command line of `attach`, or another: absolute, or by name in a shared file (`portable`).

    The script is not resolved through links: a link in ~/.local/bin outlives an upgrade.
    """
    if os.path.basename(argv0) == PROGRAM:
        script = os.path.abspath(argv0) if os.sep in argv0 else shutil.which(PROGRAM)
        if portable and shutil.which(PROGRAM):
            return [PROGRAM, name]
        if script and os.access(script, os.X_OK):
            return [script, name]
    return [sys.executable, "-P", "-m", "khive_supervisor", name]


def environment(environ: Environ, cwd: str) -> dict[str, str]:
    """The variables that an entry must carry: those set to something else than their default."""
    found = {name: environ[name] for name in OWN_VARIABLES if environ.get(name)}
    for name in ("KHIVE_CONFIG", "KHIVE_STORE"):
        if name in found and not found[name].startswith("~"):
            found[name] = os.path.join(cwd, found[name])
    for name, default in DIRECTORIES.items():
        value = environ.get(name)
        if value and value.rstrip("/") != f"{home(environ)}/{default}":
            found[name] = value
    return found


def wanted_entry(
    client: McpClient, argv: list[str], env: Mapping[str, str], *, approve: bool = False
) -> JsonObject:
    """Our entry as a client without one gets it; `approve`: with what spares its questions."""
    command = {"command": argv} if client.argv_in_one else {"command": argv[0], "args": argv[1:]}
    entry: JsonObject = {**client.always, **command}
    if env:
        entry[client.variables] = dict(env)
    if approve and client.approval is not None:
        entry |= client.approval[0]
    return {**entry, **client.once}


def merged_entry(client: McpClient, present: object, wanted: JsonObject) -> JsonObject:
    """Our entry with what a user added to it: other settings and other variables stay."""
    if not isinstance(present, dict) or "url" in present or "httpUrl" in present:
        return wanted
    required = {key: wanted[key] for key in wanted if key not in client.once}
    merged = {**present, **required}
    had = present.get(client.variables)
    if isinstance(had, dict):
        kept = {key: item for key, item in had.items() if key not in ENVIRONMENT}
        merged[client.variables] = {**kept, **wanted.get(client.variables, {})}
        if had and not merged[client.variables]:
            del merged[client.variables]
    return merged


def is_ours(entry: object) -> bool:
    """Return whether an entry starts this program, wherever it is installed."""
    if not isinstance(entry, dict):
        return False
    words = words_of(entry)
    names = {os.path.basename(word) for word in words}
    return PROGRAM in names or "khive_supervisor" in names


def words_of(entry: Mapping[str, Any]) -> list[str]:
    """The command line that an entry starts, in whichever form it has it."""
    parts = [entry.get("command"), entry.get("args")]
    words = [word for part in parts for word in (part if isinstance(part, list) else [part])]
    return [word for word in words if isinstance(word, str)]


def configuration_file(client: McpClient, project: str | None, environ: Environ) -> str:
    """The file of a client: the user's, or that of a project directory."""
    if project is None:
        return client.user_file(environ)
    return os.path.join(project, client.project_file)


def present_entry(client: McpClient, file: str) -> object:
    """The entry with our name in a client's file; None if there is none.

    Raises:
        KhiveError: the file cannot be read or parsed.
    """
    try:
        return _entry(client, rewrite.read(file).text)
    except json_edit.CannotEdit as why:
        raise refuse_edit(file, why) from None


def connect(
    client: McpClient, file: str, wanted: JsonObject, *, shared: bool = False
) -> FileOutcome:
    """Add or update our entry in a client's file; nothing else in it changes.

    Args:
        client: whose file it is.
        file: its path; it need not exist.
        wanted: the entry, from `wanted_entry`.
        shared: whether others read the file too, which decides the mode of a new one.

    Raises:
        KhiveError: the file cannot be edited safely, with what to paste; it was left untouched.
    """
    original = rewrite.read(file, new_mode=0o644 if shared else 0o600)
    try:
        present = _entry(client, original.text)
        entry = merged_entry(client, present, wanted)
        text = client.editor.set_member(original.text, client.section, NAME, entry)
    except json_edit.CannotEdit as why:
        raise refuse_edit(file, why, snippet(client, wanted)) from None
    if present == entry:
        return FileOutcome(client.name, file, "unchanged", entry)
    backup = rewrite.replace(original, text)
    if present is None:
        return FileOutcome(client.name, file, "added", entry, backup)
    foreign = () if is_ours(present) else (f'Its entry "{NAME}" started something else before.',)
    return FileOutcome(client.name, file, "updated", entry, backup, foreign)


def disconnect(client: McpClient, file: str) -> FileOutcome:
    """Remove our entry from a client's file; an entry of that name that is not ours stays.

    A file in which nothing else changed since we came is as it was before, or gone, and so is the
    copy of it.

    Raises:
        InvalidInput: the entry is not ours.
        KhiveError: the file cannot be edited safely; it was left untouched.
    """
    original = rewrite.read(file)
    try:
        present = _entry(client, original.text)
        text = client.editor.remove_member(original.text, client.section, NAME)
    except json_edit.CannotEdit as why:
        raise refuse_edit(file, why) from None
    if present is None:
        return FileOutcome(client.name, file, "absent", {})
    if not is_ours(present):
        raise InvalidInput(
            f'The entry "{NAME}" in {file} does not start {PROGRAM}; it was left there.',
            hint="Remove it by hand if you want it gone.",
        )
    entry = present if isinstance(present, dict) else {}
    rewrite.take_back(
        original, text, lambda before: client.editor.set_member(before, client.section, NAME, entry)
    )
    return FileOutcome(client.name, file, "removed", {})


def snippet(client: McpClient, entry: JsonObject) -> str:
    """The entry as a file that has nothing else, to paste by hand."""
    return client.editor.set_member("", client.section, NAME, entry)


def _entry(client: McpClient, text: str) -> object:
    section = client.editor.parse(text).get(client.section)
    return section.get(NAME) if isinstance(section, dict) else None


def refuse_edit(file: str, why: Exception, paste: str = "") -> KhiveError:
    """Return the error of a file that cannot be edited safely, with what to paste by hand."""
    return KhiveError(
        f"{file} cannot be edited safely: {why}. It was left untouched.",
        hint=f"Add this to it by hand:\n\n{paste}" if paste else "Mend it, or edit it by hand.",
    )
