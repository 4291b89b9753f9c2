"""A new base made in a process of its own: turns and changes of others do not wait for it."""

from __future__ import annotations

import os
import subprocess
import sys
import time

#: Seconds after a renewal, however it ended, until the next one is begun.
PAUSE = 300.0
#: Seconds that one may take.
_DEADLINE = 3600.0


class Renewal:
    """The process that renews the base, if there is one."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._begun = -PAUSE

    def begin(self) -> None:
        """Have the base renewed, unless that is being done or was done just now."""
        now = time.monotonic()
        if self._process is not None and self._process.poll() is None:
            if now - self._begun > _DEADLINE:
                self._process.kill()
            return
        if now - self._begun < PAUSE:
            return
        self._begun = now
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "khive_workers.replicator", "--do", "base"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            preexec_fn=_politely,  # noqa: PLW1509 - this process has no locks that a fork could copy
        )

    def end(self) -> None:
        """End it, if it is at work; the server keeps the base that it had."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()


def _politely() -> None:
    os.nice(10)
