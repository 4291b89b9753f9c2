"""What a client has said and no worker has taken up yet, in memory that outlives every worker.

Bytes go from the client's pipe into a mapped file, which is the front of the session's journal, in
one system call: a worker that is killed at any instant leaves there what it had read and not noted,
also half a line, and its successor goes on with that. So no call can be lost unanswered.

What is beyond the last byte is zero, so that the successor finds the end even if there was no time
to store a length: no message has a NUL in it.
"""

from __future__ import annotations

import mmap
import os
import struct
from enum import Enum
from typing import Final

#: Where the journal's lines begin, behind the inbox; the file is sparse. attach.py has the same
#: number (a test compares).
END: Final = 1 << 30
#: Bytes taken from the pipe at once; a Linux pipe holds as many.
CHUNK = 1 << 16
#: Where the first line that is not dropped begins, and whether it is the rest of one too long.
_HEADER = struct.Struct("<QQ")
#: From so many bytes on, what was dropped is given back to the system.
_GIVE_BACK = 4 * CHUNK


class Refused(Enum):
    """Stands for a line that cannot be had."""

    TOO_LONG = "too long"


class Inbox:
    """The lines of one client; used by one worker at a time.

    `peek` gives the first line until `drop` is called: in between, it is noted what came of it.
    """

    def __init__(self, fd: int, limit: int) -> None:
        self._limit = limit
        start, skipping = self._stored(fd)
        self._start, self._skipping = start, skipping
        self._end = self._scanned = start
        self._next = start
        self._end += _count_until_zero(fd, start)
        size = min(max(2 * limit + 4 * CHUNK, self._end + 2 * CHUNK), END)
        if os.fstat(fd).st_size < size:
            os.ftruncate(fd, size)
        self._memory = mmap.mmap(fd, size)
        self._clear(_HEADER.size, start)
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
            self._start = self._end = self._scanned = _HEADER.size
            self._store()
        elif len(self._memory) - self._end < CHUNK:
            self._move_to_front()
        with memoryview(self._memory) as whole, whole[self._end : self._end + CHUNK] as room:
            count = os.readv(source, [room])
        self._end += count
        return count

    def peek(self) -> bytes | Refused | None:
        """The first line, without its end; None if there is none yet."""
        end = self._memory.find(b"\n", self._scanned, self._end)
        if end < 0:
            self._scanned = self._end
            if self._end - self._start > self._limit:
                self._skipping, self._next = True, self._end
                self._let_go()
            return None
        self._scanned, self._next = end, end + 1
        if self._skipping or end - self._start > self._limit:
            return Refused.TOO_LONG
        return self._memory[self._start : end]

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
        """Make bytes zero; many of them cost nothing afterwards."""
        if end - begin >= _GIVE_BACK and hasattr(mmap, "MADV_REMOVE"):
            first = -(-begin // mmap.PAGESIZE) * mmap.PAGESIZE
            last = end // mmap.PAGESIZE * mmap.PAGESIZE
            self._memory.madvise(mmap.MADV_REMOVE, first, last - first)
            self._memory[begin:first] = bytes(first - begin)
            begin = last
        self._memory[begin:end] = bytes(end - begin)

    def _move_to_front(self) -> None:
        """Begin again at the front: the file is twice as long as what can be kept."""
        rest = self._memory[self._start : self._end]
        begin, end = self._start, self._end
        self._memory[_HEADER.size : _HEADER.size + len(rest)] = rest
        self._scanned += _HEADER.size - self._start
        self._start, self._end = _HEADER.size, _HEADER.size + len(rest)
        self._store()
        self._clear(begin, end)

    def close(self) -> None:
        """Unmap; the file stays. Idempotent."""
        self._memory.close()


def _count_until_zero(fd: int, start: int) -> int:
    """How many bytes there are from `start` on; reads holes without filling them."""
    count = 0
    while True:
        chunk = os.pread(fd, min(CHUNK, END - start - count), start + count)
        zero = chunk.find(b"\0")
        if zero >= 0 or not chunk:
            return count + max(zero, 0)
        count += len(chunk)
