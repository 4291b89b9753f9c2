"""Tells who waits for the write lock that it is free: a hint, and never the truth.

SQLite has nobody told; who waits can only look again. So that many writers need not, each that has
written puts a byte into a pipe beside the store, and the kernel wakes the one that has listened
longest, whichever process it is of. The lock itself stays SQLite's: who is woken tries to take it,
and listens again if another was quicker. A byte that is lost with a killed process costs one look.

Who has had its turn may write more, for a stretch, before the next of the line comes: a processor's
caches hold what a few processes need for a write, not what all of them do, and each would begin
with empty ones. Such writers listen at a pipe of their own, and say until when they will be back.
One of the line is told whenever none of them will be: while all of them wait for the disk, others
come to share that wait.
"""

from __future__ import annotations

import fcntl
import os
import select
import stat
import struct
import sys
import time
from contextlib import suppress

#: More than a pipe holds. One byte says as much as many.
_ALL = 1 << 20

#: Seconds that a stretch lasts: some writes, and not much beside what 16 writers wait in line.
STRETCH = 0.01

#: Seconds in which one that writes again and again should be back.
BACK = 0.001

#: The kernel's `struct flock`: type, from where, start, length, process.
_FLOCK = struct.Struct("hhqqi")


class WriteQueue:
    """One connection's end of the pipes of a store; used by one thread at a time.

    Opened when they are first needed. Without them (another system, a directory that takes none,
    something else of their name) nobody is told, and nobody listens.
    """

    def __init__(self, store: str) -> None:
        # In a directory of its own: the store's is watched, and this would wake the watch.
        self._directory = store + "-turn"
        self.path = self._directory + "/pipe"
        self._tried = False
        self._line: int | None = None
        self._first: _First | None = None
        self._poll: select.epoll | None = None
        self._until = 0.0
        self._writes = 0

    def wait(self, seconds: float) -> bool:
        """Listen until somebody passes on, at most so long; False at once if there is no pipe."""
        pipe = self.listens_at
        if pipe is None or self._first is None or self._poll is None:
            return False
        if pipe == self._first.pipe:
            self._first.back_until(time.monotonic() + seconds)
        _listen(self._poll, pipe, seconds)
        if pipe == self._line:
            self._until, self._writes = time.monotonic() + STRETCH, 0
        return True

    @property
    def listens_at(self) -> int | None:
        """The pipe of those that go first, in a stretch; else that of the line."""
        self._open_once()
        if self._first is not None and time.monotonic() < self._until:
            return self._first.pipe
        return self._line

    def pass_on(self) -> None:
        """Tell one that listens, else the next that will; called when the lock is free."""
        self._open_once()
        if self._line is None or self._first is None:
            return
        self._first.gone()
        others = self._first.others(time.monotonic())
        with suppress(BlockingIOError):  # full: whoever listens next is told anyway
            os.write(self._first.pipe if others else self._line, b"\0")

    def done(self) -> None:
        """Say that one's write is on disk: who is in a stretch and has used it, will be back."""
        if self._until and self._first is not None:
            now = time.monotonic()
            self._writes += 1
            if now >= self._until:
                self._until = 0.0
            elif self._writes > 1:
                self._first.back_until(now + BACK)

    def close(self) -> None:
        """Give the descriptors back; again is harmless."""
        self._tried = True
        if self._line is not None:
            os.close(self._line)
        if self._first is not None:
            os.close(self._first.pipe)
        self._line = self._first = None
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
        self._line = _pipe(self.path)
        self._first = _First(_pipe(self._directory + "/first"))


def _listen(poll: select.epoll, pipe: int, seconds: float) -> None:
    # One of those that listen is woken, not all. They stand in line by the time of this.
    poll.register(pipe, select.EPOLLIN | select.EPOLLEXCLUSIVE)
    try:
        told = poll.poll(seconds)
    finally:
        poll.unregister(pipe)
    if told:
        with suppress(BlockingIOError):  # another one was quicker
            os.read(pipe, _ALL)


class _First:
    """The pipe of those that go before the line, and who of them will be back until when.

    That is a lock on the byte of this time, for who looks whether there is any on a later one. The
    kernel forgets it with a killed process, and nobody needs to when the time is over.
    """

    def __init__(self, pipe: int) -> None:
        self.pipe = pipe
        self._said = False

    def back_until(self, moment: float) -> None:
        """Say so to the others, instead of what was said before."""
        self.gone()
        self._said = True
        self._lock(fcntl.F_OFD_SETLK, fcntl.F_RDLCK, _byte(moment), 1)

    def gone(self) -> None:
        """Take back what was said."""
        if self._said:
            self._said = False
            self._lock(fcntl.F_OFD_SETLK, fcntl.F_UNLCK, 0, 0)

    def others(self, now: float) -> bool:
        """Whether another one will be back."""
        return self._lock(fcntl.F_OFD_GETLK, fcntl.F_WRLCK, _byte(now), 0) != fcntl.F_UNLCK

    def _lock(self, command: int, kind: int, start: int, length: int) -> int:
        """The kind of lock that the kernel answers with; a length of 0 is to the end."""
        answer = fcntl.fcntl(self.pipe, command, _FLOCK.pack(kind, os.SEEK_SET, start, length, 0))
        return int(_FLOCK.unpack_from(answer)[0])


def _byte(moment: float) -> int:
    return int(moment * 1e6)


def _pipe(path: str) -> int:
    with suppress(FileExistsError):
        os.mkfifo(path, 0o600)
    # Never a plain file's content: what is no pipe is not even opened.
    if not stat.S_ISFIFO(os.lstat(path).st_mode):
        raise OSError(f"{path} is no pipe")
    return os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
