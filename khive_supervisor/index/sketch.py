"""The sketch of a generation: a bit for each dimension of its vectors, for a quick scan.

For typed questions, which are far from most texts, Annoy has to look at 60,000 nodes of 100,000
items to find 95 % of the ten nearest. Counting the bits in which a question differs from each item
(48 bytes an item at 384 dimensions), and scoring the thousand that differ least in full from the
index file, finds 99 % in a fifth of the time, and leaves the processor's cache to the model and the
full text (ADR 2). It grows with the number of items, so large generations have none, and Annoy's
trees serve.

A bit says on which side of the mean vector an item is in that dimension; by how many bits two
vectors differ estimates the angle between them (Charikar, Similarity estimation techniques from
rounding algorithms, 2002).

File: the header below, the mean (float32, dimensions), zeros up to a multiple of 8, and the bits:
for each 64 dimensions one uint64 for each item id. All little-endian.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import numpy as np
from numpy.typing import NDArray

from khive_supervisor.errors import IndexFileError
from khive_supervisor.store.model import Generation

#: Dimensions from which on bits say enough.
_FEWEST_DIMENSIONS = 256

#: Item ids from which on there is no sketch: the scan (0.5 ms for 100,000) would take longer than
#: Annoy's trees, whose work grows with the square root.
MOST_SLOTS = 1_000_000

_WORD_BITS = 64
_CHUNK = 8192

#: Items that are compared at once: few enough that what is between the steps stays in the
#: processor's cache.
_BLOCK = 8192

#: Words whose differing bits are counted in a byte: 3 x 64 = 192 at most.
_WORDS_A_BYTE = 3

#: Of so many items, one is looked at to say how near the nearest are. Odd, so that it falls in
#: step with nothing in the order in which items were learned.
_SAMPLED = 7

#: Magic, dimensions, slots, checksum of the generation that it belongs to, and of what follows the
#: header.
_HEADER = struct.Struct("<8sQQ32s32s")
_MAGIC = b"KHIVESK2"


def file_name(generation: Generation) -> str:
    """The name of a generation's sketch in the index directory."""
    return f"{generation.generation}.sketch"


def worth_it(slots: int, dimensions: int) -> bool:
    """Whether a generation should have a sketch."""
    return slots <= MOST_SLOTS and dimensions >= _FEWEST_DIMENSIONS


def write(path: str, generation: Generation, vectors: NDArray[np.float32]) -> None:
    """Write the sketch of a generation whose vectors by item id are given (zeros: no such item).

    Raises OSError when there is no room.
    """
    slots, dimensions = vectors.shape
    mean = np.zeros(_mean_numbers(dimensions), "<f4")
    mean[:dimensions] = vectors.mean(axis=0, dtype=np.float64)
    bits = np.empty((slots, _words(dimensions)), "<u8")
    for start in range(0, slots, _CHUNK):
        bits[start : start + _CHUNK] = _bits(vectors[start : start + _CHUNK], mean[:dimensions])
    body = [mean.tobytes(), np.ascontiguousarray(bits.T).tobytes()]
    digest = sha256(b"".join(body)).digest()
    with open(path, "wb") as file:
        owner = bytes.fromhex(generation.sha256)
        file.write(_HEADER.pack(_MAGIC, dimensions, slots, owner, digest))
        file.writelines(body)


def _words(dimensions: int) -> int:
    return -(-dimensions // _WORD_BITS)


def _mean_numbers(dimensions: int) -> int:
    """How many numbers the mean takes, so that the bits after it are aligned."""
    return dimensions + dimensions % 2


def _bits(vectors: NDArray[np.float32], mean: NDArray[np.float32]) -> NDArray[np.uint64]:
    """Vectors as rows of words; dimensions that fill up the last word are 0 in all of them."""
    packed = np.packbits(vectors > mean, axis=1)
    whole = np.zeros((len(vectors), _words(vectors.shape[1]) * 8), np.uint8)
    whole[:, : packed.shape[1]] = packed
    return whole.view("<u8")


@dataclass(frozen=True, slots=True)
class _Scratch:
    """What a scan writes to; kept, since fresh arrays would take longer to get than to fill."""

    xor: NDArray[np.uint64]
    bits: NDArray[np.uint8]
    some: NDArray[np.uint8]

    @classmethod
    def of(cls, slots: int) -> _Scratch:
        block = min(_BLOCK, slots)
        return cls(
            np.empty(block, np.uint64),
            np.empty(block, np.uint8),
            np.empty(block, np.uint8),
        )


class Sketch:
    """A mapped sketch; refuses a file that does not belong to the generation (IndexFileError)."""

    def __init__(self, path: str, generation: Generation) -> None:
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            dimensions, slots, self._checksum = _read_header(self._descriptor, generation, path)
            self._bytes = os.fstat(self._descriptor).st_size
            mapped = self._map()
        except BaseException:
            os.close(self._descriptor)
            raise
        cut = 4 * _mean_numbers(dimensions)
        self._mean = np.array(mapped[: 4 * dimensions].view("<f4"))
        self._scratch: _Scratch | None = None
        self._words: NDArray[Any] | None = mapped[cut:].view("<u8").reshape(-1, slots)

    def _map(self) -> NDArray[Any]:
        with os.fdopen(os.dup(self._descriptor), "rb") as file:
            mapped = np.memmap(file, dtype=np.uint8, mode="r", offset=_HEADER.size)
        # A plain view of it: slicing a memmap takes five times as long.
        return mapped.view(np.ndarray)

    def intact(self) -> bool:
        """Whether the file still has all its bytes (one system call)."""
        return os.fstat(self._descriptor).st_size == self._bytes

    def sound(self) -> bool:
        """Whether every byte is as it was written."""
        return sha256(self._map().tobytes()).digest() == self._checksum

    def candidates(self, vector: NDArray[np.float32], count: int) -> NDArray[np.int64]:
        """The item ids that look nearest to a unit vector, about `count`, in no order."""
        assert self._words is not None, "a closed sketch is not asked"
        slots = self._words.shape[1]
        if count >= slots:
            return np.arange(slots, dtype=np.int64)
        differing = self._differing(self._words, _bits(vector[None], self._mean)[0])
        # There are few different counts: a histogram says up to which one it takes.
        histogram = np.bincount(differing[::_SAMPLED])
        enough = np.searchsorted(np.cumsum(histogram), count / _SAMPLED)
        return np.flatnonzero(differing <= enough)

    def _differing(self, words: NDArray[Any], query: NDArray[np.uint64]) -> NDArray[np.uint16]:
        """In how many bits each item differs from the query."""
        if self._scratch is None:
            self._scratch = _Scratch.of(words.shape[1])
        scratch = self._scratch
        # Not kept: 0.2 MB in each session that has ever searched.
        differing = np.zeros(words.shape[1], np.uint16)
        for start in range(0, words.shape[1], _BLOCK):
            block = differing[start : start + _BLOCK]
            xor = scratch.xor[: len(block)]
            bits, some = scratch.bits[: len(block)], scratch.some[: len(block)]
            for first in range(0, len(words), _WORDS_A_BYTE):
                some[:] = 0
                for word in range(first, min(first + _WORDS_A_BYTE, len(words))):
                    np.bitwise_xor(words[word, start : start + _BLOCK], query[word], out=xor)
                    np.bitwise_count(xor, out=bits)
                    np.add(some, bits, out=some)
                np.add(block, some, out=block)
        return differing

    def close(self) -> None:
        """Unmap; again is harmless."""
        if self._words is not None:
            self._words = self._scratch = None
            os.close(self._descriptor)


def _read_header(descriptor: int, generation: Generation, path: str) -> tuple[int, int, bytes]:
    head = os.pread(descriptor, _HEADER.size, 0)
    if len(head) == _HEADER.size:
        magic, dimensions, slots, owner, checksum = _HEADER.unpack(head)
        size = _HEADER.size + 4 * _mean_numbers(dimensions) + 8 * slots * _words(dimensions)
        fits = (
            (magic, owner) == (_MAGIC, bytes.fromhex(generation.sha256))
            and (dimensions, slots) == (generation.dimensions, generation.max_entry_id + 1)
            and size == os.fstat(descriptor).st_size
        )
        if fits:
            return dimensions, slots, checksum
    raise IndexFileError(f"{path} is not the sketch of generation {generation.generation}.")
