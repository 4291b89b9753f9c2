"""What a supervisor is started with."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from khive_supervisor.config.load import LoadedConfig
from khive_supervisor.supervision.upgrade.inherited import Inherited


@dataclass(frozen=True, slots=True)
class StartOptions:
    """What a supervisor goes by.

    Attributes:
        socket_path: where it listens.
        http: whether HTTP is served even if the configuration does not say so.
        inherited: what this process kept when it was another release.
        deliberate: whether somebody has asked for this very release.
        clock: monotonic seconds.
    """

    loaded: LoadedConfig
    socket_path: str
    http: bool = False
    inherited: Inherited | None = None
    deliberate: bool = False
    clock: Callable[[], float] = time.monotonic
