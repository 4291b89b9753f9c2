"""Reading `[[roles]]`: every problem of every role is noted, none ends the reading."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from khive_supervisor.config.settings.budget import UNLIMITED, Budget
from khive_supervisor.config.settings.handler import (
    KINDS,
    MAX_CANDIDATES,
    NO_HANDLER,
    Handler,
    RoleCandidate,
)
from khive_supervisor.config.settings.notes import (
    Notes,
    no_such_key,
    plain,
    read_table,
    read_tables,
)
from khive_supervisor.config.settings.roles import (
    MAX_ROLES,
    NESTED,
    Role,
    required_keys,
)
from khive_supervisor.config.settings.values import declared, describe, quoted
from khive_supervisor.text.plain_json import JsonObject


@dataclass(frozen=True, slots=True)
class Filling:
    """What a capability gives a role: values by the role's keys, and the origins of those written.

    `too_many` returns why its role cannot have so many workers, or nothing.
    """

    values: Mapping[str, Any]
    origins: Mapping[str, str]
    too_many: Callable[[int], str]


#: What fills in the role of a capability, or says why it cannot.
Fill = Callable[[str], Filling | str]
#: What is wrong with an inner table whose keys were read one by one (None: that key was wrong).
Judge = Callable[[Mapping[str, Any]], str]


def read_roles(content: object, notes: Notes, fill: Fill | None = None) -> tuple[Role, ...]:
    """Return the roles that are valid; whatever is not is noted.

    Args:
        content: the list of tables.
        notes: the problems and origins of the file that it stands in.
        fill: what capabilities are filled in from; without it every table is complete.
    """
    roles = read_tables(
        "roles", "role", MAX_ROLES, content, notes, partial(_read_role, notes, fill)
    )
    if not roles:
        return ()
    assert isinstance(content, list | tuple)
    names = [_name_of(*pair) for pair in zip(content, roles, strict=True)]
    _note_doubles(names, notes)
    return tuple(role for role in roles if role is not None)


def _name_of(content: object, role: Role | None) -> str | None:
    """Return the name of a role, also of one that is not valid."""
    if role is not None:
        return role.role
    name = content.get("role") if isinstance(content, Mapping) else None
    return name if isinstance(name, str) else None


def _read_role(notes: Notes, fill: Fill | None, place: str, content: object) -> Role | None:
    if not isinstance(content, Mapping):
        notes.note(place, place, f"found {describe(content)}; allowed: a table, [[roles]]")
        return None
    known = declared(Role)
    values: JsonObject = {}
    for name, value in content.items():
        key = f"{place}.{name}"
        if name not in known:
            notes.note(key, f"{place}.{plain(name)}", no_such_key(name, known))
        elif name in NESTED:
            bare = name == "budget" and value == {} and bool(content.get("capability"))
            values[name] = UNLIMITED if bare else read_nested(key, name, value, notes)
        elif name == "candidates":
            values[name] = _read_candidates(key, value, notes)
        else:
            values[name] = notes.parse(key, known[name], value)
    if fill is not None and values.get("capability"):
        _fill_in(place, values, notes, fill)
    candidates = values.get("candidates")
    if candidates and all(one.handler != NO_HANDLER for one in candidates):
        values.setdefault("handler", NO_HANDLER)  # nothing would be done by it
    for name in required_keys():
        if name not in values and values.get("capability", "") is not None:
            notes.note(place, f"{place}.{name}", f"is missing; allowed: {known[name].allowed()}")
            values[name] = None
    return None if None in values.values() else Role(**values)


def _fill_in(place: str, values: JsonObject, notes: Notes, fill: Fill) -> None:
    """Give the keys that the table does not; a capability that cannot be had becomes None."""
    filling = fill(values["capability"])
    if isinstance(filling, str):
        key = f"{place}.capability"
        notes.note(key, key, filling)
        values["capability"] = None
        return
    for name, origin in filling.origins.items():
        if name.partition(".")[0] not in values:
            notes.origins[f"{place}.{name}"] = origin
    values.update({n: value for n, value in filling.values.items() if n not in values})
    if values["workers"] and (why := filling.too_many(values["workers"])):
        key = f"{place}.workers"
        notes.note(key, key, why)
        values["workers"] = None


def _read_candidates(place: str, content: object, notes: Notes) -> tuple[RoleCandidate, ...] | None:
    """Return a role's candidates; None, and noted, if anything is wrong with one."""
    form = "[[roles.candidates]], a table for each"
    if not isinstance(content, list | tuple) or len(content) > MAX_CANDIDATES:
        text = f"found {describe(content)}; allowed: {form}, at most {MAX_CANDIDATES}"
        notes.note(place, place, text)
        return None
    found = [_read_candidate(f"{place}[{n}]", one, notes) for n, one in enumerate(content)]
    known = [one for one in found if one is not None]
    if doubles := {one.name for one in known if [c.name for c in known].count(one.name) > 1}:
        notes.note(place, place, f"two candidates of one name, {quoted(min(doubles))}")
        return None
    return tuple(known) if len(known) == len(found) else None


def _read_candidate(place: str, content: object, notes: Notes) -> RoleCandidate | None:
    def handler(key: str, value: object) -> Handler | Budget | None:
        return read_nested(key, "handler", value, notes)

    return read_table(RoleCandidate, place, content, notes, ("name",), {"handler": handler})


def read_nested(place: str, name: str, content: object, notes: Notes) -> Handler | Budget | None:
    """Return a table within a role's; None, and noted, if anything in it is wrong."""
    kind = NESTED[name]
    forms = declared(Role)[name].form
    if not isinstance(content, Mapping):
        notes.note(place, place, f"found {describe(content)}; allowed: {forms}")
        return None
    known = declared(kind)
    values: JsonObject = {}
    strange = False
    for inner, value in content.items():
        key = f"{place}.{inner}"
        if inner in known:
            values[inner] = notes.parse(key, known[inner], value)
        else:
            notes.note(key, f"{place}.{plain(inner)}", no_such_key(inner, known))
            strange = True
    if wrong := _JUDGES[name](values):
        notes.note(place, place, f"{wrong}; allowed: {forms}")
        return None
    if values.get("format") and "agent" not in values:
        notes.note(f"{place}.format", f"{place}.format", "is of an agent; allowed: beside agent")
        return None
    return None if strange or None in values.values() else kind(**values)


def _judge_handler(values: Mapping[str, Any]) -> str:
    kinds = [kind for kind in KINDS if kind in values]
    if len(kinds) == 1:
        return ""
    return f"has {' and '.join(kinds) if kinds else 'none of python, command and agent'}"


def _judge_budget(values: Mapping[str, Any]) -> str:
    """Return a limit there must be, and a task must fit into it, or all would wait for ever."""
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


def _note_doubles(names: Iterable[str | None], notes: Notes) -> None:
    seen: dict[str, str] = {}
    for number, name in enumerate(names):
        if name is None:
            continue
        key = f"roles[{number}].role"
        first = seen.setdefault(name, key)
        if first != key:
            text = f"two roles of one name, {quoted(name)}; the other is {first}"
            notes.note(key, key, f"{text} ({notes.where(first)})")
