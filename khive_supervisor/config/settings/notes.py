"""What is collected while a file is read: where its keys stand, and all that is wrong with it.

Lists of tables (`[[roles]]`, `[[channels]]`) are all read by `read_tables` and `read_table`.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from khive_supervisor.config.settings.values import Setting, Unfit, declared, describe, quoted
from khive_supervisor.host import paths

Table = TypeVar("Table")


@dataclass(slots=True)
class Notes:
    """The problems of one file, and the origin of each value that was taken from it."""

    file: str
    lines: Mapping[str, int] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def where(self, key: str) -> str:
        """Return the file, with the line of a key (or of the table it is in) when it is known."""
        while key and key not in self.lines:
            key = re.sub(r"(\.|^)[^.\[]+$|\[\d+\]$", "", key)
        return f"{self.file}:{self.lines[key]}" if key else self.file

    def note(self, key: str, shown: str, text: str) -> None:
        """Note what is wrong at a key that is written as `shown`."""
        self.problems.append(f"{self.where(key)}: {shown}: {text}")

    def parse(self, key: str, setting: Setting, value: object, origin: str = "") -> Any:
        """Return the value of a key in its own type; None, and noted, if it is wrong."""
        origin = origin or self.where(key)
        try:
            parsed = setting.parse(value)
            if setting.kind == "path" and parsed:
                parsed = _absolute(parsed, os.path.dirname(self.file))
        except Unfit as unfit:
            self.problems.append(
                f"{origin}: {key}: found {unfit.found}; allowed: {setting.allowed()}"
            )
            return None
        self.origins[key] = origin
        return parsed


def plain(part: str) -> str:
    """Return a key as an error writes it: quoted if it is not a plain one."""
    return part if re.fullmatch(r"[A-Za-z0-9_-]+", part) else quoted(part)


def no_such_key(name: str, known: Iterable[str]) -> str:
    """Return what to say about a key that is none of ours; its value is not repeated."""
    if close := difflib.get_close_matches(name, known, n=1, cutoff=0.6):
        return f"there is no such key; did you mean {close[0]}?"
    return f"there is no such key; allowed: {', '.join(known)}"


def read_tables(
    name: str,
    of: str,
    most: int,
    content: object,
    notes: Notes,
    read: Callable[[str, object], Table | None],
) -> list[Table | None]:
    """Return what `read` makes of each table of `[[name]]` (None: noted as wrong), by its place.

    Empty, and noted, if it is no list of at most `most` tables; `of` says what each is for.
    """
    if not isinstance(content, list | tuple):
        text = f"found {describe(content)}; allowed: [[{name}]], a table for each {of}"
        notes.note(name, name, text)
        return []
    if len(content) > most:
        notes.note(name, name, f"there are {len(content)} tables; allowed: at most {most}")
        return []
    return [read(f"{name}[{number}]", item) for number, item in enumerate(content)]


def read_table(
    table: type[Table],
    place: str,
    content: object,
    notes: Notes,
    required: Iterable[str],
    own: Mapping[str, Callable[[str, object], Any]] | None = None,
) -> Table | None:
    """Return one table of a list; None, and all that is wrong with it noted.

    `own` reads keys that are tables themselves, by their names; None is noted by it as wrong.
    """
    if not isinstance(content, Mapping):
        heading = re.sub(r"\[\d+\]", "", place)
        notes.note(place, place, f"found {describe(content)}; allowed: a table, [[{heading}]]")
        return None
    known, values, sound = declared(table), dict[str, Any](), True
    for name, value in content.items():
        key = f"{place}.{name}"
        if own and name in own:
            values[name] = own[name](key, value)
        elif name in known:
            values[name] = notes.parse(key, known[name], value)
        else:
            notes.note(key, f"{place}.{plain(name)}", no_such_key(name, known))
            sound = False
    for name in (one for one in required if one not in values):
        notes.note(place, f"{place}.{name}", f"is missing; allowed: {known[name].allowed()}")
        sound = False
    return table(**values) if sound and None not in values.values() else None


def _absolute(path: str, base: str) -> str:
    if path == "~" or path.startswith("~/"):
        path = paths.home() + path[1:]
    elif path.startswith("~"):
        raise Unfit(f'{describe(path)} (only "~/" is expanded, not another user\'s home)')
    found = os.path.join(base, path)
    if not os.path.isabs(
        found
    ):  # only then: a working directory that is gone is no problem of ours
        found = os.path.join(paths.working_directory(), found)
    return os.path.normpath(found)
