"""The configuration as it crosses to a child process: resolved, validated, not read again.

A child that read the file by itself could see a later edit than its supervisor.
"""

from __future__ import annotations

import json
import os

from khive_supervisor.config.load import from_dict
from khive_supervisor.config.settings.model import Config
from khive_supervisor.config.show import as_dict
from khive_supervisor.errors import ConfigError

#: The environment variable that carries it.
VARIABLE = "KHIVE_RESOLVED_CONFIG"
#: Characters of the longest; Linux refuses a variable of more than 128 KiB.
MAX_LENGTH = 96 * 1024


def dumps(config: Config, *, private: bool = False) -> str:
    """Return a configuration as one line of JSON; with the secrets of channels if `private`.

    Raises:
        ConfigError: it is longer than a process can be given.
    """
    text = json.dumps(as_dict(config, private=private), separators=(",", ":"))
    if len(text) > MAX_LENGTH:
        raise ConfigError(
            [f"it is too long: {len(text)} characters of at most {MAX_LENGTH}, as JSON"],
            hint="Put long commands into files of their own.",
        )
    return text


def from_environment() -> Config:
    """Return the configuration that the supervisor gave this child.

    Raises:
        ConfigError: there is none, or not a valid one: the child was not started by a supervisor.
    """
    return from_dict(json.loads(os.environ.get(VARIABLE, "{}")), source=VARIABLE)
