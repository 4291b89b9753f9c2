"""What a project's file says: from its text alone, whoever wrote it.

It may set what is harmless in that project's own sessions, and never more. Nothing that is wrong
with it keeps anybody out: it is left out, and said. Pure.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from khive_supervisor.config.settings.locate import line_numbers
from khive_supervisor.config.settings.model import TABLES, Config, every_setting, settings_of
from khive_supervisor.config.settings.notes import Notes, plain
from khive_supervisor.config.settings.values import Setting, Unfit, quoted
from khive_supervisor.text.plain_json import JsonObject

#: The name of the file.
FILE_NAME = "khive.toml"
#: Bytes of the largest that is read: it is read for a session that waits.
MAX_BYTES = 16 * 1024
#: Characters of the longest line: a key of as many parts takes quadratic time to read.
MAX_LINE = 500
#: Lines of the longest value whose line number is found; see `locate`.
LONGEST_VALUE = 4
#: Things left out that are told one by one.
MAX_IGNORED = 20
#: Characters of a name that are repeated.
SHOWN_CHARACTERS = 60

#: The keys of [project], which say what the project is; no configuration has this table.
PROJECT = {
    "name": Setting(
        "text",
        "What the project is called, in `status` and to people.",
        applies="session",
        bounds=(1, 100),
        trust="project",
    ),
}
#: A value of a setting by its table and name, as a file would say it.
Settings = Mapping[str, Mapping[str, Any]]

_NOT_ITS = "only the user's own configuration can say that"
_NAMESPACE = "a repository does not choose whose memories its sessions see"


@dataclass(frozen=True, slots=True)
class Ignored:
    """Something that was not taken.

    Attributes:
        place: the file and line, or the environment variable.
        key: what it would have set.
        why: why it was not taken.
        instead: lines for the user's own configuration that would do what was wanted.
    """

    place: str
    key: str
    why: str
    instead: str = ""

    def as_dict(self) -> dict[str, str]:
        """Plain data that JSON can carry."""
        return {"place": self.place, "key": self.key, "why": self.why, "instead": self.instead}

    def __str__(self) -> str:
        return f"{self.place}: {self.key} was not taken: {self.why}"


@dataclass(frozen=True, slots=True)
class Project:
    """What a project's file may say, and what it said beside that."""

    name: str = ""
    settings: Settings = field(default_factory=dict)
    ignored: tuple[Ignored, ...] = ()


def read(text: str, file: str, root: str) -> Project:
    """Return what a file of a project says; never raises.

    Args:
        text: the file's content.
        file: its path, for what is said.
        root: the project's directory, as the user's configuration would name it.
    """
    if any(len(line) > MAX_LINE for line in text.splitlines()):
        why = f"it has a line of more than {MAX_LINE} characters"
        return Project(ignored=(Ignored(file, "all of it", why),))
    try:
        data = tomllib.loads(text)
        lines = line_numbers(text, LONGEST_VALUE)
    except RecursionError:
        return Project(ignored=(Ignored(file, "all of it", "it is nested too deeply"),))
    except ValueError as error:
        return Project(ignored=(Ignored(file, "all of it", f"it is not valid TOML: {error}"),))
    reading = _Reading(Notes(file, lines), root)
    reading.read(data)
    left_out = reading.ignored[:MAX_IGNORED]
    if more := len(reading.ignored) - MAX_IGNORED:
        left_out += [Ignored(file, f"{more} more", _NOT_ITS)] if more > 0 else []
    return Project(reading.name, reading.settings, tuple(left_out))


class _Reading:
    def __init__(self, notes: Notes, root: str) -> None:
        self._notes = notes
        self._root = root
        self.name = ""
        self.settings: dict[str, JsonObject] = {}
        self.ignored: list[Ignored] = []

    def read(self, data: Mapping[str, Any]) -> None:
        for table, content in data.items():
            if not isinstance(content, Mapping):
                self._leave(table, table, _NOT_ITS)
            elif table == "project":
                self._read_project(content)
            elif table not in TABLES:
                self._leave(table, f"[{_shown(table)}]", _NOT_ITS)
            else:
                self._read_table(table, content)

    def _read_project(self, content: Mapping[str, Any]) -> None:
        for key, value in content.items():
            if key not in PROJECT:
                self._leave(f"project.{key}", f"project.{_shown(key)}", "there is no such key")
            elif (name := self._parsed(f"project.{key}", PROJECT[key], value)) is not None:
                self.name = name

    def _read_table(self, table: str, content: Mapping[str, Any]) -> None:
        for name, value in content.items():
            key, setting = f"{table}.{name}", settings_of(table).get(name)
            if setting is None or setting.trust != "project":
                self._refuse(key, f"{table}.{_shown(name)}", value)
            elif (parsed := self._parsed(key, setting, value)) is not None:
                self.settings.setdefault(table, {})[name] = parsed

    def _parsed(self, key: str, setting: Setting, value: object) -> Any:
        """Return the value of a key that is a project's to set; None, and noted, if it is none."""
        try:
            parsed = setting.parse(value)
        except Unfit as unfit:
            self._leave(key, key, f"found {unfit.found}; allowed: {setting.allowed()}")
            return None
        if setting.project_maximum is not None and parsed > setting.project_maximum:
            most = setting.write(type(parsed)(setting.project_maximum))
            self._leave(key, key, f"a project's file may set at most {most}")
            return None
        return parsed

    def _refuse(self, key: str, shown: str, value: object) -> None:
        if key == "session.namespace":
            self._leave(key, shown, _NAMESPACE, confinement(self._root, value))
        else:
            self._leave(key, shown, _NOT_ITS)

    def _leave(self, key: str, shown: str, why: str, instead: str = "") -> None:
        self.ignored.append(Ignored(self._notes.where(key), shown, why, instead))


def confinement(root: str, namespace: object) -> str:
    """What the user would write so that a project's sessions have a namespace; empty if none."""
    try:
        settings_of("session")["namespace"].parse(namespace)
    except Unfit:
        return ""
    pattern = quoted(root.rstrip("/") + "/**")
    return f"[[confine]]\npath = {pattern}\nnamespace = {quoted(str(namespace))}"


def _shown(name: str) -> str:
    return plain(name if len(name) <= SHOWN_CHARACTERS else name[:SHOWN_CHARACTERS] + "…")


# --- what applies to one session -----------------------------------------------------------------


def overlay(config: Config, settings: Settings) -> Config:
    """A configuration with some settings of one session; raises ValueError for what is none."""
    tables: JsonObject = {}
    for table, values in settings.items():
        known = settings_of(table)
        parsed = {name: known[name].parse(value) for name, value in values.items()}
        tables[table] = replace(getattr(config, table), **parsed)
    return replace(config, **tables)


def of_sessions(config: Config, base: Config) -> dict[str, JsonObject]:
    """The settings of sessions in which a configuration differs from another, as plain data."""
    found: dict[str, JsonObject] = {}
    for table, name, value in _differing(config, base, session=True):
        found.setdefault(table, {})[name] = list(value) if isinstance(value, tuple) else value
    return found


def of_supervisor(config: Config, base: Config) -> list[str]:
    """Return the keys of all other settings in which they differ: those of the supervisor."""
    return [f"{table}.{name}" for table, name, _ in _differing(config, base, session=False)]


def _differing(config: Config, base: Config, *, session: bool) -> Iterator[tuple[str, str, Any]]:
    for table, name, setting in every_setting():
        value = getattr(getattr(config, table), name)
        if (setting.applies == "session") == session and value != getattr(
            getattr(base, table), name
        ):
            yield table, name, value
