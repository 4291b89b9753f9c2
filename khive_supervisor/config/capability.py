"""A capability: all that makes an agent good at one kind of work, under a name to enable it by.

Its keys are a role's own, declared there. What it may not give is the user's to decide: the
program, the environment, the directory. Pure.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields, replace
from typing import Any

from khive_supervisor.config.read_roles import read_nested
from khive_supervisor.config.settings.budget import Budget
from khive_supervisor.config.settings.notes import Notes, no_such_key, plain
from khive_supervisor.config.settings.roles import Role
from khive_supervisor.config.settings.values import Setting, declared, describe, quoted, users_own
from khive_supervisor.text.plain_json import JsonObject

#: Bytes of the largest file: four times the longest prompt.
MAX_BYTES = 128 * 1024
#: The source of the capabilities that are part of this distribution.
BUILT_IN = "built in"

_OF_ROLE = {item.name: item for item in fields(Role)}


def _as_in_role(name: str) -> Any:
    """Return a field with a role's declaration and default; it must be given if the role's must."""
    item = _OF_ROLE[name]
    if item.default is MISSING:
        return field(metadata=item.metadata)
    return field(default=item.default, metadata=item.metadata)


def _needed(name: str) -> Any:
    """Return a text that a role can do without, and a capability cannot."""
    setting: Setting = _OF_ROLE[name].metadata["setting"]
    return field(
        metadata={"setting": replace(setting, optional=False, bounds=(1, setting.bounds[1]))}
    )


@dataclass(frozen=True, slots=True)
class Capability:
    """What a package declares; the keys that it shares with roles mean what they mean there."""

    id: str = users_own(
        MISSING,
        "text",
        "The name that it is enabled by; no two capabilities have the same.",
        applies="identity",
        pattern=r"[a-z0-9][a-z0-9_-]{0,63}",
        form="lower-case letters, digits, - and _; 1 to 64 of them",
    )
    role: str = _as_in_role("role")
    description: str = _needed("description")
    task_types: tuple[str, ...] = _as_in_role("task_types")
    prompt: str = _needed("prompt")
    model: str = _as_in_role("model")
    tools: tuple[str, ...] = _as_in_role("tools")
    priority: int = _as_in_role("priority")
    parallelizable: bool = users_own(
        True,
        "boolean",
        "Whether several workers may do its tasks at once; if not, its role has one at most.",
        applies="live",
    )
    workers: int = _as_in_role("workers")
    timeout: float = _as_in_role("timeout")
    memory: int = _as_in_role("memory")
    attempts: int = _as_in_role("attempts")
    drain_deadline: float = _as_in_role("drain_deadline")
    workdir: str = _as_in_role("workdir")
    budget: Budget = _as_in_role("budget")  # noqa: RUF009 - frozen, so that all may share it

    def too_many(self, workers: int) -> str:
        """Return why its role cannot have so many workers; empty if it can."""
        if self.parallelizable or workers <= 1:
            return ""
        return f"found {workers}; allowed: at most 1, as {self.id} is not parallelizable"

    def for_role(self) -> JsonObject:
        """Return what it gives a role, by the role's keys."""
        shared = (item.name for item in fields(self) if item.name in _OF_ROLE)
        return {name: getattr(self, name) for name in shared}

    def as_dict(self) -> JsonObject:
        """Plain data that JSON can carry, and that `read` takes."""
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        values["budget"] = self.budget.as_dict()
        if not values["budget"]:
            del values["budget"]
        return {n: list(v) if isinstance(v, tuple) else v for n, v in values.items()}


#: The keys that every capability must give.
_REQUIRED = tuple(item.name for item in fields(Capability) if item.default is MISSING)


@dataclass(frozen=True, slots=True)
class Package:
    """A capability, where it comes from, and where each of its keys is written."""

    capability: Capability
    source: str
    origins: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Broken:
    """What was offered as a capability and is none; `id` as far as it can be told, or empty."""

    id: str
    source: str
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What can be enabled, by id, and what is broken."""

    packages: Mapping[str, Package]
    broken: tuple[Broken, ...]

    @property
    def problems(self) -> tuple[str, ...]:
        """Everything that is wrong with the broken ones."""
        return tuple(problem for broken in self.broken for problem in broken.problems)

    def why_not(self, name: str) -> str:
        """Return what to say of a name that no usable package has."""
        for broken in self.broken:
            if broken.id == name:
                return f"the capability {quoted(name)} is broken: {broken.problems[0]}"
        text = f"there is no capability {quoted(name)}"
        if close := difflib.get_close_matches(name, self.packages, n=1, cutoff=0.6):
            return f"{text}; did you mean {close[0]}?"
        return f"{text}; there are: {', '.join(self.packages)}"


def read(content: object, notes: Notes, source: str) -> Package | Broken:
    """Return a package from plain data; `notes` knows where its keys are written."""
    if not isinstance(content, Mapping):
        return Broken("", source, (f"{notes.file}: found {describe(content)}; allowed: a table",))
    known = declared(Capability)
    values: JsonObject = {}
    for name, value in content.items():
        if name == "budget":
            values[name] = _read_budget(value, notes)
        elif name in known:
            values[name] = notes.parse(name, known[name], value)
        else:
            notes.note(name, plain(str(name)), no_such_key(str(name), known))
    for name in (name for name in _REQUIRED if name not in values):
        notes.note("", name, f"is missing; allowed: {known[name].allowed()}")
    if not notes.problems:
        capability = Capability(**values)
        if not (why := capability.too_many(capability.workers)):
            return Package(capability, source, dict(notes.origins))
        notes.note("workers", "workers", why)
    return Broken(values.get("id") or "", source, tuple(notes.problems))


def _read_budget(content: object, notes: Notes) -> Budget | None:
    """A budget without the program that it can have in a role: programs are the user's to name."""
    if isinstance(content, Mapping) and "fallback" in content:
        text = "is a program, which no capability names; allowed: in the role's own budget"
        notes.note("budget.fallback", "budget.fallback", text)
        return None
    found = read_nested("budget", "budget", content, notes)
    return found if isinstance(found, Budget) else None


def taken(package: Package, by: Package) -> Broken:
    """Return a package whose id another one has; that one keeps it."""
    name = package.capability.id
    place = package.origins.get("id", package.source)
    text = f"{place}: id: {quoted(name)} is that of another one ({by.source}); choose another id"
    return Broken(name, package.source, (text,))
