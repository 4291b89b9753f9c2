"""Who may run a command that asks nobody: the one that reads or writes the store's files itself.

What the supervisor and the verbs are asked is judged there. Here the same grant holds for the rest:
an agent's session, or a task, that runs `backup` in a shell is no operator.
"""

from __future__ import annotations

import os

from khive_supervisor.access.grant import Grant, check_operator
from khive_supervisor.cli.connection.session import loaded, seen_by_supervisor
from khive_supervisor.config.settings.model import Config
from khive_supervisor.errors import ConfigError, Denied
from khive_supervisor.host import paths


def grant_here(config_file: str | None) -> Grant:
    """What this command may do: as the supervisor sees it, or by the environment without one."""
    from khive_supervisor.access import decide

    seen = seen_by_supervisor(config_file)
    if seen is not None:
        return seen
    try:
        config = loaded(config_file).config
    except ConfigError:
        config = Config()
    return decide.alone(config, "verbs", paths.working_directory(), os.environ)


def operators_only(config_file: str | None, command: str) -> None:
    """Refuse whoever is no operator; raises Denied."""
    check_operator(grant_here(config_file), f"`khive-supervisor {command}`")


def not_confined(config_file: str | None, command: str) -> None:
    """Refuse a command beneath a confined session, which would see what others do.

    Raises:
        Denied: it is one.
    """
    if grant_here(config_file).confined:
        raise Denied(
            f"`khive-supervisor {command}` shows what all namespaces have, and this command is "
            "confined.",
            hint="Run it in a terminal of your own.",
        )
