"""What must outlive a session's worker: the handshake, and the calls that it has not answered.

The journal is memory that attach makes and passes on as a descriptor (or an unlinked file). The
worker writes it, attach only keeps it open: so attach sleeps while calls come and go, and a worker
that follows one that was killed finds out what that one owed.

Lines: `H` and the client's handshake, first of all if there was one; `S` and a request for what the
client wants to hear of, one for each; then `A` for each attach, `I` and the id of a call received,
`D` and the id of one answered. When nothing is owed, all but the first two kinds is cut off in one
system call. What nobody has noted yet is in the inbox (`inbox`).
"""

from __future__ import annotations

import json
import os
import tempfile
from typing import Any

#: How many things a client may want to hear of that are remembered.
MOST_STANDING = 200


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
        self._standing: dict[str, bytes] = {}
        for line in whole:
            if line.startswith(b"S ") and (subject := _subject(line[2:])):
                self._standing[subject] = line[2:].rstrip(b"\n")
        self._base = len(self._head())
        self._owed: dict[bytes, None] = {}
        for line in whole:
            if line.startswith(b"I "):
                self._owed[line[2:].rstrip(b"\n")] = None
            elif line.startswith(b"D "):
                self._owed.pop(line[2:].rstrip(b"\n"), None)

    @property
    def owed(self) -> list[Any]:
        """Return the ids of the calls that were received and not answered, in order."""
        return [json.loads(identifier) for identifier in self._owed]

    @property
    def standing(self) -> list[bytes]:
        """Return the requests by which the client wants to hear of something, in order."""
        return list(self._standing.values())

    def subscribe(self, line: bytes) -> None:
        """Keep, for the next worker, what the client wants to hear of; or no longer."""
        subject = _subject(line)
        if subject is None:
            return
        if b'"resources/unsubscribe"' in line:
            self._standing.pop(subject, None)
        elif len(self._standing) < MOST_STANDING:
            self._standing[subject] = line.replace(b"\n", b" ")
        self._write_anew()

    def _head(self) -> bytes:
        first = b"H " + self.handshake + b"\n" if self.handshake else b""
        return first + b"".join(b"S " + line + b"\n" for line in self._standing.values())

    def _write_anew(self) -> None:
        head = self._head()
        rest = b"".join(b"I " + identifier + b"\n" for identifier in self._owed)
        os.pwrite(self._fd, head + rest, 0)
        self._base, self._size = len(head), len(head) + len(rest)
        os.ftruncate(self._fd, self._size)

    def shake_hands(self, line: bytes) -> None:
        """Keep the client's handshake for the next worker."""
        if line == self.handshake:
            return
        self.handshake = line.replace(b"\n", b" ")
        self._write_anew()

    def receive(self, identifier: Any) -> None:
        """A call has come."""
        key = json.dumps(identifier).encode()
        self._owed[key] = None
        self._append(b"I " + key + b"\n")

    def answer(self, identifier: Any) -> None:
        """A call has been answered."""
        key = json.dumps(identifier).encode()
        self._owed.pop(key, None)
        if self._standing.pop(f"stream {key.decode()}", None) is not None:
            self._write_anew()
        elif self._owed:
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


def _subject(line: bytes) -> str | None:
    """What a request is about that says what the client wants to hear of: a resource, a stream."""
    try:
        data = json.loads(line)
        if data["method"] == "subscriptions/listen":
            return f"stream {json.dumps(data['id'])}"
        return f"resource {data['params']['uri']}"
    except (ValueError, LookupError, TypeError):
        return None
