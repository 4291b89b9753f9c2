"""Children that this process had before it became this release: nobody else can reap them."""

from __future__ import annotations

import os


class Strangers:
    """Their numbers, as long as they live."""

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
