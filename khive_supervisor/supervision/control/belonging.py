"""Which supervisor a client belongs to: the one of the store that it means.

A client says its configuration file, KHIVE_STORE, and the store of a configuration that names none.
The store that it means is the first of these that names one.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from khive_supervisor.config.load import LoadedConfig, load
from khive_supervisor.errors import StoreUnavailable
from khive_supervisor.host import holder
from khive_supervisor.supervision.maintenance.aside import Aside


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """The client means another store.

    Attributes:
        store: which one.
        socket: where its holder listens; empty if nobody holds it.
    """

    store: str
    socket: str


@dataclass(frozen=True, slots=True)
class Belonging:
    """Decides whether clients mean the store of this supervisor.

    Attributes:
        store: the real path of our store.
        plain: that of the one in its place if we had no team's; empty if it is that.
        file: our configuration's file.
        own: the store that our file names; None if it names none.
        socket: where we listen.
        aside: looks at clients' files.
    """

    store: str
    plain: str
    file: str | None
    own: str | None
    socket: str
    aside: Aside

    @classmethod
    def of(cls, loaded: LoadedConfig, socket: str, aside: Aside) -> Belonging:
        """Return that of a supervisor that was started with a configuration."""
        path = loaded.config.store.path
        origin = loaded.origins["store.path"]
        if origin.startswith("environment "):
            own = _store_in(loaded.file) if loaded.file else None
        else:
            own = None if origin == "default" else path
        store = os.path.realpath(path)
        plain = loaded.config.plain_store and os.path.realpath(loaded.config.plain_store)
        return cls(store, plain, loaded.file, own, socket, aside)

    async def admit(self, hello: Mapping[str, Any]) -> Elsewhere | None:
        """Return where a client belongs; None: here.

        Raises:
            ConfigError: its configuration is invalid, so that nobody knows which store it means.
            StoreUnavailable: what the client names cannot be looked at in time.
        """
        if "default_store" not in hello:
            return None  # an older client, which went by the socket alone
        if not hello.get("store") and hello.get("config") in (None, self.file):
            return self._elsewhere(hello)
        try:
            return await self.aside.run(functools.partial(self._elsewhere, hello))
        except TimeoutError:
            raise StoreUnavailable(
                f"What {hello.get('config') or hello.get('store')} is could not be seen in time."
            ) from None

    def _elsewhere(self, hello: Mapping[str, Any]) -> Elsewhere | None:
        file = hello.get("config")
        named = hello.get("store") or (self._named_by(file) if file else None)
        meant = os.path.realpath(named or hello["default_store"])
        if meant in (self.store, self.plain or self.store):
            return None
        other = holder.of(meant)
        found = other.socket if other is not None else None
        return Elsewhere(meant, found if found and found != self.socket else "")

    def _named_by(self, file: str) -> str | None:
        """Return the store that a file names; ours by what is in force."""
        return self.own if file == self.file else _store_in(file)


def _store_in(file: str) -> str | None:
    """Return the store that a file names by itself; None if it names none."""
    found = load(file, "/", {})
    return None if found.origins["store.path"] == "default" else found.config.store.path
