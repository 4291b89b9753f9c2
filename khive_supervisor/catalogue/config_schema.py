"""The configuration as JSON Schema (draft 2020-12), made of the settings' declarations. Pure.

An editor that has it completes and checks `khive.toml`. It says what a file may hold, setting by
setting; that two settings contradict each other only the loader tells.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import MISSING, fields
from typing import Any

from khive_supervisor.config.settings.budget import ModelPrice
from khive_supervisor.config.settings.channels import Channel
from khive_supervisor.config.settings.confine import Confine
from khive_supervisor.config.settings.handler import KINDS
from khive_supervisor.config.settings.model import TABLES
from khive_supervisor.config.settings.roles import LISTED, NESTED, Role
from khive_supervisor.config.settings.values import Setting, declared, default_of
from khive_supervisor.config.workflows.tables import workflows_schema
from khive_supervisor.text.plain_json import JsonObject

DRAFT = "https://json-schema.org/draft/2020-12/schema"
#: Lists of tables, and what one of each holds.
LISTS: Mapping[str, type[Any]] = {
    "confine": Confine,
    "channels": Channel,
    "prices": ModelPrice,
    "roles": Role,
}

_AMOUNT = r"[0-9]+(\.[0-9]+)?\s*"
#: How texts of these kinds look.
_FORMS = {
    "duration": rf"^\s*({_AMOUNT}(ms|d|h|m|s)\s*)+$",
    "size": rf"^\s*{_AMOUNT}([KkMmGg][Ii]?)?[Bb]\s*$",
}
_NUMBERS = {"integer": "integer", "number": "number", "duration": "number", "size": "integer"}


def config_schema() -> JsonObject:
    """Return the schema of a whole configuration file."""
    tables = {name: _table(kind) for name, kind in TABLES.items()}
    lists = {name: _list(name, kind) for name, kind in LISTS.items()}
    return {
        "$schema": DRAFT,
        "title": "khive-supervisor's configuration",
        "description": "khive.toml, as `khive-supervisor config show` prints it.",
        "type": "object",
        "properties": {**tables, **lists, "workflows": workflows_schema()},
        "additionalProperties": False,
    }


def setting_schema(setting: Setting) -> JsonObject:
    """Return what one setting takes, without its description and default."""
    if setting.choices:
        return {"enum": [*setting.choices, *([""] if setting.optional else [])]}
    if setting.kind in _NUMBERS:
        return _number(setting)
    if setting.kind == "boolean":
        return {"type": "boolean"}
    if setting.kind in ("list", "command"):
        item = {"type": "string"} | _pattern(setting)
        return {"type": "array", "items": item} | _lengths(setting, "Items")
    return _with_none(setting, {"type": "string"} | _pattern(setting) | _lengths(setting, "Length"))


def _number(setting: Setting) -> JsonObject:
    least, most = setting.bounds
    bounds = {"minimum": least, "maximum": most}
    number = {"type": _NUMBERS[setting.kind]} | {k: v for k, v in bounds.items() if v is not None}
    number = _with_none(setting, number, none=0)
    form = _FORMS.get(setting.kind)
    return number if form is None else {"anyOf": [{"type": "string", "pattern": form}, number]}


def _with_none(setting: Setting, schema: JsonObject, none: object = "") -> JsonObject:
    """Let a setting that may be unset have the value that says so."""
    narrow = schema.keys() - {"type"}
    return {"anyOf": [{"const": none}, schema]} if setting.optional and narrow else schema


def _pattern(setting: Setting) -> JsonObject:
    return {"pattern": f"^(?:{setting.pattern})$"} if setting.pattern else {}


def _lengths(setting: Setting, what: str) -> JsonObject:
    least, most = setting.bounds
    found = {f"min{what}": least, f"max{what}": most}
    return {name: int(bound) for name, bound in found.items() if bound is not None}


def _described(table: type[Any], name: str, setting: Setting) -> JsonObject:
    """Return a setting's schema with what it means and what it is if it is not given."""
    said = {"description": setting.help} | setting_schema(setting)
    default = None if setting.shown_default else default_of(table, name)
    return said if default is None else said | {"default": _written(setting, default)}


def _written(setting: Setting, value: object) -> object:
    if setting.kind in _FORMS:
        return setting.write(value).strip('"')
    return list(value) if isinstance(value, tuple) else value


def _table(kind: type[Any]) -> JsonObject:
    properties = {
        name: _inner(name, setting) or _described(kind, name, setting)
        for name, setting in declared(kind).items()
    }
    return _object(kind.__doc__, properties)


def _object(doc: str | None, properties: JsonObject) -> JsonObject:
    said = " ".join((doc or "").split())
    return {
        "type": "object",
        "description": said,
        "properties": properties,
        "additionalProperties": False,
    }


def _inner(name: str, setting: Setting) -> JsonObject:
    """Return the schema of a key that is a table, or a list of them; empty if it is neither."""
    if setting.kind == "tables":
        items = _table(LISTED[name]) | {"required": ["name"]}
        bounds = _lengths(setting, "Items")
        return {"description": setting.help, "type": "array", "items": items} | bounds
    return _nested(name, setting) if name in NESTED else {}


def _nested(name: str, setting: Setting) -> JsonObject:
    """Return the schema of a table within a role's."""
    inner = _table(NESTED[name]) | {"description": setting.help}
    return (
        inner | {"oneOf": [{"required": [kind]} for kind in KINDS]} if name == "handler" else inner
    )


def _list(name: str, kind: type[Any]) -> JsonObject:
    required = [item.name for item in fields(kind) if item.default is MISSING]
    table = _table(kind) | _required(required, unless="capability" if name == "roles" else "")
    return {"type": "array", "description": table["description"], "items": table}


def _required(names: Iterable[str], *, unless: str) -> JsonObject:
    if not unless:
        return {"required": list(names)}
    by_candidates = ["candidates" if name == "handler" else name for name in names]
    ways = ([unless], list(names), by_candidates)
    return {"anyOf": [{"required": way} for way in ways]}
