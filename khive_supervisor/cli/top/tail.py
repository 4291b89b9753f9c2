"""The end of the log's file, as it grows and is rotated."""

from __future__ import annotations

import os
from collections import deque
from typing import BinaryIO

#: Bytes of a log that are read at first, and lines that are kept.
READ_AT_FIRST, KEPT = 512 * 1024, 4000


class LogTail:
    """The last lines of a file that may not be there yet."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._file: BinaryIO | None = None
        self._rest = b""
        self._lines: deque[str] = deque(maxlen=KEPT)

    def lines(self) -> deque[str]:
        """Return the last lines; those of a file that was rotated away among them."""
        try:
            self._look()
        except OSError:  # it is being rotated, or was taken away: what was read is shown
            self.close()
        return self._lines

    def _look(self) -> None:
        if self._file is not None and self._moved(self._file):
            self._take(self._file.read())
            self.close()
        if self._file is None:
            self._file = open(self.path, "rb")  # noqa: SIM115 - open until it is rotated
            self._skip(self._file)
        self._take(self._file.read())

    def _moved(self, file: BinaryIO) -> bool:
        here, there = os.fstat(file.fileno()), os.stat(self.path)
        return (here.st_dev, here.st_ino) != (there.st_dev, there.st_ino)

    def _skip(self, file: BinaryIO) -> None:
        """Begin near the end, with a whole line."""
        start = os.fstat(file.fileno()).st_size - READ_AT_FIRST
        if start > 0:
            file.seek(start)
            file.readline()

    def _take(self, data: bytes) -> None:
        *whole, self._rest = (self._rest + data).split(b"\n")
        self._lines.extend(line.decode("utf-8", "replace") for line in whole)

    def close(self) -> None:
        """Close the file; idempotent."""
        if self._file is not None:
            self._file.close()
            self._file = None
        self._rest = b""
