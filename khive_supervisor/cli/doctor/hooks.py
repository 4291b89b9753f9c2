"""The checks of `doctor` for hooks: whether they are there, are run, and reach the supervisor."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from khive_supervisor.attach.hook import CHECKED
from khive_supervisor.cli.clients import clients, hooks, toml_edit
from khive_supervisor.cli.clients.hooks import HOOK_CLIENTS, HookClient
from khive_supervisor.cli.clients.json_edit import CannotEdit, parse
from khive_supervisor.cli.clients.plugin_file import (
    PLUGIN_CLIENTS,
    PluginClient,
    command_in,
    present_plugin,
    wanted_plugin,
)
from khive_supervisor.cli.clients.rewrite import read
from khive_supervisor.cli.doctor.checks import Check
from khive_supervisor.errors import KhiveError
from khive_supervisor.text.plain_json import JsonObject

#: Seconds that a hook may take before that is told, and before it is given up.
SLOW, GIVEN_UP = 0.5, 10.0


def check_hooks(cwd: str, environ: Mapping[str, str]) -> Iterable[Check]:
    """Check each client's hooks; one without any is not mentioned."""
    for client in HOOK_CLIENTS.values():
        yield from _of(client, cwd, environ)
    for plugin in PLUGIN_CLIENTS.values():
        yield from _of_plugin(plugin, cwd, environ)


def _of_plugin(client: PluginClient, cwd: str, environ: Mapping[str, str]) -> Iterator[Check]:
    name, file = f"hooks {client.name}", client.file(environ)
    try:
        present = present_plugin(file)
    except KhiveError as error:
        yield Check(name, "warn", error.message, fix=error.hint)
        return
    if not present:
        return
    fix = f"khive-supervisor connect {client.name} --hooks"
    command = command_in(present)
    if not command or not os.access(command[0], os.X_OK):
        started = command[0] if command else "nothing"
        why = "The client notes nothing then, and is told nothing."
        yield Check(name, "fail", f"{file} starts {started}, which is not there", why, fix)
        return
    argv = clients.command(sys.argv[0], "hook")
    if present != wanted_plugin(client, argv, clients.environment(environ, cwd)):
        why = "It starts another program, or is of another release."
        yield Check(name, "warn", f"The plugin in {file} is not of this installation", why, fix)
    yield _tried(name, file, command, environ, time.monotonic)


def _of(client: HookClient, cwd: str, environ: Mapping[str, str]) -> Iterator[Check]:
    name, file = f"hooks {client.name}", client.file(environ)
    try:
        present = hooks.present_hooks(file)
    except KhiveError as error:
        yield Check(name, "warn", error.message, fix=error.hint)
        return
    if not present:
        return
    fix = f"khive-supervisor connect {client.name} --hooks"
    command = _command(present)
    if command and not os.access(command[0], os.X_OK):
        why = "The client runs nothing then, and says nothing."
        yield Check(name, "fail", f"{file} starts {command[0]}, which is not there", why, fix)
        return
    if why := _unlike(client, present, cwd, environ):
        yield Check(name, "warn", f"Hooks in {file} are not of this installation", why, fix)
    if why := _ignored(client, file, environ):
        yield Check(name, "warn", f"{client.name} ignores the hooks in {file}", why, client.after)
    yield _tried(name, file, command, environ, time.monotonic)


def _command(present: Mapping[str, Sequence[object]]) -> list[str]:
    """Return the command line of the first hook that starts a process, without its event."""
    found = (hooks.command_of(group) for groups in present.values() for group in groups)
    words = shlex.split(next((line for line in found if line), ""))
    kept = [word for word in words if "=" not in word.partition("/")[0]]
    return kept[: kept.index("hook") + 1] if "hook" in kept else []


def _unlike(
    client: HookClient,
    present: Mapping[str, Sequence[object]],
    cwd: str,
    environ: Mapping[str, str],
) -> str:
    """Return how hooks differ from those that `connect` writes now; empty if they do not."""
    argv = clients.command(sys.argv[0], "hook")
    wanted = hooks.wanted_hooks(client, argv, clients.environment(environ, cwd))
    missing = sorted(wanted.keys() - present.keys())
    if missing:
        return f"They lack {', '.join(missing)}: another release has written them."
    same = all(list(present.get(event, ())) == [group] for event, group in wanted.items())
    return "" if same else "They start another program, or are of another release."


def _ignored(client: HookClient, file: str, environ: Mapping[str, str]) -> str:
    """Return why a client does not run its hooks; empty if nothing says so."""
    if client.name == "codex":
        return _distrusted(file, clients.CLIENTS["codex"].user_file(environ))
    settings = _parsed(file, parse)
    return "disableAllHooks is set there." if settings.get("disableAllHooks") is True else ""


def _distrusted(file: str, configuration: str) -> str:
    """Return why Codex does not trust a file's hooks: it notes those that it does."""
    noted = _parsed(configuration, toml_edit.parse).get("hooks", {})
    state = noted.get("state", {}) if isinstance(noted, dict) else {}
    names = state if isinstance(state, dict) else {}
    trusted = any(str(name).startswith(file) for name in names)
    return "" if trusted else f"{configuration} notes no trust in them."


def _parsed(file: str, parser: Callable[[str], JsonObject]) -> JsonObject:
    try:
        return parser(read(file).text)
    except (KhiveError, CannotEdit):
        return {}


def _tried(
    name: str,
    file: str,
    command: Sequence[str],
    environ: Mapping[str, str],
    clock: Callable[[], float],
) -> Check:
    """Return what a hook of no event comes to: whether it reaches a supervisor, and how soon."""
    began = clock()
    try:
        done = subprocess.run([*command, "check"], env=dict(environ), input="", text=True,
                              capture_output=True, timeout=GIVEN_UP, check=False)  # fmt: skip
    except (OSError, subprocess.SubprocessError, IndexError) as error:
        return Check(name, "warn", f"Hooks in {file} cannot be tried", str(error))
    seconds = clock() - began
    if CHECKED not in done.stdout:
        why = "The first hook of a session starts one, and is silent itself."
        return Check(name, "warn", f"Set up in {file}; no supervisor is reached now", why,
                     "khive-supervisor start --background")  # fmt: skip
    if seconds > SLOW:
        why = "A client waits for each hook. Is the machine busy?"
        return Check(name, "warn", f"Set up in {file}; one takes {seconds:.1f} s", why)
    return Check(name, "ok", f"Set up in {file}; one takes {seconds * 1000:.0f} ms")
