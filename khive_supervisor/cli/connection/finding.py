"""How a command finds the supervisor: the one that holds the store of its configuration.

The lock beside the store says where that one listens, whatever configuration or KHIVE_SOCKET it was
started with. No wait here is without a word, nor without an end that says why.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TypeVar

from khive_supervisor.cli.connection.waiting import Wait
from khive_supervisor.config.load import load
from khive_supervisor.control.client import ControlClient, unresponsive
from khive_supervisor.errors import ConfigError, KhiveError, NotRunning, OtherStore, Unresponsive
from khive_supervisor.host import holder, paths
from khive_supervisor.host.holder import Holder
from khive_supervisor.host.processes import stopped
from khive_supervisor.text.plain_json import JsonObject

T = TypeVar("T")

#: Seconds in which a supervisor that has its store listens: it starts, or binds again a socket that
#: was removed, which it notices at its next look.
LISTEN_DEADLINE = 8.0


def store_of(config_file: str | None) -> str | None:
    """The store that this configuration means; None if it is invalid."""
    try:
        return load(config_file, paths.working_directory(), os.environ).config.store.path
    except ConfigError:
        return None


def holder_of(config_file: str | None) -> Holder | None:
    """The living holder of this configuration's store."""
    store = store_of(config_file)
    return holder.of(store) if store is not None else None


def socket_of(config_file: str | None) -> str:
    """Where the supervisor of this configuration's store listens, or one that was started would."""
    found = paths.find_config(config_file, paths.working_directory())
    store = store_of(config_file)
    if store is None:
        # Whom an invalid file means is not known; who runs with it serves what was in force.
        return next(filter(_is_there, holder.candidates(found)), paths.socket_path(found))
    holds = holder.of(store)
    if holds is not None and holds.socket:
        return holds.socket
    return paths.socket_path(found)


def _is_there(path: str) -> bool:
    return os.path.exists(path)


def control(config_file: str | None) -> ControlClient:
    """A conversation with the supervisor itself.

    Raises:
        NotRunning: nobody holds the store.
        Unresponsive: somebody does, and does not answer.
    """
    return reach(config_file, ControlClient)


def status_of(client: ControlClient) -> JsonObject:
    """Return what a supervisor says of itself."""
    return client.request("status")


def reach(config_file: str | None, talk: Callable[[str], T]) -> T:
    """Talk to who holds the store, as soon as he listens; raises as `control`."""
    wait = Wait(LISTEN_DEADLINE)
    while True:
        path = socket_of(config_file)
        try:
            return talk(path)
        except OtherStore:
            raise
        except NotRunning as error:
            holds = holder_of(config_file)
            if holds is None:
                raise
            if stopped(holds.pid) or not wait.goes_on(waits_to_listen(holds, path)):
                raise unreachable(holds, path) from error


def waits_to_listen(holds: Holder, path: str) -> str:
    """Return what the user is told of a wait for a supervisor that has its store."""
    return f"Waiting for the supervisor (pid {holds.pid}) to listen at {path}."


def unreachable(holds: Holder, path: str) -> KhiveError:
    """The error of a supervisor that has its store and cannot be reached."""
    if stopped(holds.pid):
        return unresponsive(holds.pid, path)
    return Unresponsive(
        f"The supervisor (pid {holds.pid}) holds the store, and nobody listens at {path}.",
        hint=f"`khive-supervisor stop` stops it; `kill -9 {holds.pid}` ends one that hangs. "
        "`khive-supervisor logs` says what it does.",
    )
