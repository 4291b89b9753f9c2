"""A configuration as plain data, as TOML, as a fingerprint, and as the table of the docs."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterable, Mapping
from typing import Any

from khive_supervisor.config.load import LoadedConfig
from khive_supervisor.config.settings import confine, roles
from khive_supervisor.config.settings.budget import ModelPrice
from khive_supervisor.config.settings.channels import Channel, channel_as_dict
from khive_supervisor.config.settings.confine import Confine
from khive_supervisor.config.settings.model import (
    TABLES,
    Config,
    every_setting,
    every_value,
)
from khive_supervisor.config.settings.roles import Role, every_key, role_as_dict
from khive_supervisor.config.settings.values import Setting, declared, default_of
from khive_supervisor.config.workflows.tables import workflows_as_toml
from khive_supervisor.text.plain_json import JsonObject
from khive_supervisor.workflows import definitions

_APPLIES = {
    "restart": "next start",
    "session": "reload, new sessions",
    "live": "reload",
    "rolling": "reload, new workers",
    "identity": "another role",
}


_HEAD = (
    "| setting | type | default | bounds | takes effect | trust | meaning |",
    "|---|---|---|---|---|---|---|",
)
#: A key, its declaration, and its value.
Row = tuple[str, Setting, Any]


def as_dict(config: Config, *, private: bool = False) -> JsonObject:
    """Plain data that JSON can carry (seconds, bytes, lists); `load.from_dict` reads it back.

    Secrets of channels are in it only if `private`.
    """
    data: JsonObject = {table: {} for table in TABLES}
    for table, name, _ in every_setting():
        data[table][name] = roles.plain_of(getattr(getattr(config, table), name))
    data["roles"] = [role_as_dict(role) for role in config.roles]
    data["confine"] = [confine.as_dict(table) for table in config.confine]
    data["workflows"] = [definitions.as_dict(one) for one in config.workflows]
    data["prices"] = [price.as_dict() for price in config.prices]
    data["channels"] = [channel_as_dict(one, private=private) for one in config.channels]
    return data


def as_toml(config: Config, origins: Mapping[str, str] | None = None) -> str:
    """The whole configuration as a valid file; each setting's origin in a comment if given."""
    tables = itertools.groupby(every_value(config), lambda one: one[0].partition(".")[0])
    parts = [_table(place, rows, origins or {}) for place, rows in tables]
    return "\n\n".join([*parts, *workflows_as_toml(config.workflows)]) + "\n"


def _table(place: str, rows: Iterable[Row], origins: Mapping[str, str]) -> str:
    """Return a table, or one of a list; what is left at its default within one may be left out."""
    head, listed, _ = place.partition("[")
    lines = [f"[[{head}]]" if listed else f"[{head}]"]
    said = {}
    for key, setting, value in rows:
        name = key.removeprefix(f"{place}.")
        if not (roles.left_out(name, value) or _unsaid(head, value)):
            said[name] = value
            origin = f"  # {_one_line(origins[key])}" if key in origins else ""
            lines.append(f"{name} = {setting.write(value)}{origin}")
    if said.get("capability") and not any(name.startswith("budget.") for name in said):
        lines.append("budget = {}")  # without it, the capability's would come back
    return "\n".join(lines)


def _unsaid(head: str, value: Any) -> bool:
    """Return True for a key that is as without it."""
    return (head == "channels" and not value) or (head == "prices" and value is None)


def _one_line(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in text)


def loaded_as_dict(loaded: LoadedConfig) -> JsonObject:
    """What `config show --json` prints: the file, and each setting with its value and origin."""
    settings = {
        key: {"value": roles.plain_of(value), "origin": loaded.origins[key]}
        for key, _, value in every_value(loaded.config)
    }
    return {"file": loaded.file, "settings": settings}


def fingerprint(config: Config) -> str:
    """Return a stable hash of what a worker depends on: workers of another one must be replaced."""
    relevant = {
        f"{table}.{name}": roles.plain_of(getattr(getattr(config, table), name))
        for table, name, setting in every_setting()
        if not setting.supervisor_only
    }
    text = json.dumps(relevant, sort_keys=True)
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def reference() -> str:
    """Return the settings as Markdown, one table each: the generated part of docs/settings.md."""
    tables = {**{f"[{name}]": kind for name, kind in TABLES.items()}, "[[confine]]": Confine}
    tables["[[channels]]"] = Channel
    tables["[[prices]]"] = ModelPrice
    blocks = [
        _reference_of(
            head, kind, [_row(n, one, default_of(kind, n)) for n, one in declared(kind).items()]
        )
        for head, kind in tables.items()
    ]
    keys = [_row(name, setting, roles.default_of(name)) for name, setting in every_key()]
    return "\n\n".join([*blocks, _reference_of("[[roles]]", Role, keys)]) + "\n"


def _reference_of(head: str, kind: type[Any], rows: Iterable[str]) -> str:
    return "\n".join((f"### {head}", "", (kind.__doc__ or "").strip(), "", *_HEAD, *rows))


def _row(name: str, setting: Setting, default: Any) -> str:
    words = setting.shown_default or ("must be given" if default is None else "")
    bounds = setting.range() or " or ".join(f"`{choice}`" for choice in setting.choices) or "-"
    if setting.form:
        bounds = f"{bounds}; {setting.form}" if bounds != "-" else setting.form
    if setting.project_maximum is not None:
        most = type(default)(setting.project_maximum)
        bounds = f"{bounds}; in a project at most {setting.write(most)}"
    cells = [
        f"`{name}`",
        setting.kind,
        words if default is None else f"`{words or setting.write(default)}`",
        bounds,
        _APPLIES[setting.applies],
        setting.trust,
        setting.help,
    ]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
