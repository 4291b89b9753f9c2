"""Clients that load a program instead of settings: OpenCode, whose plugins stand in a folder.

The program is a file of ours alone, with the command line of `khive-supervisor hook` in it.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files

from khive_supervisor.cli.clients import rewrite
from khive_supervisor.cli.clients.clients import Action, Environ, FileOutcome, home
from khive_supervisor.errors import KhiveError

#: What our programs begin with, and no other does.
MARK = "// What happens in sessions is told to khive"
_COMMAND = re.compile(r"^const COMMAND = (\[.*\])$", re.MULTILINE)
_VARIABLES = re.compile(r"^const VARIABLES = (\{.*\})$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class PluginClient:
    """What is particular to the plugin of one client.

    Attributes:
        name: as `connect` calls the client.
        file: the user's file with the plugin.
        template: the program, below this package.
        after: what is to be known when it was written.
    """

    name: str
    file: Callable[[Environ], str]
    template: str
    after: str


def _opencode_plugin(environ: Environ) -> str:
    base = environ.get("XDG_CONFIG_HOME") or home(environ) + "/.config"
    return os.path.join(base, "opencode/plugins/khive.js")


PLUGIN_CLIENTS: Mapping[str, PluginClient] = {
    "opencode": PluginClient(
        "opencode", _opencode_plugin, "opencode.js", "OpenCode loads it at its next start."
    )
}


def wanted_plugin(client: PluginClient, argv: Sequence[str], env: Mapping[str, str]) -> str:
    """Return the program; `argv` is the command line of `khive-supervisor hook`, `env` its own."""
    place = files("khive_supervisor") / "cli" / "clients" / client.template
    text = place.read_text(encoding="utf-8")
    for form, value in ((_COMMAND, list(argv)), (_VARIABLES, dict(env))):
        line = form.search(text)
        assert line is not None, "the template has the line"
        text = text[: line.start(1)] + json.dumps(value) + text[line.end(1) :]
    return text


def present_plugin(file: str) -> str:
    """Return our program in a file; empty if there is none, or another's.

    Raises:
        KhiveError: it cannot be read.
    """
    text = rewrite.read(file).text
    return text if text.startswith(MARK) else ""


def command_in(text: str) -> list[str]:
    """Return the command line that a program of ours starts; empty if it names none."""
    found = _COMMAND.search(text)
    try:
        words = json.loads(found[1]) if found else []
    except ValueError:
        return []
    return [word for word in words if isinstance(word, str)]


def write_plugin(client: PluginClient, file: str, wanted: str) -> FileOutcome:
    """Put our program into its file, or up to date.

    Raises:
        KhiveError: the file is another's, or cannot be written; it was left untouched.
    """
    original = rewrite.read(file)
    if original.data and not original.text.startswith(MARK):
        raise KhiveError(
            f"{file} is another's plugin; nothing was written.",
            hint="Give it another name, and connect again.",
        )
    if original.text == wanted:
        return FileOutcome(client.name, file, "unchanged", {})
    rewrite.replace(original, wanted, backup=False)
    action: Action = "updated" if original.data else "added"
    return FileOutcome(client.name, file, action, {})


def remove_plugin(client: PluginClient, file: str) -> FileOutcome:
    """Remove our program; another's stays.

    Raises:
        KhiveError: it cannot be removed.
    """
    original = rewrite.read(file)
    if not original.text.startswith(MARK):
        return FileOutcome(client.name, file, "absent", {})
    rewrite.remove(original)
    return FileOutcome(client.name, file, "removed", {})
