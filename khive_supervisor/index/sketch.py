"""The sketch of a generation: its vectors turned to their leading dimensions, for a quick scan.

For typed questions, which are far from most texts, Annoy has to look at 60,000 nodes of 100,000
items to find 95 % of the ten nearest. A scan of the 96 dimensions in which the vectors differ most,
with the best of it scored in full from the index file, finds 98 % in a third of the time (ADR 2).
It grows with the number of items, so large generations have none, and Annoy's trees serve.

File: the header below, then `axes` (float32, dimensions x LEADING) and the rows (float32, one for
each item id x LEADING). The axes are the leading eigenvectors of the vectors' second moments: no
other projection of that many numbers keeps more of the inner products (Eckart and Young, 1936).
"""

from __future__ import annotations

import os
import struct
from hashlib import sha256
from typing import Any

import numpy as np
from numpy.typing import NDArray

from khive_supervisor.errors import IndexFileError
from khive_supervisor.store.model import Generation

#: Numbers of a row: 64 find 92 % of the ten nearest, 96 98 %, 128 99.6 %, in proportion slower.
LEADING = 96

#: Item ids from which on there is no sketch: the scan (1.2 ms for 100,000) would take longer than
#: Annoy's trees, whose work grows with the square root.
MOST_SLOTS = 400_000

#: Rows that the axes are computed from.
_SAMPLE = 20_000

_CHUNK = 8192

#: Magic, dimensions, LEADING, slots, checksum of the generation that it belongs to, and of what
#: follows the header.
_HEADER = struct.Struct("<8sIIQ32s32s")
_MAGIC = b"KHIVESK1"


def file_name(generation: Generation) -> str:
    """The name of a generation's sketch in the index directory."""
    return f"{generation.generation}.sketch"


def worth_it(slots: int, dimensions: int) -> bool:
    """Whether a generation should have a sketch."""
    return slots <= MOST_SLOTS and dimensions > LEADING


def write(path: str, generation: Generation, vectors: NDArray[np.float32]) -> None:
    """Write the sketch of a generation whose vectors by item id are given (zeros: no such item).

    Raises OSError when there is no room.
    """
    axes = _axes(vectors)
    digest = sha256(axes.tobytes())
    head = [_MAGIC, vectors.shape[1], LEADING, len(vectors), bytes.fromhex(generation.sha256)]
    with open(path, "wb") as file:
        file.write(_HEADER.pack(*head, bytes(32)))
        file.write(axes.tobytes())
        for start in range(0, len(vectors), _CHUNK):
            rows = (vectors[start : start + _CHUNK] @ axes).astype("<f4").tobytes()
            digest.update(rows)
            file.write(rows)
        file.seek(0)
        file.write(_HEADER.pack(*head, digest.digest()))


def _axes(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    sample = vectors[:: max(len(vectors) // _SAMPLE, 1)].astype(np.float64)
    _, directions = np.linalg.eigh(sample.T @ sample)
    return np.ascontiguousarray(directions[:, ::-1][:, :LEADING]).astype("<f4")


class Sketch:
    """A mapped sketch; refuses a file that does not belong to the generation (IndexFileError)."""

    def __init__(self, path: str, generation: Generation) -> None:
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            dimensions, slots, self._checksum = _read_header(self._descriptor, generation, path)
            self._bytes = os.fstat(self._descriptor).st_size
            numbers = self._map()
        except BaseException:
            os.close(self._descriptor)
            raise
        cut = dimensions * LEADING
        self._axes = np.array(numbers[:cut]).reshape(dimensions, LEADING)
        self._rows: NDArray[Any] | None = numbers[cut:].reshape(slots, LEADING)

    def _map(self) -> NDArray[Any]:
        with os.fdopen(os.dup(self._descriptor), "rb") as file:
            return np.memmap(file, dtype="<f4", mode="r", offset=_HEADER.size)

    def intact(self) -> bool:
        """Whether the file still has all its bytes (one system call)."""
        return os.fstat(self._descriptor).st_size == self._bytes

    def sound(self) -> bool:
        """Whether every byte is as it was written."""
        return sha256(self._map().tobytes()).digest() == self._checksum

    def candidates(self, vector: NDArray[np.float32], count: int) -> NDArray[np.int64]:
        """The item ids that look nearest to a unit vector, in no order."""
        assert self._rows is not None, "a closed sketch is not asked"
        query = vector @ self._axes
        if count >= len(self._rows):
            return np.arange(len(self._rows), dtype=np.int64)
        # Block by block: a session should not keep a megabyte for what is over in a millisecond.
        ids, scores = np.empty(0, np.int64), np.empty(0, np.float32)
        for start in range(0, len(self._rows), _CHUNK):
            block = self._rows[start : start + _CHUNK] @ query
            best = _largest(block, count)
            ids = np.append(ids, best + start)
            scores = np.append(scores, block[best])
        return ids[_largest(scores, count)]

    def close(self) -> None:
        """Unmap; again is harmless."""
        if self._rows is not None:
            self._rows = None
            os.close(self._descriptor)


def _largest(scores: NDArray[np.float32], count: int) -> NDArray[np.int64]:
    """Where the largest scores are, in no order."""
    if count >= len(scores):
        return np.arange(len(scores), dtype=np.int64)
    return np.argpartition(scores, -count)[-count:].astype(np.int64)


def _read_header(descriptor: int, generation: Generation, path: str) -> tuple[int, int, bytes]:
    head = os.pread(descriptor, _HEADER.size, 0)
    if len(head) == _HEADER.size:
        magic, dimensions, leading, slots, owner, checksum = _HEADER.unpack(head)
        size = _HEADER.size + 4 * leading * (dimensions + slots)
        fits = (
            (magic, leading, owner) == (_MAGIC, LEADING, bytes.fromhex(generation.sha256))
            and (dimensions, slots) == (generation.dimensions, generation.max_entry_id + 1)
            and size == os.fstat(descriptor).st_size
        )
        if fits:
            return dimensions, slots, checksum
    raise IndexFileError(f"{path} is not the sketch of generation {generation.generation}.")
