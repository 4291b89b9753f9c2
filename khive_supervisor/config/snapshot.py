"""The configuration as it crosses to a child process: resolved, validated, not read again.

A child that read the file by itself could see a later edit than its supervisor.
"""

from __future__ import annotations

import json
import os

from khive_supervisor.config.load import from_dict
from khive_supervisor.config.model import Config
from khive_supervisor.config.show import as_dict

#: The environment variable that carries it.
VARIABLE = "KHIVE_RESOLVED_CONFIG"


def dumps(config: Config) -> str:
    """A configuration as one line of JSON."""
    return json.dumps(as_dict(config), separators=(",", ":"))


def from_environment() -> Config:
    """The configuration that the supervisor gave this child.

    Raises:
        ConfigError: there is none, or not a valid one: the child was not started by a supervisor.
    """
    return from_dict(json.loads(os.environ.get(VARIABLE, "{}")), source=VARIABLE)
