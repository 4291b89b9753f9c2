"""What a supervisor is started with, and what its process keeps when it becomes another release."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass

from khive_supervisor.config.load import LoadedConfig
from khive_supervisor.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Inherited:
    """What the process has kept through its replacement: descriptors, and the socket's path."""

    release: str
    socket: str
    lock: int
    listener: int
    http: int | None = None

    @classmethod
    def parse(cls, text: str) -> Inherited:
        """What `--take-over` says; fields of other releases are left out.

        Raises:
            InvalidInput: it was not written by a supervisor.
        """
        try:
            data = json.loads(text)
            return cls(
                release=str(data["release"]),
                socket=str(data["socket"]),
                lock=int(data["lock"]),
                listener=int(data["listener"]),
                http=None if data.get("http") is None else int(data["http"]),
            )
        except (ValueError, KeyError, TypeError) as error:
            raise InvalidInput(f"--take-over is for supervisors only: {error!r}.") from None

    def text(self) -> str:
        """The same for the command line."""
        return json.dumps(asdict(self))


class Strangers:
    """Children that this process had before it became this release: nobody else can reap them."""

    def __init__(self) -> None:
        self._pids: set[int] = set()

    def look(self) -> None:
        """Take note of all children of this process; call before the first one is started."""
        try:
            for thread in os.listdir("/proc/self/task"):
                with open(f"/proc/self/task/{thread}/children", encoding="ascii") as file:
                    self._pids.update(map(int, file.read().split()))
        except OSError:
            return  # no such table here: they stay as zombies until this process ends

    def reap(self) -> None:
        """Let go of those that have ended."""
        for pid in list(self._pids):
            try:
                if os.waitpid(pid, os.WNOHANG)[0]:
                    self._pids.discard(pid)
            except ChildProcessError:
                self._pids.discard(pid)


@dataclass(frozen=True, slots=True)
class StartOptions:
    """What a supervisor goes by.

    Attributes:
        socket_path: where it listens.
        http: whether HTTP is served even if the configuration does not say so.
        inherited: what this process kept when it was another release.
        deliberate: whether somebody has asked for this very release.
    """

    loaded: LoadedConfig
    socket_path: str
    http: bool = False
    inherited: Inherited | None = None
    deliberate: bool = False
