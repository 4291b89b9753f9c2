"""What must outlive a session's worker: the handshake, and the calls that it has not answered.

The journal is memory that attach makes and passes on as a descriptor (or an unlinked file). The
worker writes it, attach only keeps it open: so attach sleeps while calls come and go, and a worker
that follows one that was killed finds out what that one owed.

Lines: `H` and the client's handshake, first of all if there was one; then `A` for each attach,
`I` and the id of a call received, `D` and the id of one answered. When nothing is owed, all but the
handshake is cut off in one system call. What nobody has noted yet is in the inbox (`inbox`).
"""

from __future__ import annotations

import json
import os
import tempfile
from typing import Any


def make_file() -> int:
    """A descriptor of memory that goes with its last holder, for a session without attach."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("khive-session")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


class Journal:
    """The journal behind a descriptor, which it owns; written by one worker at a time."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        lines = os.pread(fd, os.fstat(fd).st_size, 0).splitlines(keepends=True)
        whole = [line for line in lines if line.endswith(b"\n")]
        self._size = sum(map(len, whole))
        first = whole[0] if whole and whole[0].startswith(b"H ") else b""
        #: The client's handshake, empty if there was none.
        self.handshake = first[2:].rstrip(b"\n")
        self._base = len(first)
        self._owed: dict[bytes, None] = {}
        for line in whole:
            if line.startswith(b"I "):
                self._owed[line[2:].rstrip(b"\n")] = None
            elif line.startswith(b"D "):
                self._owed.pop(line[2:].rstrip(b"\n"), None)

    @property
    def owed(self) -> list[Any]:
        """The ids of the calls that were received and not answered, in order."""
        return [json.loads(identifier) for identifier in self._owed]

    def shake_hands(self, line: bytes) -> None:
        """Keep the client's handshake for the next worker."""
        if line == self.handshake:
            return
        entry = b"H " + line.replace(b"\n", b" ") + b"\n"
        rest = b"".join(b"I " + identifier + b"\n" for identifier in self._owed)
        os.pwrite(self._fd, entry + rest, 0)
        self.handshake = line
        self._base = len(entry)
        self._size = self._base + len(rest)
        os.ftruncate(self._fd, self._size)

    def receive(self, identifier: Any) -> None:
        """A call has come."""
        key = json.dumps(identifier).encode()
        self._owed[key] = None
        self._append(b"I " + key + b"\n")

    def answer(self, identifier: Any) -> None:
        """A call has been answered."""
        key = json.dumps(identifier).encode()
        self._owed.pop(key, None)
        if self._owed:
            self._append(b"D " + key + b"\n")
        elif self._size > self._base:
            os.ftruncate(self._fd, self._base)
            self._size = self._base

    def rest(self) -> None:
        """Leave nothing but the handshake: the worker ends on purpose, and owes nothing.

        The count of attaches goes with it, which is of workers that were lost.
        """
        os.ftruncate(self._fd, self._base)
        self._size = self._base

    def _append(self, entry: bytes) -> None:
        os.pwrite(self._fd, entry, self._size)
        self._size += len(entry)
