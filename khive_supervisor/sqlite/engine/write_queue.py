"""Tells who waits for the write lock that it is free: a hint, and never the truth.

SQLite has nobody told; who waits can only look again. So that many writers need not, each that has
written puts a byte into a pipe beside the store, and the kernel wakes the one that has listened
longest, whichever process it is of. The lock itself stays SQLite's: who is woken tries to take it,
and listens again if another was quicker. A byte that is lost with a killed process costs one look.
"""

from __future__ import annotations

import os
import select
import stat
import sys
from contextlib import suppress

#: More than a pipe holds. One byte says as much as many.
_ALL = 1 << 20


class WriteQueue:
    """One connection's end of the pipe of a store; used by one thread at a time.

    Opened when it is first needed. Without it (another system, a directory that takes none,
    something else of its name) nobody is told, and nobody listens.
    """

    def __init__(self, store: str) -> None:
        # In a directory of its own: the store's is watched, and this would wake the watch.
        self._directory = store + "-turn"
        self.path = self._directory + "/pipe"
        self._tried = False
        self._pipe: int | None = None
        self._poll: select.epoll | None = None

    def wait(self, seconds: float) -> bool:
        """Listen until somebody passes on, at most so long; False at once if there is no pipe."""
        self._open_once()
        if self._pipe is None or self._poll is None:
            return False
        # One of those that listen is woken, not all. They stand in line by the time of this.
        self._poll.register(self._pipe, select.EPOLLIN | select.EPOLLEXCLUSIVE)
        try:
            told = self._poll.poll(seconds)
        finally:
            self._poll.unregister(self._pipe)
        if told:
            with suppress(BlockingIOError):  # another one was quicker
                os.read(self._pipe, _ALL)
        return True

    def pass_on(self) -> None:
        """Tell one that listens, else the next that will; called when the lock is free."""
        self._open_once()
        if self._pipe is not None:
            with suppress(BlockingIOError):  # full: whoever listens next is told anyway
                os.write(self._pipe, b"\0")

    def close(self) -> None:
        """Give the descriptors back; again is harmless."""
        self._tried = True
        if self._pipe is not None:
            os.close(self._pipe)
            self._pipe = None
        if self._poll is not None:
            self._poll.close()

    def _open_once(self) -> None:
        if not self._tried:
            self._tried = True
            with suppress(OSError):
                self._open()

    def _open(self) -> None:
        if sys.platform != "linux":
            return
        with suppress(FileExistsError):
            os.mkdir(self._directory, 0o700)
        self._poll = select.epoll()
        self._pipe = _pipe(self.path)


def _pipe(path: str) -> int:
    with suppress(FileExistsError):
        os.mkfifo(path, 0o600)
    # Never a plain file's content: what is no pipe is not even opened.
    if not stat.S_ISFIFO(os.lstat(path).st_mode):
        raise OSError(f"{path} is no pipe")
    return os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
