"""What a client has said and no worker has taken up yet, in memory that outlives every worker.

Bytes go from the client's pipe into a mapped file that attach keeps open, like the journal, in one
system call: a worker that is killed at any instant leaves there what it had read and not noted,
also half a line, and its successor goes on with that. So no call can be lost unanswered.

What is beyond the last byte is zero, so that the successor finds the end even if there was no time
to store a length: no message has a NUL in it.
"""

from __future__ import annotations

import mmap
import os
import struct
from enum import Enum

#: Bytes taken from the pipe at once; a Linux pipe holds as many.
CHUNK = 1 << 16
#: Where the first line that is not dropped begins, and whether it is the rest of one too long.
_HEADER = struct.Struct("<QQ")
#: Bytes of the beginning of a line that is too long which are kept, to know whose it is.
BEGINNING = 1024
#: Bytes of the file while no line is long.
SMALL = 2 * CHUNK


class LineRefusal(Enum):
    """Stands for a line that cannot be had."""

    TOO_LONG = "too long"


class Inbox:
    """The lines of one client; used by one worker at a time.

    `peek` gives the first line until `drop` is called: in between, it is noted what came of it.
    """

    def __init__(self, fd: int, limit: int) -> None:
        self._limit = limit
        self._beginning = self._ending = b""
        self._start, self._skipping = self._stored(fd)
        self._end = self._start + _count_until_zero(fd, self._start)
        self._scanned = self._next = self._start
        size = max(SMALL, os.fstat(fd).st_size)
        os.ftruncate(fd, size)
        self._memory = mmap.mmap(fd, size)
        self._clear(_HEADER.size, self._start)
        self._store()

    @staticmethod
    def _stored(fd: int) -> tuple[int, bool]:
        head = os.pread(fd, _HEADER.size, 0)
        start, skipping = _HEADER.unpack(head) if len(head) == _HEADER.size else (0, 0)
        return max(start, _HEADER.size), bool(skipping)

    def _store(self) -> None:
        self._memory[: _HEADER.size] = _HEADER.pack(self._start, self._skipping)

    def read(self, source: int) -> int:
        """Take what a descriptor has, at most CHUNK bytes; 0 at its end. Raises OSError."""
        if self._start == self._end:
            self._begin_again()
        elif len(self._memory) - self._end < CHUNK:
            self._make_room()
        with memoryview(self._memory) as whole, whole[self._end : self._end + CHUNK] as room:
            count = os.readv(source, [room])
        self._end += count
        return count

    def _begin_again(self) -> None:
        self._start = self._end = self._scanned = _HEADER.size
        self._store()
        if len(self._memory) > SMALL:
            self._memory.resize(SMALL)

    def peek(self) -> bytes | LineRefusal | None:
        """Return the first line, without its end; None if there is none yet."""
        end = self._memory.find(b"\n", self._scanned, self._end)
        if end < 0:
            self._scanned = self._end
            if self._end - self._start > self._limit:
                self._skip()
                self._let_go()
            return None
        self._scanned, self._next = end, end + 1
        if self._skipping or end - self._start > self._limit:
            if not self._skipping:
                self._keep_beginning()
            self._ending = self._memory[max(self._start, end - BEGINNING) : end]
            return LineRefusal.TOO_LONG
        return self._memory[self._start : end]

    @property
    def ends(self) -> tuple[bytes, bytes]:
        """The beginning and the end of the line that was refused, as far as they are known."""
        return self._beginning, self._ending

    def _skip(self) -> None:
        """What there is belongs to a line that is too long."""
        if not self._skipping:
            self._keep_beginning()
        self._skipping, self._next = True, self._end

    def _keep_beginning(self) -> None:
        self._beginning = self._memory[self._start : self._start + BEGINNING]

    def drop(self) -> None:
        """The line that `peek` gave is dealt with."""
        self._skipping = False
        self._let_go()

    def _let_go(self) -> None:
        """Forget everything before `_next`."""
        dropped, self._start = self._start, self._next
        self._scanned = self._start
        self._store()  # first: a successor must not see the same line again, nor half of it
        self._clear(dropped, self._start)

    def _clear(self, begin: int, end: int) -> None:
        self._memory[begin:end] = bytes(end - begin)

    def _make_room(self) -> None:
        """Room for one chunk more; where there cannot be, the line is one that is too long."""
        rest = self._end - self._start
        if self._start - _HEADER.size >= rest:
            self._move_to_front(rest)
        if len(self._memory) - self._end >= CHUNK:
            return
        try:
            self._memory.resize(2 * len(self._memory))
        except OSError:  # a limit of the user's, or no memory
            self._skip()
            self._let_go()
            self._begin_again()

    def _move_to_front(self, rest: int) -> None:
        begin, end, front = self._start, self._end, _HEADER.size
        self._memory[front : front + rest] = self._memory[begin:end]
        self._scanned += front - begin
        self._start, self._end = front, front + rest
        self._store()
        self._clear(begin, end)

    def close(self) -> None:
        """Unmap; the file stays. Idempotent."""
        self._memory.close()


def _count_until_zero(fd: int, start: int) -> int:
    """Return how many bytes there are from `start` on."""
    count = 0
    while True:
        chunk = os.pread(fd, CHUNK, start + count)
        zero = chunk.find(b"\0")
        if zero >= 0 or not chunk:
            return count + max(zero, 0)
        count += len(chunk)
