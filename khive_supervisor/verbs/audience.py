"""What whoever may not make a call is told: whose it is, why, and who can make it how."""

from __future__ import annotations

import json
import shlex
from typing import Any

from khive_supervisor.errors import Denied

#: Characters of a command that a hint repeats; longer arguments are left out.
COMMAND_LIMIT = 300


def an_operators(name: str, because: str, arguments: Any) -> Denied:
    """Return the error of a verb that is an operator's, whatever the arguments."""
    return Denied(f"{name} is an operator's verb: {because}.", hint=_instead(name, arguments))


def an_operators_here(name: str, why: str, arguments: Any) -> Denied:
    """Return the error of an agent's verb that is an operator's with these arguments."""
    return Denied(f"{name} is an operator's here: {why}.", hint=_instead(name, arguments))


def not_confined(name: str, arguments: Any) -> Denied:
    """Return the error of a verb that no confined session has."""
    return Denied(
        f"{name} is about what all namespaces share, and this session is confined.",
        hint=_instead(name, arguments),
    )


def _instead(name: str, arguments: Any) -> str:
    return (
        f"The user can do it in a terminal that no agent has started: `{command(name, arguments)}`."
    )


def command(name: str, arguments: Any) -> str:
    """Return the command line of a call."""
    bare = f"khive-supervisor call {name}"
    if not isinstance(arguments, dict):
        return bare
    words = [shlex.quote(f"{key}={_written(value)}") for key, value in arguments.items()]
    whole = " ".join((bare, *words))
    return whole if whole.isprintable() and len(whole) <= COMMAND_LIMIT else f"{bare} ..."


def _written(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=repr)
