"""Reading `[[roles]]`: every problem of every role is noted, none ends the reading."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from khive_supervisor.config.budget_table import Budget
from khive_supervisor.config.roles import (
    MAX_ROLES,
    NESTED,
    Handler,
    Role,
    keys_of,
    required_keys,
)
from khive_supervisor.config.values import Setting, describe, quoted

#: What is wrong with an inner table whose keys were read one by one (None: that key was wrong).
Judge = Callable[[Mapping[str, Any]], str]


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
        elif name in NESTED:
            values[name] = _read_nested(key, name, value, notes)
        else:
            values[name] = notes.parse(key, known[name], value)
    for name in required_keys():
        if name not in values:
            notes.note(place, f"{place}.{name}", f"is missing; allowed: {known[name].allowed()}")
            values[name] = None
    return None if None in values.values() else Role(**values)


def _read_nested(place: str, name: str, content: object, notes: Notes) -> Handler | Budget | None:
    """A table within a role's; None, and noted, if anything in it is wrong."""
    kind = NESTED[name]
    forms = keys_of(Role)[name].form
    if not isinstance(content, Mapping):
        notes.note(place, place, f"found {describe(content)}; allowed: {forms}")
        return None
    known = keys_of(kind)
    values: dict[str, Any] = {}
    strange = False
    for inner, value in content.items():
        key = f"{place}.{inner}"
        if inner in known:
            values[inner] = notes.parse(key, known[inner], value)
        else:
            notes.note(key, f"{place}.{_plain(inner)}", _no_such(inner, known))
            strange = True
    if wrong := _JUDGES[name](values):
        notes.note(place, place, f"{wrong}; allowed: {forms}")
        return None
    return None if strange or None in values.values() else kind(**values)


def _judge_handler(values: Mapping[str, Any]) -> str:
    if len(values) == 1:
        return ""
    return f"has {'both' if values else 'neither'} python and command"


def _judge_budget(values: Mapping[str, Any]) -> str:
    """A limit there must be, and a task must fit into it, or all would wait for ever."""
    limits = {key: values[key] for key in ("weekly", "monthly") if key in values}
    if not limits:
        return "has neither weekly nor monthly"
    reserve = values.get("reserve")
    for key, limit in limits.items():
        if reserve is not None and limit and reserve > limit:
            return f"has a reserve of {reserve:g}, which is more than {key}, {limit:g}"
    if values.get("unit") == "tokens":
        for key in ("weekly", "monthly", "reserve"):
            if not float(values.get(key) or 0).is_integer():
                return f"has {key} = {values[key]:g} tokens, which is no whole number"
    return ""


_JUDGES: dict[str, Judge] = {"handler": _judge_handler, "budget": _judge_budget}


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
