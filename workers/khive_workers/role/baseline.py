"""What a function finds around it is the same for each task: what one changes, the next never sees.

A function runs in the worker's own process, which all its tasks share.
"""

from __future__ import annotations

import locale
import os
import signal
import socket
import sys
import threading
from dataclasses import dataclass, field
from typing import Any

#: Timers that a function may have set, whose signals would end the process.
_TIMERS = (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF)


def _umask() -> int:
    now = os.umask(0o077)
    os.umask(now)
    return now


@dataclass(frozen=True)
class ProcessBaseline:
    """How things were when the handler had been imported."""

    cwd: str
    environ: dict[str, str] = field(default_factory=lambda: dict(os.environ))
    umask: int = field(default_factory=_umask)
    path: tuple[str, ...] = field(default_factory=lambda: tuple(sys.path))
    argv: tuple[str, ...] = field(default_factory=lambda: tuple(sys.argv))
    streams: tuple[Any, ...] = field(default_factory=lambda: (sys.stdin, sys.stdout, sys.stderr))
    locale: str = field(default_factory=lambda: locale.setlocale(locale.LC_ALL))
    timeout: float | None = field(default_factory=socket.getdefaulttimeout)
    mask: frozenset[int] = field(
        default_factory=lambda: frozenset(signal.pthread_sigmask(signal.SIG_BLOCK, ()))
    )
    threads: frozenset[threading.Thread] = field(
        default_factory=lambda: frozenset(threading.enumerate())
    )

    def restore(self) -> None:
        """Make all of it as it was, for the thread that calls this.

        Raises:
            OSError: the directory is gone.
        """
        for timer in _TIMERS:
            signal.setitimer(timer, 0)
        signal.pthread_sigmask(signal.SIG_SETMASK, self.mask)
        os.umask(self.umask)
        sys.path[:] = self.path
        sys.argv[:] = self.argv
        sys.stdin, sys.stdout, sys.stderr = self.streams
        socket.setdefaulttimeout(self.timeout)
        if locale.setlocale(locale.LC_ALL) != self.locale:
            locale.setlocale(locale.LC_ALL, self.locale)
        self._restore_environ()
        os.chdir(self.cwd)

    def _restore_environ(self) -> None:
        if dict(os.environ) == self.environ:
            return
        for name in set(os.environ) - set(self.environ):
            del os.environ[name]
        os.environ.update(self.environ)

    def threads_left(self) -> list[str]:
        """Names of the threads that were not there, but for the one that asks."""
        now = set(threading.enumerate()) - self.threads - {threading.current_thread()}
        return sorted(thread.name for thread in now)
