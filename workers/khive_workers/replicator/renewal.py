"""What takes long, in a process of its own: turns and changes of others do not wait for it."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time

#: Seconds after the base was renewed, however that ended, until it is begun again.
PAUSE = 300.0
#: Seconds that one may take.
_DEADLINE = 3600.0


class PoliteErrand:
    """A process that does an errand at low priority, one at a time.

    Args:
        name: of `khive_workers.team.errands`.
        pause: seconds after one has begun until another one is.
    """

    def __init__(self, name: str, pause: float = PAUSE) -> None:
        self._name = name
        self._pause = pause
        self._process: subprocess.Popen[bytes] | None = None
        self._begun = -pause

    def begin(self, given: bytes = b"") -> None:
        """Have it done, unless that is at work or was begun just now; `given` is its input."""
        now = time.monotonic()
        if self._process is not None and self._process.poll() is None:
            if now - self._begun > _DEADLINE:
                self._process.kill()
            return
        if now - self._begun < self._pause:
            return
        self._begun = now
        with tempfile.TemporaryFile() as read:
            read.write(given)
            read.seek(0)
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "khive_workers.replicator", "--do", self._name],
                stdin=read,
                stdout=subprocess.DEVNULL,
                preexec_fn=_politely,  # noqa: PLW1509 - no locks that a fork could copy
            )

    def done(self, given: bytes) -> bool:
        """Return whether it has come to a good end; if not, have it done."""
        process = self._process
        if process is not None and process.poll() == 0:
            self._process = None
            return True
        self.begin(given)
        return False

    def end(self) -> None:
        """End it, if it is at work; the server keeps what it had."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()


def _politely() -> None:
    os.nice(10)
