"""Roles: every key of a `[[roles]]` table, declared once like the other settings.

A role is a stable name for work of some types: its workers come and go, and what it has learned
stays. How a changed key takes effect is part of its declaration: config/changes.py reads it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import MISSING, dataclass, fields, replace
from typing import Any

from khive_supervisor.config.settings import values
from khive_supervisor.config.settings.budget import UNLIMITED, Budget
from khive_supervisor.config.settings.handler import (
    HANDLER_FORMS,
    MAX_CANDIDATES,
    MODEL,
    MODEL_FORM,
    NO_HANDLER,
    TYPE_FORM,
    TYPE_NAME,
    VARIABLE,
    VARIABLE_FORM,
    Handler,
    RoleCandidate,
)
from khive_supervisor.config.settings.values import Setting, declared, users_own
from khive_supervisor.routing.model import CandidateOffer
from khive_supervisor.text.plain_json import JsonObject

_MINUTE, _HOUR, _DAY = 60.0, 3600.0, 86400.0
_MIB, _TIB = 1 << 20, 1 << 40
_NAME = r"[A-Za-z0-9_-]{1,64}"
_TOOL = r"[^\s\x00-\x1f\x7f,-][^\x00-\x1f\x7f]{0,199}"

#: Where a handler works; see docs/agents.md.
WORKDIRS = ("role", "caller", "fresh", "worktree")
#: What makes a worktree; auto is what the caller's directory is under.
SYSTEMS = ("auto", "git", "jj")

#: Roles of one configuration; each has processes of its own.
MAX_ROLES = 100
#: Priorities of tasks are from minus this to this; the highest is served first.
PRIORITY_LIMIT = 1000


#: Keys that are in the digest only where they are used.
_LATER = frozenset(
    {
        "handler.agent", "handler.format", "workdir", "vcs", "prompt", "model", "tools",
        "candidates", "history", "history_tokens", "tasks_from",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Role:
    """A stable name for work of some types, and who does it."""

    role: str = users_own(
        MISSING,
        "text",
        "The name, by which tasks, records and profiles know the role.",
        applies="identity",
        pattern=_NAME,
        form="letters, digits, - and _; 1 to 64 of them",
    )
    task_types: tuple[str, ...] = users_own(
        MISSING,
        "list",
        "The types of tasks that the role takes.",
        applies="live",
        bounds=(1, 100),
        pattern=TYPE_NAME,
        form=TYPE_FORM,
    )
    handler: Handler = users_own(  # noqa: RUF009 - frozen, so that all may share it
        MISSING,
        "text",
        'What does the work: `{ python = "package.module:function" }`, '
        '`{ command = ["program", "argument"] }` or `{ agent = ["claude"] }`.',
        applies="rolling",
        form=HANDLER_FORMS,
    )
    candidates: tuple[RoleCandidate, ...] = users_own(
        (),
        "tables",
        "Several that can do the work, each a table: for each task one of them is chosen.",
        applies="rolling",
        bounds=(None, MAX_CANDIDATES),
        shown_default="none",
        form="[[roles.candidates]], a table for each",
    )
    capability: str = users_own(
        "",
        "text",
        "The capability that gives every key that this table does not; with it, role, "
        "task_types and handler need not be given either.",
        applies="live",
        pattern=_NAME,
        form="letters, digits, - and _; 1 to 64 of them",
        optional=True,
    )
    budget: Budget = users_own(  # noqa: RUF009 - frozen, so that all may share it
        UNLIMITED,
        "text",
        "What the role may spend: `{ weekly = 50.0, monthly = 150.0 }`.",
        applies="live",
        form="{ weekly = 50.0 }, { monthly = 150.0 } or both, with unit, near, reserve and "
        "fallback if needed",
    )
    workers: int = users_own(
        1,
        "integer",
        "Workers, each of which does one task at a time; 0 leaves the tasks waiting.",
        applies="live",
        bounds=(0, 64),
    )
    timeout: float = users_own(
        15 * _MINUTE,
        "duration",
        "How long one attempt at a task may take.",
        applies="rolling",
        bounds=(0.1, 7 * _DAY),
    )
    memory: int = users_own(
        0,
        "size",
        "The memory that a worker and its handler may take; 0 for as much as there is.",
        applies="rolling",
        bounds=(32 * _MIB, _TIB),
        optional=True,
    )
    warm_timeout: float = users_own(
        60.0,
        "duration",
        "How long a worker may take to be ready, such as for its imports; then it is killed, "
        "and a reload that waits for it changes nothing.",
        applies="live",
        bounds=(0.1, _HOUR),
    )
    drain_deadline: float = users_own(
        60.0,
        "duration",
        "How long a worker that is being replaced may go on with its task; then the task is "
        "queued again.",
        applies="live",
        bounds=(0, _DAY),
    )
    attempts: int = users_own(
        3,
        "integer",
        "How often a task is tried before it is given up.",
        applies="live",
        bounds=(1, 100),
    )
    priority: int = users_own(
        0,
        "integer",
        "The priority of tasks whose caller names none; the highest is done first.",
        applies="live",
        bounds=(-PRIORITY_LIMIT, PRIORITY_LIMIT),
    )
    env_allow: tuple[str, ...] = users_own(
        (),
        "list",
        "Names of the supervisor's environment variables that the handler sees if they are "
        "set, beside those that every program needs.",
        applies="rolling",
        bounds=(None, 100),
        pattern=VARIABLE,
        form=VARIABLE_FORM,
    )
    env_require: tuple[str, ...] = users_own(
        (),
        "list",
        "As env_allow, but the role does not start without them.",
        applies="rolling",
        bounds=(None, 100),
        pattern=VARIABLE,
        form=VARIABLE_FORM,
    )
    cwd: str = users_own(
        "",
        "path",
        "The directory that the handler works in; the home directory if none is given. `~` "
        "and relative paths as in store.path.",
        applies="rolling",
        optional=True,
    )
    workdir: str = users_own(
        "role",
        "text",
        "Where each task is done: in the role's own directory (cwd), in the caller's, in a "
        "fresh one, or in a worktree of the caller's repository.",
        applies="rolling",
        choices=WORKDIRS,
    )
    vcs: str = users_own(
        "auto",
        "text",
        "What makes a worktree: git, jj (a workspace), or what the caller's repository is worked "
        "with, which is jj where both are.",
        applies="rolling",
        choices=SYSTEMS,
    )
    prompt: str = users_own(
        "",
        "lines",
        "An agent's system prompt: what it is, and how it answers.",
        applies="rolling",
        bounds=(None, 32768),
        optional=True,
    )
    model: str = users_own(
        "",
        "text",
        "The model that an agent uses, by the name that it knows; its own choice if none is given.",
        applies="rolling",
        bounds=(None, 200),
        pattern=MODEL,
        form=MODEL_FORM,
        optional=True,
    )
    tools: tuple[str, ...] = users_own(
        (),
        "list",
        "The tools that an agent may use without being asked, by the names that it knows; the "
        "tools of this memory are always among them.",
        applies="rolling",
        bounds=(None, 200),
        pattern=_TOOL,
        form="each up to 200 characters that print; it does not begin with -",
        optional=True,
    )
    tasks_from: tuple[str, ...] = users_own(
        (),
        "list",
        "In a team: the members, by their database roles, whose tasks this machine does for the "
        'role, beside those of the one it connects as itself; `["*"]`: everybody\'s.',
        applies="rolling",
        bounds=(None, 100),
        pattern=r"[^\x00-\x1f\x7f]{1,63}",
        form="names of database roles, or *",
        optional=True,
    )
    history: int = users_own(
        0,
        "integer",
        "How many earlier tasks like the one at hand the handler is told of: what was tried, and "
        "how it ended. 0: of none.",
        applies="rolling",
        bounds=(0, 50),
    )
    history_tokens: int = users_own(
        800,
        "integer",
        "The most tokens that this takes; those that are least like the task are left out.",
        applies="rolling",
        bounds=(50, 20_000),
    )
    description: str = users_own(
        "",
        "text",
        "What the role is for, in words for people and agents.",
        applies="live",
        bounds=(None, 500),
        optional=True,
    )

    @property
    def variables(self) -> tuple[str, ...]:
        """Every environment variable that the handler may see beside the usual ones, once."""
        asked = (name for one in self.candidates for name in one.env_require)
        return tuple(dict.fromkeys((*self.env_require, *self.env_allow, *asked)))

    def by(self, candidate: RoleCandidate) -> Role:
        """Return the role that it would be if this candidate were its only handler.

        The digest of that is the candidate's own: neither its name nor its place is in it, and a
        role that gets a second candidate keeps what it has learned with the first.
        """
        return replace(
            self,
            candidates=(),
            handler=self.handler if candidate.handler == NO_HANDLER else candidate.handler,
            model=candidate.model or self.model,
            env_require=tuple(dict.fromkeys((*self.env_require, *candidate.env_require))),
        )


#: Keys that are tables themselves; their own keys are written behind a dot.
NESTED: dict[str, type[Handler | Budget]] = {"handler": Handler, "budget": Budget}
#: Keys that are lists of tables.
LISTED: dict[str, type[RoleCandidate]] = {"candidates": RoleCandidate}


def required_keys() -> tuple[str, ...]:
    """Return the keys that every role must have."""
    return tuple(item.name for item in fields(Role) if item.default is MISSING)


def every_key() -> Iterator[tuple[str, Setting]]:
    """Every key as it is written below a role, an inner table's with its name before it."""
    for name, setting in declared(Role).items():
        if name in NESTED:
            yield from ((f"{name}.{inner}", s) for inner, s in declared(NESTED[name]).items())
        else:
            yield name, setting


def default_of(name: str) -> Any:
    """Return the default of a key; None if it must be given, or is not set."""
    first, _, inner = name.partition(".")
    return values.default_of(NESTED.get(first, Role), inner or first)


def value_of(role: Role, name: str) -> Any:
    """Return the value of a key, an inner table's with its name before it."""
    value: Any = role
    for part in name.split("."):
        value = getattr(value, part)
    return value


def left_out(name: str, value: Any) -> bool:
    """Return True for a key that is not written: of inner tables, what is as without it."""
    return ("." in name or name == "candidates") and bool(value == default_of(name))


def role_as_dict(role: Role) -> JsonObject:
    """Plain data that JSON can carry; what an inner table leaves at its default is left out."""
    data: JsonObject = {}
    for name, _ in every_key():
        value = value_of(role, name)
        first, _, inner = name.partition(".")
        plain = plain_of(value)
        if left_out(name, value):
            continue
        if not inner:
            data[first] = plain
        else:
            data.setdefault(first, {})[inner] = plain
    return data


def plain_of(value: Any) -> Any:
    """Return a key's value as JSON has it: a list for a tuple, an object for a table."""
    if isinstance(value, tuple):
        return [one.as_dict() if isinstance(one, RoleCandidate) else one for one in value]
    return value


def _counted(role: Role, name: str) -> Any:
    """Return what of a key is in the digest: of candidates what they are, not their names."""
    if name == "candidates":
        return sorted(digest(role.by(one)) for one in role.candidates)
    return plain_of(value_of(role, name))


def digest(role: Role) -> str:
    """A short stable hash of what the work depends on: exactly the keys that need new workers.

    Neither the name nor the number of workers is in it: a result says which behaviour made it.
    A key that came later counts only where it is used: roles that do not keep their hash, and
    what they have learned counts in full.
    """
    relevant = {
        name: _counted(role, name)
        for name, setting in every_key()
        if setting.applies == "rolling"
        and (name not in _LATER or value_of(role, name) != default_of(name))
    }
    text = json.dumps(relevant, sort_keys=True)
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()


def offers(role: Role) -> tuple[CandidateOffer, ...]:
    """Return a role's candidates as a claim offers them."""
    return tuple(
        CandidateOffer(
            one.name,
            digest(role.by(one)),
            one.price,
            one.task_types,
            one.size_min,
            one.size_max,
        )
        for one in role.candidates
    )
