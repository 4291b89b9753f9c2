"""What does a role's work: its handler, and the candidates that it can have in the place of one."""

from __future__ import annotations

from dataclasses import MISSING, dataclass, fields
from typing import Any

from khive_supervisor.config.settings.values import users_own
from khive_supervisor.routing.model import PRICES
from khive_supervisor.text.plain_json import JsonObject

_GIB = 1 << 30
_FUNCTION = r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*"
_NAME = r"[A-Za-z0-9_-]{1,64}"
MODEL = r"[A-Za-z0-9][A-Za-z0-9._:/@\[\]-]*"
MODEL_FORM = "letters, digits and . _ - : / @ [ ]; it does not begin with -"
TYPE_NAME = r"[A-Za-z0-9_.-]{1,64}"
TYPE_FORM = "each of letters, digits, -, _ and .; 1 to 64 of them"
VARIABLE = r"[A-Za-z_][A-Za-z0-9_]*"
VARIABLE_FORM = "each the name of an environment variable"

#: The most candidates that a role can have.
MAX_CANDIDATES = 20


@dataclass(frozen=True, slots=True)
class Handler:
    """What does a role's work: exactly one of `KINDS` is given."""

    python: str = users_own(
        "",
        "text",
        "A function that gets the task and returns its result.",
        applies="rolling",
        bounds=(None, 500),
        pattern=_FUNCTION,
        form="package.module:function",
    )
    command: tuple[str, ...] = users_own(
        (),
        "command",
        "A program and its arguments, started for each task without a shell; the task is on "
        "its stdin, and what it prints is the result.",
        applies="rolling",
        bounds=(1, 1000),
    )
    agent: tuple[str, ...] = users_own(
        (),
        "command",
        "A coding agent's program and arguments of yours; what it needs for each task is "
        "added: the prompt, the model, the tools, and this memory as its MCP server.",
        applies="rolling",
        bounds=(1, 1000),
    )
    format: str = users_own(
        "",
        "text",
        "How the agent is called and its answer read: as Claude Code's, as Codex's, or plain "
        "text; the program's name decides if this is not given.",
        applies="rolling",
        choices=("claude", "codex", "plain"),
        optional=True,
    )

    def as_dict(self) -> JsonObject:
        """Plain data that reads back: only the keys that are given."""
        found = {item.name: getattr(self, item.name) for item in fields(self)}
        return {n: list(v) if isinstance(v, tuple) else v for n, v in found.items() if v}


#: The keys of a handler that say what kind it is.
KINDS = ("python", "command", "agent")
#: A handler of each kind, for errors.
HANDLER_FORMS = (
    '{ python = "package.module:function" }, { command = ["program", "argument"] } or '
    '{ agent = ["claude"] }'
)
#: Where every candidate has a handler of its own.
NO_HANDLER = Handler()


@dataclass(frozen=True, slots=True)
class RoleCandidate:
    """One of several that can do a role's tasks; what it does not say is as the role says."""

    name: str = users_own(
        MISSING,
        "text",
        "The name, for people and for tasks that ask for it; its learning goes by what it is.",
        applies="rolling",
        pattern=_NAME,
        form="letters, digits, - and _; 1 to 64 of them",
    )
    handler: Handler = users_own(  # noqa: RUF009 - frozen, so that all may share it
        NO_HANDLER,
        "text",
        "What does the work; the role's handler if none is given.",
        applies="rolling",
        form=HANDLER_FORMS,
    )
    model: str = users_own(
        "",
        "text",
        "The model that an agent uses; the role's if none is given.",
        applies="rolling",
        bounds=(None, 200),
        pattern=MODEL,
        form=MODEL_FORM,
        optional=True,
    )
    price: str = users_own(
        "standard",
        "text",
        "The class of its price: near the budget's limit the dearest are passed over, beyond "
        "it only the free ones work.",
        applies="rolling",
        choices=PRICES,
    )
    task_types: tuple[str, ...] = users_own(
        (),
        "list",
        "The types of tasks that it is for; all of the role's if none are given.",
        applies="rolling",
        bounds=(None, 100),
        pattern=TYPE_NAME,
        form=TYPE_FORM,
    )
    size_min: int = users_own(
        0,
        "size",
        "The smallest payload that it is for, as JSON.",
        applies="rolling",
        bounds=(0, _GIB),
    )
    size_max: int = users_own(
        0,
        "size",
        "The largest payload that it is for, as JSON; 0 for any.",
        applies="rolling",
        bounds=(0, _GIB),
    )
    env_require: tuple[str, ...] = users_own(
        (),
        "list",
        "Environment variables that it cannot work without, such as a key; while one is "
        "missing, the others do the tasks.",
        applies="rolling",
        bounds=(None, 100),
        pattern=VARIABLE,
        form=VARIABLE_FORM,
    )

    def as_dict(self) -> JsonObject:
        """Plain data that reads back: only the keys that are not at their default."""
        shown: JsonObject = {}
        for item in fields(self):
            value: Any = getattr(self, item.name)
            if value != item.default:
                plain = list(value) if isinstance(value, tuple) else value
                shown[item.name] = plain.as_dict() if isinstance(plain, Handler) else plain
        return shown
