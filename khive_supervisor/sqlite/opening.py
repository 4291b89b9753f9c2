"""Opening the store that a configuration names."""

from __future__ import annotations

from collections.abc import Callable

from khive_supervisor.audit import actors
from khive_supervisor.config.settings.model import Config
from khive_supervisor.sqlite.store import SqliteStore
from khive_supervisor.sqlite.team.sharing import SharedWrites
from khive_supervisor.sqlite.team.turn_client import TurnClient, turn_socket


def open_store(
    config: Config,
    *,
    guarded: bool = True,
    owner: bool = False,
    actor: Callable[[], str] = actors.user,
) -> SqliteStore:
    """Open the store that the configuration names; made and migrated if need be.

    A worker leaves the guards to its supervisor, which holds the store's lock (`owner`); its store
    must exist then. `actor` says who it is that uses the store, each time something is recorded.

    Raises:
        StoreRefused: it must not be opened; nothing was touched.
        StoreUnavailable: busy, full or read-only now.
        StoreError: damaged.
    """
    path, sharing = config.store.path, None
    if config.store.url:
        client = TurnClient(turn_socket(path), config.store.busy_timeout)
        sharing = SharedWrites(client)
    return SqliteStore(
        path,
        busy_timeout=config.store.busy_timeout,
        allow_network=config.store.allow_network_filesystem,
        guarded=guarded,
        owner=owner,
        audited=config.audit.enabled,
        secrets=config.secrets.mode,
        actor=actor,
        sharing=sharing,
    )
