"""One supervisor for one store: a lock beside the database, held for life, that names its holder.

The lock is `flock`, which the kernel releases however the holder dies. The supervisor never removes
the file: a second starter could lock a removed one. Somebody else may; see `missing`.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable

from khive_supervisor.errors import AlreadyRunning
from khive_supervisor.host import holder
from khive_supervisor.host.holder import Holder

#: Seconds for which the lock is tried again: who only asks for the holder has it for an instant.
TRY_FOR = 0.2
#: Seconds between two tries.
TRY_AGAIN = 0.02


class StoreLock:
    """Exclusive ownership of a store by one supervisor."""

    def __init__(self, store_path: str, me: Holder | None = None) -> None:
        self.store = os.path.realpath(store_path)
        self.path = self.store + ".lock"
        self.me = me or Holder(os.getpid())
        self._fd: int | None = None

    def acquire(self, sleep: Callable[[float], None] = time.sleep) -> None:
        """Take the lock and name ourselves in it, or say who has it; idempotent.

        Raises:
            AlreadyRunning: another supervisor owns this store.
            OSError: the file cannot be made.
        """
        if self._fd is not None:
            return
        for _ in range(round(TRY_FOR / TRY_AGAIN)):
            if self._try():
                return
            sleep(TRY_AGAIN)
        raise owned_by(self.store, holder.named_by(self.store))

    def _try(self) -> bool:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        fd = os.open(self.path, flags, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            return False
        self._hold(fd)
        return True

    def _hold(self, fd: int) -> None:
        """Hold the lock by a descriptor, and say in the file who does."""
        self.release()
        self._fd = fd
        data = self.me.encode()
        os.pwrite(fd, data, 0)  # with its `end`: what was longer is not read
        os.ftruncate(fd, len(data))

    def missing(self) -> bool:
        """Return whether the lock that we hold is not the one that others would find."""
        return self._fd is not None and not _lies_at(self._fd, self.path)

    def take_again(self) -> None:
        """Hold the file that others find, instead of the one that is gone; raises as `acquire`."""
        if not self._try():
            raise owned_by(self.store, holder.named_by(self.store))

    def adopt(self, fd: int) -> None:
        """Take over a descriptor that this process held the lock with before it was replaced.

        One of another file is closed: the store has moved meanwhile, and its lock is taken anew.
        """
        if not _lies_at(fd, self.path):
            os.close(fd)
            return
        os.set_inheritable(fd, False)
        self._hold(fd)

    def descriptor(self) -> int:
        """The descriptor that holds the lock; it is held."""
        assert self._fd is not None
        return self._fd

    def release(self) -> None:
        """Give the lock up; idempotent."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


def _lies_at(fd: int, path: str) -> bool:
    """Return whether the open file is the one at the path."""
    try:
        return os.path.samestat(os.fstat(fd), os.stat(path))
    except OSError:
        return False


def owned_by(store: str, who: Holder | None) -> AlreadyRunning:
    """The error of a start that finds its store held."""
    named = f"pid {who.pid}" if who else "pid unknown"
    socket = f"; socket {who.socket}" if who and who.socket else ""
    config = f"; configuration {who.config or 'none (the defaults)'}" if who and who.socket else ""
    return AlreadyRunning(
        f"A supervisor ({named}) already owns the store at {store}{socket}{config}.",
        hint="Sessions and commands of every configuration use that one. "
        "`khive-supervisor stop` stops it.",
    )
