"""Roles: every key of a `[[roles]]` table, declared once like the other settings.

A role is a stable name for work of some types: its workers come and go, and what it has learned
stays. How a changed key takes effect is part of its declaration: config/changes.py reads it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import MISSING, dataclass, fields
from typing import Any

from khive_supervisor.config.budget_table import UNLIMITED, Budget
from khive_supervisor.config.values import Setting, declare, required

_MINUTE, _HOUR, _DAY = 60.0, 3600.0, 86400.0
_MIB, _TIB = 1 << 20, 1 << 40
_VARIABLE = r"[A-Za-z_][A-Za-z0-9_]*"
_NAME = r"[A-Za-z0-9_-]{1,64}"
_TYPE_NAME = r"[A-Za-z0-9_.-]{1,64}"
_FUNCTION = r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*"

#: Roles of one configuration; each has processes of its own.
MAX_ROLES = 100


@dataclass(frozen=True, slots=True)
class Handler:
    """What does a role's work: exactly one of the two is given."""

    python: str = declare(
        "",
        Setting(
            "text",
            "A function that gets the task and returns its result.",
            applies="rolling",
            maximum=500,
            pattern=_FUNCTION,
            form="package.module:function",
        ),
    )
    command: tuple[str, ...] = declare(
        (),
        Setting(
            "command",
            "A program and its arguments, started for each task without a shell; the task is on "
            "its stdin, and what it prints is the result.",
            applies="rolling",
            minimum=1,
            maximum=1000,
        ),
    )


@dataclass(frozen=True, slots=True)
class Role:
    """A stable name for work of some types, and who does it."""

    role: str = required(
        Setting(
            "text",
            "The name, by which tasks, records and profiles know the role.",
            applies="identity",
            pattern=_NAME,
            form="letters, digits, - and _; 1 to 64 of them",
        ),
    )
    task_types: tuple[str, ...] = required(
        Setting(
            "list",
            "The types of tasks that the role takes.",
            applies="live",
            minimum=1,
            maximum=100,
            pattern=_TYPE_NAME,
            form="each of letters, digits, -, _ and .; 1 to 64 of them",
        ),
    )
    handler: Handler = required(  # noqa: RUF009 - it has no default, only a declaration
        Setting(
            "text",
            'What does the work: `{ python = "package.module:function" }` or '
            '`{ command = ["program", "argument"] }`.',
            applies="rolling",
            form='{ python = "package.module:function" } or { command = ["program", "argument"] }',
        ),
    )
    budget: Budget = declare(  # noqa: RUF009 - frozen, so that all may share it
        UNLIMITED,
        Setting(
            "text",
            "What the role may spend: `{ weekly = 50.0, monthly = 150.0 }`.",
            applies="live",
            form="{ weekly = 50.0 }, { monthly = 150.0 } or both, with unit, near, reserve and "
            "fallback if needed",
        ),
    )
    workers: int = declare(
        1,
        Setting(
            "integer",
            "Workers, each of which does one task at a time; 0 leaves the tasks waiting.",
            applies="live",
            minimum=0,
            maximum=64,
        ),
    )
    timeout: float = declare(
        15 * _MINUTE,
        Setting(
            "duration",
            "How long one attempt at a task may take.",
            applies="rolling",
            minimum=0.1,
            maximum=7 * _DAY,
        ),
    )
    memory: int = declare(
        0,
        Setting(
            "size",
            "The memory that a worker and its handler may take; 0 for as much as there is.",
            applies="rolling",
            minimum=32 * _MIB,
            maximum=_TIB,
            optional=True,
        ),
    )
    warm_timeout: float = declare(
        60.0,
        Setting(
            "duration",
            "How long a worker may take to be ready, such as for its imports; then it is killed, "
            "and a reload that waits for it changes nothing.",
            applies="live",
            minimum=0.1,
            maximum=_HOUR,
        ),
    )
    drain_deadline: float = declare(
        60.0,
        Setting(
            "duration",
            "How long a worker that is being replaced may go on with its task; then the task is "
            "queued again.",
            applies="live",
            minimum=0,
            maximum=_DAY,
        ),
    )
    attempts: int = declare(
        3,
        Setting(
            "integer",
            "How often a task is tried before it is given up.",
            applies="live",
            minimum=1,
            maximum=100,
        ),
    )
    env_allow: tuple[str, ...] = declare(
        (),
        Setting(
            "list",
            "Names of the supervisor's environment variables that the handler sees if they are "
            "set, beside those that every program needs.",
            applies="rolling",
            maximum=100,
            pattern=_VARIABLE,
            form="each the name of an environment variable",
        ),
    )
    env_require: tuple[str, ...] = declare(
        (),
        Setting(
            "list",
            "As env_allow, but the role does not start without them.",
            applies="rolling",
            maximum=100,
            pattern=_VARIABLE,
            form="each the name of an environment variable",
        ),
    )
    cwd: str = declare(
        "",
        Setting(
            "path",
            "The directory that the handler works in; the home directory if none is given. `~` "
            "and relative paths as in store.path.",
            applies="rolling",
            optional=True,
        ),
    )
    description: str = declare(
        "",
        Setting(
            "text",
            "What the role is for, in words for people and agents.",
            applies="live",
            maximum=500,
            optional=True,
        ),
    )

    @property
    def variables(self) -> tuple[str, ...]:
        """Every environment variable that the handler may see beside the usual ones, once."""
        return tuple(dict.fromkeys((*self.env_require, *self.env_allow)))


#: Keys that are tables themselves; their own keys are written behind a dot.
NESTED: dict[str, type[Handler | Budget]] = {"handler": Handler, "budget": Budget}


def keys_of(kind: type[Handler | Budget | Role]) -> dict[str, Setting]:
    """The declarations of a role's (or an inner table's) keys by name, in order."""
    return {item.name: item.metadata["setting"] for item in fields(kind)}


def required_keys() -> tuple[str, ...]:
    """The keys that every role must have."""
    return tuple(item.name for item in fields(Role) if item.default is MISSING)


def every_key() -> Iterator[tuple[str, Setting]]:
    """Every key as it is written below a role, with `handler.python` and the like."""
    for name, setting in keys_of(Role).items():
        if name in NESTED:
            yield from ((f"{name}.{inner}", s) for inner, s in keys_of(NESTED[name]).items())
        else:
            yield name, setting


def default_of(name: str) -> Any:
    """The default of a key; None if it must be given, or is not set."""
    first, _, inner = name.partition(".")
    item = next(f for f in fields(NESTED.get(first, Role)) if f.name == (inner or first))
    return None if item.default is MISSING else item.default


def value_of(role: Role, name: str) -> Any:
    """The value of a key, with `handler.python` and the like."""
    value: Any = role
    for part in name.split("."):
        value = getattr(value, part)
    return value


def left_out(name: str, value: Any) -> bool:
    """Whether a key is not written: one of an inner table that is as it would be without it."""
    return "." in name and bool(value == default_of(name))


def role_as_dict(role: Role) -> dict[str, Any]:
    """Plain data that JSON can carry; what an inner table leaves at its default is left out."""
    data: dict[str, Any] = {}
    for name, _ in every_key():
        value = value_of(role, name)
        first, _, inner = name.partition(".")
        plain = list(value) if isinstance(value, tuple) else value
        if not inner:
            data[first] = plain
        elif not left_out(name, value):
            data.setdefault(first, {})[inner] = plain
    return data


def digest(role: Role) -> str:
    """A short stable hash of what the work depends on: exactly the keys that need new workers.

    Neither the name nor the number of workers is in it: a result says which behaviour made it.
    """
    relevant = {
        name: value_of(role, name) for name, setting in every_key() if setting.applies == "rolling"
    }
    text = json.dumps(relevant, sort_keys=True)
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()
