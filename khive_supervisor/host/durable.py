"""Files that survive a power cut, and files that nobody finds half written."""

from __future__ import annotations

import os


def sync(path: str) -> None:
    """Force a file, or the names in a directory, to disk; raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_private(path: str, data: bytes) -> None:
    """Put a file that is ours alone in its place, whole or not at all; raises OSError."""
    unfinished = path + ".tmp"
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as out:
        out.write(data)
        out.flush()
        os.fsync(descriptor)
    os.replace(unfinished, path)
