"""What a reload would change: each difference of two configurations, and how it takes effect.

Pure. `live` and `session` changes are taken over at once, roles are changed by their own rules,
and what only a start can change keeps its old value until then: `in_force` says what results.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

from khive_supervisor.config.settings.budget import ModelPrice
from khive_supervisor.config.settings.channels import Channel, channel_as_dict, values_of
from khive_supervisor.config.settings.confine import as_dict
from khive_supervisor.config.settings.model import Config, every_setting
from khive_supervisor.config.settings.notes import plain
from khive_supervisor.config.settings.roles import Role, every_key, role_as_dict, value_of
from khive_supervisor.config.settings.values import Setting, quoted
from khive_supervisor.text.plain_json import JsonObject
from khive_supervisor.workflows import definitions
from khive_supervisor.workflows.definitions import Definition

RoleClass = Literal["added", "removed", "rolling", "live", "unchanged"]

#: Characters of a value that people are shown; a prompt has more, and JSON has all of it.
SHOWN_CHARACTERS = 400

_TAKES_EFFECT = {
    "live": "now",
    "session": "in sessions that attach later",
    "restart": "at the next start of the supervisor",
}
_ROLE_WORDS = {
    "added": "is added",
    "removed": "is removed after its tasks in flight",
    "rolling": "gets new workers; the old ones finish what they hold",
    "live": "changes in place",
}


@dataclass(frozen=True, slots=True)
class Change:
    """One key with another value than before; both as they are written in a file."""

    key: str
    old: str
    new: str
    applies: str

    def as_dict(self) -> dict[str, str]:
        """Plain data that JSON can carry."""
        return {"key": self.key, "old": self.old, "new": self.new, "applies": self.applies}


@dataclass(frozen=True, slots=True)
class RoleChange:
    """What becomes of one role; a role that is added or removed has no changed keys."""

    role: str
    kind: RoleClass
    changes: tuple[Change, ...] = ()

    def as_dict(self) -> JsonObject:
        """Plain data that JSON can carry."""
        return {
            "role": self.role,
            "kind": self.kind,
            "changes": [change.as_dict() for change in self.changes],
        }


@dataclass(frozen=True, slots=True)
class ConfigDiff:
    """All that differs between two configurations.

    Attributes:
        settings: every setting that differs, in the order of the documentation.
        roles: every role of either configuration, the unchanged ones among them.
        digest: a short hash of the configuration that the plan leads from and to.
    """

    settings: tuple[Change, ...]
    roles: tuple[RoleChange, ...]
    digest: str

    @property
    def empty(self) -> bool:
        """Return True if nothing differs."""
        return not self.settings and not any(self.changed_roles)

    @property
    def changed_roles(self) -> tuple[RoleChange, ...]:
        """Return the roles that something is to be done for."""
        return tuple(change for change in self.roles if change.kind != "unchanged")

    @property
    def waits_for_restart(self) -> tuple[str, ...]:
        """Return the settings that only a start of the supervisor can change."""
        return tuple(c.key for c in self.settings if c.applies == "restart")

    @property
    def applied(self) -> tuple[str, ...]:
        """Return the settings that an apply takes over."""
        return tuple(c.key for c in self.settings if c.applies != "restart")

    def describe(self) -> str:
        """Return the difference for people: old -> new, grouped by when it takes effect."""
        if self.empty:
            return "Nothing has changed."
        blocks = []
        for applies, words in _TAKES_EFFECT.items():
            if lines := [_line(c) for c in self.settings if c.applies == applies]:
                blocks.append("\n".join((f"Settings that change {words}:", *lines)))
        for role in self.changed_roles:
            head = f"Role {role.role} {_ROLE_WORDS[role.kind]}"
            lines = [_line(change) for change in role.changes]
            blocks.append("\n".join((head + (":" if lines else "."), *lines)))
        return "\n\n".join(blocks)

    def as_dict(self) -> JsonObject:
        """Plain data that JSON can carry."""
        return {
            "empty": self.empty,
            "digest": self.digest,
            "settings": [change.as_dict() for change in self.settings],
            "roles": [change.as_dict() for change in self.roles],
            "waits_for_restart": list(self.waits_for_restart),
        }


def diff(old: Config, new: Config) -> ConfigDiff:
    """Return what would change from the configuration in force to another one."""
    settings = tuple(_setting_changes(old, new))
    roles = tuple(_role_changes(old, new))
    return ConfigDiff(settings, roles, _hash([_plain(old), _plain(new)]))


def digest_of(config: Config) -> str:
    """Return a short hash of a whole configuration: equal ones have equal hashes."""
    return _hash(_plain(config))


def in_force(old: Config, new: Config) -> Config:
    """Return the new configuration, with the old values of all that waits for a start."""
    tables: JsonObject = {}
    for table, name, setting in every_setting():
        if setting.applies == "restart":
            part = tables.get(table, getattr(new, table))
            tables[table] = replace(part, **{name: getattr(getattr(old, table), name)})
    return replace(new, **tables)


def keep_roles(old: Config, new: Config, names: Collection[str]) -> Config:
    """The new configuration with the old form of some roles, or without them if they are new."""
    kept = [
        before if role.role in names else role
        for role in new.roles
        if (before := old.role(role.role)) or role.role not in names
    ]
    kept += [role for role in old.roles if role.role in names and new.role(role.role) is None]
    return replace(new, roles=tuple(role for role in kept if role is not None))


def _setting_changes(old: Config, new: Config) -> Iterator[Change]:
    for table, name, setting in every_setting():
        before, after = getattr(getattr(old, table), name), getattr(getattr(new, table), name)
        if before != after:
            yield _change(f"{table}.{name}", setting, before, after)
    if old.confine != new.confine:
        yield Change("confine", _written(old), _written(new), "session")
    yield from _channel_changes(old, new)
    yield from _workflow_changes(old, new)
    yield from _price_changes(old, new)


def _workflow_changes(old: Config, new: Config) -> Iterator[Change]:
    """Return which workflows are others, by their names; a run keeps what it began with."""
    before = {one.name: one for one in old.workflows}
    after = {one.name: one for one in new.workflows}
    for name in dict.fromkeys([*before, *after]):
        was, now = before.get(name), after.get(name)
        if was != now:
            yield Change(f"workflows.{name}", _steps(was), _steps(now), "live")


def _price_changes(old: Config, new: Config) -> Iterator[Change]:
    """Return which models have other prices."""
    before = {one.model: one for one in old.prices}
    after = {one.model: one for one in new.prices}
    for model in dict.fromkeys([*before, *after]):
        was, now = before.get(model), after.get(model)
        if was != now:
            yield Change(f"prices.{plain(model)}", _price(was), _price(now), "live")


def _price(price: ModelPrice | None) -> str:
    """Return a price in a few words."""
    if price is None:
        return "none"
    return f"${price.input:g} in, ${price.output:g} out ({price.as_of})"


def _steps(workflow: Definition | None) -> str:
    """Return what a workflow is, in a few words."""
    if workflow is None:
        return "none"
    when = f', every "{workflow.every}"' if workflow.every else ""
    return f"{len(workflow.steps)} steps{when}"


def _channel_changes(old: Config, new: Config) -> Iterator[Change]:
    """Return what differs of channels by their names; a secret that differs is not shown."""
    before = {channel.name: channel for channel in old.channels}
    after = {channel.name: channel for channel in new.channels}
    for name in dict.fromkeys([*before, *after]):
        was, now = before.get(name), after.get(name)
        if was != now:
            yield Change(f"channels.{name}", _channel(was, now), _channel(now, was), "live")


def _channel(channel: Channel | None, other: Channel | None) -> str:
    """Return the keys in which a channel differs from another form of it, on one line."""
    if channel is None:
        return "none"
    keys = [
        f"{name} = {setting.write(value)}"
        for name, setting, value in values_of(channel)
        if other is None or getattr(channel, name) != getattr(other, name)
    ]
    return "{ " + ", ".join(keys) + " }"


def _written(config: Config) -> str:
    """Return the tables of confinement on one line, as TOML."""
    tables = (
        ", ".join(f"{name} = {quoted(value)}" for name, value in as_dict(table).items() if value)
        for table in config.confine
    )
    return "[" + ", ".join(f"{{ {table} }}" for table in tables) + "]"


def _role_changes(old: Config, new: Config) -> Iterator[RoleChange]:
    for role in new.roles:
        before = old.role(role.role)
        yield RoleChange(role.role, "added") if before is None else _compared(before, role)
    for role in old.roles:
        if new.role(role.role) is None:
            yield RoleChange(role.role, "removed")


def _compared(old: Role, new: Role) -> RoleChange:
    changes = tuple(
        _change(name, setting, value_of(old, name), value_of(new, name))
        for name, setting in every_key()
        if value_of(old, name) != value_of(new, name)
    )
    if not changes:
        return RoleChange(new.role, "unchanged")
    rolls = any(change.applies == "rolling" for change in changes)
    return RoleChange(new.role, "rolling" if rolls else "live", changes)


def _change(key: str, setting: Setting, old: Any, new: Any) -> Change:
    return Change(key, setting.write(old), setting.write(new), setting.applies)


def _line(change: Change) -> str:
    old, new = change.old, change.new
    if max(len(old), len(new)) > SHOWN_CHARACTERS:
        return f"  {change.key}: another text, {len(old)} -> {len(new)} characters"
    return f"  {change.key}: {old} -> {new}"


def _hash(data: list[Any]) -> str:
    text = json.dumps(data, sort_keys=True)
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def _plain(config: Config) -> list[Any]:
    settings = [
        [table, name, getattr(getattr(config, table), name)] for table, name, _ in every_setting()
    ]
    lists = [[as_dict(table) for table in config.confine]] if config.confine else []
    channels = [channel_as_dict(one, private=True) for one in config.channels]
    lists += [channels] if channels else []
    lists += [[definitions.as_dict(one) for one in config.workflows]] if config.workflows else []
    lists += [[one.as_dict() for one in config.prices]] if config.prices else []
    return [settings, [role_as_dict(role) for role in config.roles], *lists]
