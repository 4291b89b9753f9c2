"""Which agent a role's program is, and how this memory is reached from it."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

from khive_supervisor.agents import claude, codex, plain
from khive_supervisor.agents.model import Format, Server
from khive_supervisor.config.settings.handler import Handler

FORMATS: Mapping[str, Format] = {module.NAME: module for module in (claude, codex, plain)}
#: Variables that decide which supervisor and which store are found.
_OWN = (
    "KHIVE_SOCKET",
    "KHIVE_CONFIG",
    "KHIVE_STORE",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "XDG_STATE_HOME",
)


def format_of(handler: Handler) -> Format:
    """Return the format that the handler names, else that of its program's name."""
    name = handler.format or os.path.basename(handler.agent[0])
    return FORMATS.get(name, plain)


def server(environ: Mapping[str, str], role: str, namespace: str) -> Server:
    """Return the `attach` of this installation, serving a role in a task's namespace.

    The variables are part of it, since some agents start their servers with a scrubbed
    environment.
    """
    script = os.path.join(os.path.dirname(sys.executable), "khive-supervisor")
    known = os.access(script, os.X_OK)
    argv = (script,) if known else (sys.executable, "-P", "-m", "khive_supervisor")
    variables = {name: environ[name] for name in _OWN if environ.get(name)}
    variables["KHIVE_ACTOR"] = role
    if namespace:
        variables["KHIVE_NAMESPACE"] = namespace
    return Server((*argv, "attach"), variables)
