"""The engines that the contracts of a store's facets are tested with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from khive_supervisor.sqlite.store import SqliteStore
from khive_supervisor.store.interface import Store


class Engine(Protocol):
    """Opens a store at a path, which is made if need be."""

    def __call__(
        self,
        path: str,
        *,
        clock: Callable[[], float] = ...,
        actor: Callable[[], str] = ...,
        audited: bool = ...,
        secrets: str = ...,
        busy_timeout: float = ...,
    ) -> Store: ...


ENGINES: dict[str, Engine] = {"sqlite": SqliteStore}
