"""One supervisor for one store: a lock beside the database, held for life.

The lock is `flock`, which the kernel releases however the holder dies. The file is never removed
(a second starter could lock a removed file); the pid in it is for people only.
"""

from __future__ import annotations

import fcntl
import os

from khive_supervisor.errors import AlreadyRunning


class StoreLock:
    """Exclusive ownership of a store by one supervisor."""

    def __init__(self, store_path: str) -> None:
        self.path = os.path.realpath(store_path) + ".lock"
        self._fd: int | None = None

    def acquire(self) -> None:
        """Take the lock, or say who has it; idempotent.

        Raises:
            AlreadyRunning: another supervisor owns this store.
        """
        if self._fd is not None:
            return
        fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(fd, 64).decode("ascii", "replace").strip() or "unknown"
            os.close(fd)
            raise AlreadyRunning(
                f"A supervisor (pid {holder}) already owns the store at {self.path[:-5]}.",
                hint="Use that one (`khive-supervisor status`), or stop it first.",
            ) from None
        os.ftruncate(fd, 0)
        os.write(fd, f"{os.getpid()}\n".encode())
        self._fd = fd

    def release(self) -> None:
        """Give the lock up; idempotent."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
