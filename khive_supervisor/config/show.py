"""A configuration as plain data, as TOML, as a fingerprint, and as the table of the docs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from khive_supervisor.config.load import LoadedConfig
from khive_supervisor.config.settings import confine, roles
from khive_supervisor.config.settings.budget import UNLIMITED
from khive_supervisor.config.settings.confine import Confine
from khive_supervisor.config.settings.model import (
    TABLES,
    Config,
    default_of,
    every_setting,
    settings_of,
)
from khive_supervisor.config.settings.roles import Role, every_key, role_as_dict, value_of
from khive_supervisor.config.settings.values import Setting
from khive_supervisor.text.plain_json import JsonObject

_APPLIES = {
    "restart": "next start",
    "session": "reload, new sessions",
    "live": "reload",
    "rolling": "reload, new workers",
    "identity": "another role",
}


def as_dict(config: Config) -> JsonObject:
    """Plain data that JSON can carry (seconds, bytes, lists); `load.from_dict` reads it back."""
    data: JsonObject = {table: {} for table in TABLES}
    for table, name, _ in every_setting():
        value = getattr(getattr(config, table), name)
        data[table][name] = list(value) if isinstance(value, tuple) else value
    data["roles"] = [role_as_dict(role) for role in config.roles]
    data["confine"] = [confine.as_dict(table) for table in config.confine]
    return data


def as_toml(config: Config, origins: Mapping[str, str] | None = None) -> str:
    """The whole configuration as a valid file; each setting's origin in a comment if given."""
    blocks = []
    for table in TABLES:
        lines = [f"[{table}]"]
        for name, setting in settings_of(table).items():
            line = f"{name} = {setting.write(getattr(getattr(config, table), name))}"
            origin = (origins or {}).get(f"{table}.{name}")
            lines.append(f"{line}  # {_one_line(origin)}" if origin else line)
        blocks.append("\n".join(lines))
    blocks += [_confine_as_toml(one, n, origins or {}) for n, one in enumerate(config.confine)]
    blocks += [_role_as_toml(role, n, origins or {}) for n, role in enumerate(config.roles)]
    return "\n\n".join(blocks) + "\n"


def _confine_as_toml(table: Confine, number: int, origins: Mapping[str, str]) -> str:
    lines = ["[[confine]]"]
    for name, setting in confine.keys().items():
        origin = origins.get(f"confine[{number}].{name}")
        line = f"{name} = {setting.write(getattr(table, name))}"
        lines.append(f"{line}  # {_one_line(origin)}" if origin else line)
    return "\n".join(lines)


def _role_as_toml(role: Role, number: int, origins: Mapping[str, str]) -> str:
    """Return a role's table; what an inner one leaves at its default is left out."""
    lines = ["[[roles]]"]
    for name, setting in every_key():
        value = value_of(role, name)
        if roles.left_out(name, value):
            continue
        origin = origins.get(f"roles[{number}].{name}")
        line = f"{name} = {setting.write(value)}"
        lines.append(f"{line}  # {_one_line(origin)}" if origin else line)
    if role.capability and role.budget == UNLIMITED:
        lines.append("budget = {}")  # without it, the capability's would come back
    return "\n".join(lines)


def _one_line(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in text)


def loaded_as_dict(loaded: LoadedConfig) -> JsonObject:
    """What `config show --json` prints: the file, and each setting with its value and origin."""
    values = as_dict(loaded.config)
    settings = {
        f"{table}.{name}": {
            "value": values[table][name],
            "origin": loaded.origins[f"{table}.{name}"],
        }
        for table, name, _ in every_setting()
    }
    for number, table in enumerate(loaded.config.confine):
        for name, found in confine.as_dict(table).items():
            key = f"confine[{number}].{name}"
            settings[key] = {"value": found, "origin": loaded.origins[key]}
    for number, role in enumerate(loaded.config.roles):
        for name, _ in every_key():
            key, value = f"roles[{number}].{name}", value_of(role, name)
            plain = list(value) if isinstance(value, tuple) else value
            settings[key] = {"value": plain, "origin": loaded.origins[key]}
    return {"file": loaded.file, "settings": settings}


def fingerprint(config: Config) -> str:
    """Return a stable hash of what a worker depends on: workers of another one must be replaced."""
    values = as_dict(config)
    relevant = {
        f"{table}.{name}": values[table][name]
        for table, name, setting in every_setting()
        if not setting.supervisor_only
    }
    text = json.dumps(relevant, sort_keys=True)
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def reference() -> str:
    """Return the settings as Markdown, one table each: the generated part of docs/settings.md."""
    blocks = [_reference_of(table) for table in TABLES]
    return "\n\n".join([*blocks, _reference_of_confine(), _reference_of_roles()]) + "\n"


def _reference_of_confine() -> str:
    rows = [*_head_of("[[confine]]", Confine.__doc__)]
    rows += [_row(n, setting, confine.default_of(n)) for n, setting in confine.keys().items()]
    return "\n".join(rows)


def _reference_of_roles() -> str:
    rows = [*_head_of("[[roles]]", Role.__doc__)]
    rows += [_row(name, setting, roles.default_of(name)) for name, setting in every_key()]
    return "\n".join(rows)


def _reference_of(table: str) -> str:
    rows = [*_head_of(f"[{table}]", TABLES[table].__doc__)]
    for name, setting in settings_of(table).items():
        rows.append(_row(name, setting, default_of(table, name)))
    return "\n".join(rows)


def _head_of(name: str, purpose: str | None) -> list[str]:
    return [
        f"### {name}",
        "",
        (purpose or "").strip(),
        "",
        "| setting | type | default | bounds | takes effect | trust | meaning |",
        "|---|---|---|---|---|---|---|",
    ]


def _row(name: str, setting: Setting, default: Any) -> str:
    words = setting.shown_default or ("must be given" if default is None else "")
    bounds = setting.bounds() or " or ".join(f"`{choice}`" for choice in setting.choices) or "-"
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
