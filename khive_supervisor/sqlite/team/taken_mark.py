"""The mark by which a writer takes a turn that was given to it ahead.

A file of eight bytes in the memory of the replicator and of its writers: the number that the
replica had come to when the turn began. A message would do the same, and wake the replicator in the
middle of the writer's work: where both get the same processor, the one waits for the other.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import struct

_NUMBER = struct.Struct("=q")


class TakenMark:
    """One mapping of the mark.

    Args:
        path: of the file; it is made by the replicator.
    """

    def __init__(self, path: str, *, make: bool = False) -> None:
        flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | (os.O_CREAT if make else 0)
        descriptor = os.open(path, flags, 0o600)
        try:
            if make:
                os.ftruncate(descriptor, _NUMBER.size)
            self._map = mmap.mmap(descriptor, _NUMBER.size)
        finally:
            os.close(descriptor)
        if make:
            self.set(-1)

    def set(self, number: int) -> None:
        """Take the turn that begins with a number."""
        _NUMBER.pack_into(self._map, 0, number)

    def get(self) -> int:
        """Return the number of the turn that was taken so last; -1: none was."""
        return int(_NUMBER.unpack_from(self._map)[0])

    def close(self) -> None:
        """Let go of the mapping; again is harmless."""
        self._map.close()


def opened(path: str) -> TakenMark | None:
    """Return the mark of a replicator; None if it has none (of an earlier release)."""
    with contextlib.suppress(OSError, ValueError):
        return TakenMark(path)
    return None


def taken_file(turn_socket: str) -> str:
    """Return where the mark of the replicator lies that listens at a socket."""
    return f"{turn_socket}-taken"
