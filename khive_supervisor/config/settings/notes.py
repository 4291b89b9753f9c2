"""What is collected while a file is read: where its keys stand, and all that is wrong with it."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from khive_supervisor.config.settings.values import Setting, Unfit, describe, quoted
from khive_supervisor.host import paths


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
