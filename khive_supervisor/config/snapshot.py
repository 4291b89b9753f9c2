"""The configuration as it crosses to a child process: resolved, validated, not read again.

A child that read the file by itself could see a later edit than its supervisor.
"""

from __future__ import annotations

import dataclasses
import json
import os
from typing import Any

from khive_supervisor.config.model import Config

#: The environment variable that carries it.
VARIABLE = "KHIVE_RESOLVED_CONFIG"


def dumps(config: Config) -> str:
    """A configuration as one line of JSON."""
    return json.dumps(dataclasses.asdict(config), separators=(",", ":"))


def loads(text: str) -> Config:
    """The configuration that `dumps` was given."""
    data = json.loads(text)
    sections = {
        section.name: _section(type(getattr(Config(), section.name)), data[section.name])
        for section in dataclasses.fields(Config)
    }
    return Config(**sections)


def _section(kind: type[Any], values: dict[str, Any]) -> Any:
    return kind(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})


def from_environment() -> Config:
    """The configuration that the supervisor gave this child; the defaults when there is none."""
    text = os.environ.get(VARIABLE)
    return loads(text) if text else Config()
