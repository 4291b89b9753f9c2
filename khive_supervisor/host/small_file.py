"""Reading a small file that somebody else may have put there, without hanging on it."""

from __future__ import annotations

import os
import stat


def read_regular(path: str, limit: int) -> tuple[bytes, os.stat_result]:
    """Return the whole content of a regular file, and its status.

    A FIFO, a device or a directory is an error and not a process that waits for ever.

    Raises:
        OSError: it cannot be read, is not a regular file, or has more than `limit` bytes;
            `strerror` says which.
    """
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
    try:
        descriptor = os.open(path, flags)
    except ValueError as error:
        raise OSError(0, f"not a path ({error})") from None
    try:
        status = os.fstat(descriptor)
        if stat.S_ISDIR(status.st_mode):
            raise OSError(0, "it is a directory")
        if not stat.S_ISREG(status.st_mode):
            raise OSError(0, "it is not a regular file")
        with open(descriptor, "rb", closefd=False) as file:
            data = file.read(limit + 1)
        if len(data) > limit:
            raise OSError(0, f"it is larger than {limit} bytes")
        return data, status
    finally:
        os.close(descriptor)
