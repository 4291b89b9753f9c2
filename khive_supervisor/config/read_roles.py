"""Reading `[[roles]]`: every problem of every role is noted, none ends the reading."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from khive_supervisor.config.roles import (
    HANDLER_FORMS,
    KINDS,
    MAX_ROLES,
    Handler,
    Role,
    keys_of,
    required_keys,
)
from khive_supervisor.config.values import Setting, describe, quoted


class Notes(Protocol):
    """Where values are taken from and problems are noted."""

    def where(self, key: str) -> str:
        """The file, with the line of a key when it is known."""

    def note(self, key: str, shown: str, text: str) -> None:
        """Note what is wrong at a key that is written as `shown`."""

    def parse(self, key: str, setting: Setting, value: object) -> Any:
        """The value of a key in its own type; None, and noted, if it is wrong."""


def read_roles(content: object, notes: Notes) -> tuple[Role, ...]:
    """The roles that are valid; whatever is not is noted."""
    if not isinstance(content, list | tuple):
        found = describe(content)
        notes.note("roles", "roles", f"found {found}; allowed: [[roles]], a table for each role")
        return ()
    if len(content) > MAX_ROLES:
        notes.note(
            "roles", "roles", f"there are {len(content)} roles; allowed: at most {MAX_ROLES}"
        )
        return ()
    roles = [_read_role(f"roles[{n}]", item, notes) for n, item in enumerate(content)]
    _note_doubles(content, notes)
    return tuple(role for role in roles if role is not None)


def _read_role(place: str, content: object, notes: Notes) -> Role | None:
    if not isinstance(content, Mapping):
        notes.note(place, place, f"found {describe(content)}; allowed: a table, [[roles]]")
        return None
    known = keys_of(Role)
    values: dict[str, Any] = {}
    for name, value in content.items():
        key = f"{place}.{name}"
        if name not in known:
            notes.note(key, f"{place}.{_plain(name)}", _no_such(name, known))
        elif name == "handler":
            values[name] = _read_handler(key, value, notes)
        else:
            values[name] = notes.parse(key, known[name], value)
    for name in required_keys():
        if name not in values:
            notes.note(place, f"{place}.{name}", f"is missing; allowed: {known[name].allowed()}")
            values[name] = None
    return None if None in values.values() else Role(**values)


def _read_handler(place: str, content: object, notes: Notes) -> Handler | None:
    if not isinstance(content, Mapping):
        notes.note(place, place, f"found {describe(content)}; allowed: {HANDLER_FORMS}")
        return None
    known = keys_of(Handler)
    values: dict[str, Any] = {}
    for name, value in content.items():
        key = f"{place}.{name}"
        if name in known:
            values[name] = notes.parse(key, known[name], value)
        else:
            notes.note(key, f"{place}.{_plain(name)}", _no_such(name, known))
            values[name] = None
    kinds = [kind for kind in KINDS if kind in values]
    if len(kinds) != 1:
        found = " and ".join(kinds) if kinds else "none of python, command and agent"
        notes.note(place, place, f"has {found}; allowed: {HANDLER_FORMS}")
        return None
    if values.get("format") and kinds != ["agent"]:
        notes.note(f"{place}.format", f"{place}.format", "is of an agent; allowed: beside agent")
        return None
    return None if None in values.values() else Handler(**values)


def _note_doubles(content: Iterable[object], notes: Notes) -> None:
    seen: dict[str, str] = {}
    for number, item in enumerate(content):
        name = item.get("role") if isinstance(item, Mapping) else None
        if not isinstance(name, str):
            continue
        key = f"roles[{number}].role"
        first = seen.setdefault(name, key)
        if first != key:
            text = f"two roles of one name, {quoted(name)}; the other is {first}"
            notes.note(key, key, f"{text} ({notes.where(first)})")


def _no_such(name: str, known: Iterable[str]) -> str:
    """What to say about a key that is none of ours; its value is not repeated."""
    if close := difflib.get_close_matches(name, known, n=1, cutoff=0.6):
        return f"there is no such key; did you mean {close[0]}?"
    return f"there is no such key; allowed: {', '.join(known)}"


def _plain(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else quoted(name)
