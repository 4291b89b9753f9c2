"""Which supervisor a client belongs to: the one of the store that it means.

A client says its configuration file, KHIVE_STORE, and the store of a configuration that names none.
The store that it means is the first of these that names one. Files are read once, and again when
they are others by their device, inode, size or time.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from khive_supervisor.config.load import LoadedConfig, load
from khive_supervisor.errors import ConfigError, StoreUnavailable
from khive_supervisor.host import holder

#: Files whose stores are remembered.
MAX_FILES = 256

#: Seconds in which a client's configuration must be read, wherever it lies.
LOOK_DEADLINE = 2.0

_Stamp = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """The client means another store.

    Attributes:
        store: which one.
        socket: where its holder listens; empty if nobody holds it.
    """

    store: str
    socket: str


@dataclass(slots=True)
class Belonging:
    """Decides whether clients mean the store of this supervisor.

    Attributes:
        store: the real path of our store.
        file: our configuration's file.
        own: the store that our file names; None if it names none.
        socket: where we listen.
    """

    store: str
    file: str | None
    own: str | None
    socket: str
    _known: dict[str, tuple[_Stamp, str | None]] = field(default_factory=dict)

    @classmethod
    def of(cls, loaded: LoadedConfig, socket: str) -> Belonging:
        """For a supervisor that was started with a configuration."""
        path = loaded.config.store.path
        origin = loaded.origins["store.path"]
        if origin.startswith("environment "):
            own = _store_in(loaded.file)
        else:
            own = None if origin == "default" else path
        return cls(os.path.realpath(path), loaded.file, own, socket)

    def elsewhere(self, hello: Mapping[str, Any]) -> Elsewhere | None:
        """Where a client belongs; None: here.

        Raises:
            ConfigError: its configuration is invalid, so that nobody knows which store it means.
        """
        if "default_store" not in hello:
            return None  # an older client, which went by the socket alone
        meant = self._meant(hello)
        if meant == self.store:
            return None
        other = holder.of(meant)
        found = other.socket if other is not None else None
        return Elsewhere(meant, found if found and found != self.socket else "")

    async def admit(self, hello: Mapping[str, Any]) -> Elsewhere | None:
        """As `elsewhere`, without ever holding the loop up.

        Raises:
            StoreUnavailable: what the client names cannot be looked at in time.
        """
        if not hello.get("store") and hello.get("config") in (None, self.file):
            return self.elsewhere(hello)
        try:
            looking = asyncio.to_thread(self.elsewhere, hello)
            return await asyncio.wait_for(looking, LOOK_DEADLINE)
        except TimeoutError:
            raise StoreUnavailable(
                f"What {hello.get('config') or hello.get('store')} is could not be seen in time."
            ) from None

    def _meant(self, hello: Mapping[str, Any]) -> str:
        file = hello.get("config")
        named = hello.get("store") or (self._named_by(file) if file else None)
        return os.path.realpath(named or hello["default_store"])

    def _named_by(self, file: str) -> str | None:
        """The store that a configuration file names; ours by what is in force."""
        if file == self.file:
            return self.own
        try:
            found = os.stat(file)
        except OSError as error:
            raise ConfigError([f"{file}: cannot be read: {error.strerror}"]) from None
        stamp = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)
        known = self._known.get(file)
        if known is None or known[0] != stamp:
            if len(self._known) >= MAX_FILES:
                self._known.clear()
            known = self._known[file] = stamp, _store_in(file)
        return known[1]


def _store_in(file: str | None) -> str | None:
    """The store that a file names by itself; None if it names none."""
    if file is None:
        return None
    found = load(file, "/", {})
    return None if found.origins["store.path"] == "default" else found.config.store.path
