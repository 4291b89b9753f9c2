"""Files that survive a power cut."""

from __future__ import annotations

import os


def sync(path: str) -> None:
    """Force a file, or the names in a directory, to disk; raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
