"""From a file and the environment to a `Config`, or to a list of everything that is wrong.

Nothing is ever applied in part: either the whole configuration is valid, or one `ConfigError`
names every problem with its file, line and key, what was found, and what is allowed.
"""

from __future__ import annotations

import difflib
import fnmatch
import functools
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from khive_supervisor.config.enabling import Enabler
from khive_supervisor.config.read_roles import read_roles
from khive_supervisor.config.settings.budget import ModelPrice, read_prices
from khive_supervisor.config.settings.channels import Channel, read_channels
from khive_supervisor.config.settings.confine import Confine, read_confine
from khive_supervisor.config.settings.locate import line_numbers
from khive_supervisor.config.settings.model import (
    TABLES,
    Config,
    every_setting,
    every_value,
    settings_of,
)
from khive_supervisor.config.settings.notes import Notes, plain
from khive_supervisor.config.settings.roles import Role
from khive_supervisor.config.settings.service import AgentSettings
from khive_supervisor.config.settings.values import Setting, describe
from khive_supervisor.config.workflows.tables import read_workflows
from khive_supervisor.errors import ConfigError
from khive_supervisor.host import paths
from khive_supervisor.host.small_file import read_regular
from khive_supervisor.team.address import address_of, replica_path
from khive_supervisor.text.plain_json import JsonObject
from khive_supervisor.workflows.definitions import Definition

#: Bytes of the largest file that is read: far above any configuration, far below a mistake.
MAX_FILE_BYTES = 256 * 1024
#: Environment variables that override one setting each.
OVERRIDES = {
    "KHIVE_STORE": ("store", "path"),
    "KHIVE_STORE_URL": ("store", "url"),
    "KHIVE_NAMESPACE": ("session", "namespace"),
    "KHIVE_LOG_LEVEL": ("log", "level"),
}
DEFAULT = "default"
#: Lists of tables.
LISTS = ("roles", "confine", "channels", "workflows", "prices")

_HINT = "Nothing was applied. `khive-supervisor config show` lists every setting."


@dataclass(frozen=True, slots=True)
class LoadedConfig:
    """A valid configuration and where it came from.

    Attributes:
        config: the configuration.
        file: the absolute path of the file in force; None when there is none.
        origins: for each "table.key" and "roles[0].key": "default", "FILE:LINE",
            "environment NAME", or the capability that gave it.
        broken: what is wrong with capabilities that no role names.
    """

    config: Config
    file: str | None
    origins: Mapping[str, str]
    broken: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Glance:
    """What a configuration says of capabilities, whatever else is wrong with it.

    Attributes:
        agents: the settings of agents; the default of one that is not valid.
        enabled: for each capability that roles name, where they do.
    """

    agents: AgentSettings
    enabled: Mapping[str, tuple[str, ...]]


@dataclass(slots=True)
class _Reading(Notes):
    """What is collected while a configuration is read."""

    values: dict[str, JsonObject] = field(default_factory=lambda: {t: {} for t in TABLES})
    roles: tuple[Role, ...] = ()
    confine: tuple[Confine, ...] = ()
    channels: tuple[Channel, ...] = ()
    workflows: tuple[Definition, ...] = ()
    prices: tuple[ModelPrice, ...] = ()
    broken: tuple[str, ...] = ()

    def problem(self, table: str, name: str | None, text: str) -> None:
        """Note what is wrong with a key; its name is quoted if it is not a plain one."""
        shown = ".".join(plain(part) for part in (table, name) if part is not None)
        self.note(table if name is None else f"{table}.{name}", shown, text)


def load(
    explicit: str | None = None, cwd: str | None = None, environ: Mapping[str, str] | None = None
) -> LoadedConfig:
    """Return the configuration in force.

    Args:
        explicit: the file named by --config; it must exist.
        cwd: the directory that relative names start from; what lies in a repository around it
            is not the user's word.
        environ: where KHIVE_STORE, KHIVE_NAMESPACE and KHIVE_LOG_LEVEL are looked up.

    Raises:
        ConfigError: everything that is wrong, at once.
    """
    here = cwd or _working_directory()
    found = paths.find_config(explicit, here)
    text = "" if found is None else _read_text(found)
    return _load(found, text, os.environ if environ is None else environ, here)


def loads(text: str, file: str, environ: Mapping[str, str]) -> LoadedConfig:
    """Return the configuration that a file would be if this were its content.

    Raises:
        ConfigError: everything that is wrong, at once.
    """
    return _load(file, text, environ, _working_directory())


def load_settings(file: str) -> LoadedConfig:
    """Return the settings of a file, without its roles and without the environment.

    Raises:
        ConfigError: everything that is wrong with them, at once.
    """
    reading = _Reading(file=file)
    text = _read_text(file)
    data = _parse(file, text)
    reading.lines = line_numbers(text)
    _read_tables(reading, {name: data[name] for name in data if name != "roles"})
    config = _build(reading)
    return LoadedConfig(config, file, _all_origins(reading, config))


def glance(text: str, file: str) -> Glance:
    """Return what a file's content says of capabilities.

    Raises:
        ConfigError: it is not TOML at all.
    """
    data = _parse(file, text)
    reading = _Reading(file=file, lines=line_numbers(text))
    _read_tables(reading, {name: data[name] for name in ("agents",) if name in data})
    enabled: dict[str, tuple[str, ...]] = {}
    roles = data.get("roles")
    for number, role in enumerate(roles if isinstance(roles, list) else []):
        name = role.get("capability") if isinstance(role, dict) else None
        if isinstance(name, str):
            place = reading.where(f"roles[{number}].capability")
            enabled[name] = (*enabled.get(name, ()), place)
    return Glance(AgentSettings(**reading.values["agents"]), enabled)


def _load(file: str | None, text: str, environ: Mapping[str, str], here: str) -> LoadedConfig:
    reading = _Reading(file=file or "")
    if file is not None:
        data = _parse(file, text)
        reading.lines = line_numbers(text)
        _read_tables(reading, data, capabilities=True)
    _read_environment(reading, environ, here)
    config = _build(reading)
    return LoadedConfig(config, file, _all_origins(reading, config), reading.broken)


def from_dict(data: Mapping[str, Any], *, source: str = "configuration") -> Config:
    """A configuration from plain data as `show.as_dict` makes it; absent settings are defaults.

    Raises:
        ConfigError: everything that is wrong, at once; `source` stands for the file's name.
    """
    reading = _Reading(file=source)
    _read_tables(reading, data)
    return _build(reading)


def _working_directory() -> str:
    try:
        return os.getcwd()
    except FileNotFoundError:
        return paths.home()  # it was removed under us; no khive.toml can be in it


def _parse(file: str, text: str) -> JsonObject:
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise _unreadable(file, "is nested too deeply") from None
    except ValueError as error:
        raise _unreadable(file, f"is not valid TOML: {error}") from None


def _read_text(file: str) -> str:
    try:
        data, _ = read_regular(file, MAX_FILE_BYTES)
    except OSError as error:
        raise _unreadable(file, f"cannot be read: {error.strerror}") from None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise _unreadable(file, f"is not UTF-8 (line {line})") from None


def _unreadable(file: str, why: str) -> ConfigError:
    return ConfigError([f"{file}: {why}"], hint=_HINT)


def _read_tables(reading: _Reading, data: Mapping[str, Any], *, capabilities: bool = False) -> None:
    for table, content in data.items():
        if table in LISTS:
            continue
        if table not in TABLES:
            reading.problem(table, None, _unknown(table, "", isinstance(content, dict)))
        elif not isinstance(content, Mapping):
            reading.problem(table, None, f"found {describe(content)}; allowed: a table, [{table}]")
        else:
            _read_table(reading, table, content)
    if "confine" in data:
        reading.confine = read_confine(data["confine"], reading)
    if "channels" in data:
        reading.channels = read_channels(data["channels"], reading)
    if "workflows" in data:
        reading.workflows = read_workflows(data["workflows"], reading)
    if "prices" in data:
        reading.prices = read_prices(data["prices"], reading)
    if "roles" in data:  # after the settings that their capabilities go by
        fill = _enabler(reading) if capabilities else None
        reading.roles = read_roles(data["roles"], reading, fill)
        reading.broken = fill.broken if fill else ()


def _enabler(reading: _Reading) -> Enabler:
    settings = AgentSettings(**reading.values["agents"])
    return Enabler(settings, reading.origins.get("agents.command", DEFAULT))


def _read_table(reading: _Reading, table: str, content: Mapping[str, Any]) -> None:
    known = settings_of(table)
    for name, value in content.items():
        if name in known:
            _accept(reading, table, name, known[name], value)
        else:
            reading.problem(table, name, _unknown(name, table, False))


def _accept(
    reading: _Reading, table: str, name: str, setting: Setting, value: object, origin: str = ""
) -> None:
    """Take one value, or note what is wrong with it."""
    parsed = reading.parse(f"{table}.{name}", setting, value, origin)
    if parsed is not None:
        reading.values[table][name] = parsed


def _unknown(name: str, table: str, is_table: bool) -> str:
    """Return what to say about a name that is none of ours; its value is not repeated."""
    kind = "table" if is_table else "setting"
    if table:
        names = {known: f"{table}.{known}" for known in settings_of(table)}
    else:
        names = {known: f"[{known}]" for known in TABLES}
        names |= {known: f"[[{known}]]" for known in LISTS}
    elsewhere = {known: f"{other}.{known}" for other, known, _ in every_setting()}
    for candidates in (names, elsewhere):
        if close := difflib.get_close_matches(name, candidates, n=1, cutoff=0.6):
            return f"there is no such {kind}; did you mean {candidates[close[0]]}?"
    return f"there is no such {kind}; allowed: {', '.join(names.values())}"


def _read_environment(reading: _Reading, environ: Mapping[str, str], cwd: str) -> None:
    for variable, (table, name) in OVERRIDES.items():
        if not (value := environ.get(variable)):
            continue
        if name == "path" and not value.startswith(("/", "~")):
            value = os.path.join(cwd, value)
        setting = settings_of(table)[name]
        _accept(reading, table, name, setting, value, f"environment {variable}")


def _build(reading: _Reading) -> Config:
    if reading.problems:
        raise ConfigError(reading.problems, hint=_HINT)
    tables = {name: kind(**reading.values[name]) for name, kind in TABLES.items()}
    lists = {name: getattr(reading, name) for name in LISTS}
    config = _as_replica(reading, Config(**tables, **lists))
    for key, text in _contradictions(config):
        origin = reading.origins.get(key, reading.file or DEFAULT)
        reading.problems.append(f"{origin}: {key}: {text}")
    if reading.problems:
        raise ConfigError(reading.problems, hint=_HINT)
    return config


def _as_replica(reading: _Reading, config: Config) -> Config:
    """Return a configuration that names a server with the path of its replica, and its password.

    The password is kept apart from the settings: these are shown, and given to every child.
    """
    if not config.store.url:
        return config
    try:
        address = address_of(config.store.url)
    except ValueError as error:
        origin = reading.origins.get("store.url", reading.file or DEFAULT)
        reading.problems.append(f"{origin}: store.url: {error}")
        return config
    plain = os.path.expanduser(config.store.path)
    path = replica_path(plain, address.url)
    store = replace(config.store, url=address.url, path=path)
    return replace(config, store=store, password=address.password, plain_store=plain)


def _contradictions(config: Config) -> list[tuple[str, str]]:
    """Settings that are valid alone and not together: (key, what is wrong)."""
    found = []
    if config.supervisor.restart_backoff_max < config.supervisor.restart_backoff:
        found.append(("supervisor.restart_backoff_max", "is shorter than restart_backoff"))
    if not namespace_allowed(config, config.session.namespace):
        found.append(
            ("session.namespace", "matches none of the patterns in session.allowed_namespaces")
        )
    found += [
        (f"confine[{number}].namespace", "matches no pattern in session.allowed_namespaces")
        for number, table in enumerate(config.confine)
        if not namespace_allowed(config, table.namespace)
    ]
    if config.channels and not config.audit.enabled:
        found.append(("audit.enabled", "channels tell of what the audit chain records"))
    found += [
        (f"embedder.{name}", 'is needed by kind = "openai"')
        for name in ("url", "model", "dimensions")
        if config.embedder.kind == "openai" and not getattr(config.embedder, name)
    ]
    return found


def namespace_allowed(config: Config, namespace: str) -> bool:
    """Return True if sessions may use a namespace; letter case counts."""
    return any(_pattern(one).fullmatch(namespace) for one in config.session.allowed_namespaces)


@functools.cache
def _pattern(pattern: str) -> re.Pattern[str]:
    """Each call of a verb asks this for each of its entries."""
    return re.compile(fnmatch.translate(pattern))


def _all_origins(reading: _Reading, config: Config) -> dict[str, str]:
    return {key: reading.origins.get(key, DEFAULT) for key, _, _ in every_value(config)}
