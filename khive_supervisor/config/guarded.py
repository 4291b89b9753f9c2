"""What nobody but the user may be able to change: what decides what runs, and what is stored."""

from __future__ import annotations

import os

from khive_supervisor.config.settings.model import Config


def guarded(config: Config, file: str | None, socket_path: str) -> list[str]:
    """The paths of a configuration, its store and its supervisor that have to be the user's alone.

    Args:
        config: the configuration in force.
        file: where it was read, if anywhere.
        socket_path: where its supervisor listens.
    """
    named = [file] if file is not None else []
    return [
        *named,
        config.agents.capabilities,
        config.store.path,
        os.path.join(os.path.dirname(os.path.realpath(config.store.path)), "index"),
        os.path.dirname(socket_path),
        os.path.dirname(config.log.file),
    ]
