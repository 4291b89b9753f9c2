"""Taking over a changed configuration without a restart: who is told, and how."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from khive_supervisor.attach.channel import FORWARDED
from khive_supervisor.config import snapshot
from khive_supervisor.config.settings.model import Config
from khive_supervisor.supervision.processes.environment import for_children
from khive_supervisor.supervision.processes.restart import RestartPolicy
from khive_supervisor.supervision.processes.spawner import ForkSpawner

if TYPE_CHECKING:
    from khive_supervisor.supervision.app import Supervisor


def take(supervisor: Supervisor, config: Config) -> None:
    """Make `config` the one in force: for the supervisor now, for others when they start.

    Raises:
        OSError: what attach reads could not be written; nothing was changed.
    """
    environment = environment_of(config, supervisor.socket_path, os.environ)
    write_allow_list(supervisor.socket_path, config)
    supervisor.config = config
    # In place: everything that starts a process holds this dictionary.
    supervisor.environment.clear()
    supervisor.environment.update(environment)
    logging.getLogger().setLevel(config.log.level.upper())
    supervisor.watcher.look_every(config.supervisor.poll_interval)
    for child in supervisor.children.values():
        child.policy = policy_of(config)
    if isinstance(supervisor.spawner, ForkSpawner):
        supervisor.spawner.configure(environment[snapshot.VARIABLE])
    supervisor.upkeep.configure(config)


def environment_of(config: Config, socket_path: str, environ: Mapping[str, str]) -> dict[str, str]:
    """The environment of every child.

    Raises:
        ConfigError: the configuration is too long for one.
    """
    return {
        **for_children(environ, config),
        snapshot.VARIABLE: snapshot.dumps(config),
        "KHIVE_SOCKET": socket_path,
        # Threads keep the pages of a search's arrays instead of giving them back and getting them
        # anew each time: 0.7 ms of a search.
        "MALLOC_TRIM_THRESHOLD_": "1048576",
    }


def policy_of(config: Config) -> RestartPolicy:
    """How children that die are started again."""
    settings = config.supervisor
    return RestartPolicy(
        backoff=settings.restart_backoff,
        backoff_max=settings.restart_backoff_max,
        limit=settings.restart_limit,
        window=settings.restart_window,
    )


def write_allow_list(socket_path: str, config: Config) -> None:
    """Attach reads no configuration; names that differ from its own stand beside the socket."""
    names = config.session.env_allow
    if tuple(names) == FORWARDED:
        remove_allow_list(socket_path)
        return
    file = socket_path + ".env"
    fd = os.open(file + ".tmp", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "w") as out:
        out.write("\n".join(names))
    os.replace(file + ".tmp", file)  # whole, since an attach may read it at this moment


def remove_allow_list(socket_path: str) -> None:
    """Attach goes by its own names from now on; idempotent."""
    try:
        os.unlink(socket_path + ".env")
    except FileNotFoundError:
        return
