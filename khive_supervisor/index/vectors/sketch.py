"""The sketch of a generation: few bits and small numbers of its vectors, for a quick scan.

For typed questions, which are far from most texts, Annoy has to look at 60,000 nodes of 100,000
items to find 95 % of the ten nearest. A sketch finds 99 % in an eighth of the time, in steps that
each look closer at fewer items:

1. in how many of 128 bits an item differs from the question: all items;
2. the same of 256 bits: a ninth of them;
3. the cosine along 128 axes, in numbers of a byte: a third of those.

The few hundred that are left are scored in full from the index file. What is read counts as much as
what is computed: 3 MB here, which leave the processor's cache to the model and the full text (ADR
2). It grows with the number of items, so large generations have none, and Annoy's trees serve.

A bit says on which side of the mean an item is along an axis; by how many bits two vectors differ
estimates the angle between them (Charikar, Similarity estimation techniques from rounding
algorithms, 2002). `axes` says which axes these are. Items that are alike are mostly neighbours in
the file, so that what steps 2 and 3 read lies in few pages.

File, all little-endian: the header below; for each of the 256 axes where the mean is (float32); the
axes (float32, dimensions each); for each 64 of them one uint64 for each item; for each item 128
numbers (int8) and its id (int32).
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
from khive_supervisor.index.vectors import axes
from khive_supervisor.store.vectors import Generation

#: Dimensions from which on there are as many axes as a sketch looks along.
_FEWEST_DIMENSIONS = 256
#: Item ids from which on there is no sketch: the scan (0.5 ms for 100,000) would take longer than
#: Annoy's trees, whose work grows with the square root.
MOST_SLOTS = 1_000_000
#: Axes of the first half, whose bits are compared for all items and whose numbers are kept, and of
#: the second; and the words that their bits take.
_FIRST, _SECOND = 128, 128
_WORD_BITS = 64
_FIRST_WORDS, _WORDS = _FIRST // _WORD_BITS, (_FIRST + _SECOND) // _WORD_BITS
#: What a bit of the first half counts when those of the second (1) are looked at too.
_FIRST_COUNTS = 2
#: Items that steps 2 and 3 look at: a share of all, and so many for each wanted one at least. Step
#: 2 must have more than a tenth: numpy takes twice the time to pick fewer.
_SHARE_2, _EACH_2 = 9, 36
_SHARE_3, _EACH_3 = 25, 13
#: Items that are compared at once: few enough that what is between the steps stays in the
#: processor's cache.
_BLOCK = 12_288
#: Items whose numbers are made floats at once: 0.2 MB.
_ROWS = 384
#: Of so many items, one is looked at to say how near the nearest are. Odd, so that it falls in
#: step with nothing in the order of the items.
_SAMPLED = 17
#: Directions whose signs say which items are neighbours in the file.
_ORDERED_BY = 16
#: The largest number of a byte.
_LARGEST = 127
#: Magic, dimensions, slots, items, checksum of the generation that it belongs to, and of what
#: follows the header.
_HEADER = struct.Struct("<8sQQQ32s32s")
_MAGIC = b"KHIVESK3"


def worth_it(slots: int, dimensions: int) -> bool:
    """Return True if a generation should have a sketch."""
    return slots <= MOST_SLOTS and dimensions >= _FEWEST_DIMENSIONS


def write(
    path: str, generation: Generation, vectors: NDArray[np.float32], items: NDArray[np.int64]
) -> None:
    """Write the sketch of a generation: the vectors by slot, and the slots that have one.

    Raises OSError when there is no room.
    """
    found = axes.find(vectors, items, (_FIRST, _SECOND))
    items = items[np.argsort(_places(vectors, items, found), kind="stable")]
    some = (axes.sample(vectors, items) - found.mean) @ found.turned[:_FIRST].T
    scale = _LARGEST / max(float(np.abs(some).max()), 1e-9)
    words = np.empty((_WORDS, len(items)), "<u8")
    numbers = np.empty((len(items), _FIRST), np.int8)
    for start, rows in zip(
        range(0, len(items), axes.CHUNK), axes.chunks(vectors, items), strict=True
    ):
        along = np.asarray((rows - found.mean) @ found.turned.T, np.float32)
        words[:, start : start + len(rows)] = _bits(along).T
        near = np.clip(np.rint(along[:, :_FIRST] * scale), -_LARGEST, _LARGEST)
        numbers[start : start + len(rows)] = near
    offset = (found.turned @ found.mean).astype("<f4")
    body = (offset, found.turned.astype("<f4"), words, numbers, items.astype("<i4"))
    digest = sha256()
    for part in body:
        digest.update(part.data)
    owner = bytes.fromhex(generation.sha256)
    slots, dimensions = vectors.shape
    with open(path, "wb") as file:
        file.write(_HEADER.pack(_MAGIC, dimensions, slots, len(items), owner, digest.digest()))
        file.writelines(part.data for part in body)


def _places(
    vectors: NDArray[np.float32], items: NDArray[np.int64], found: axes.Axes
) -> NDArray[np.uint16]:
    """Return a number for each item; those of items that are alike are mostly close."""
    widest = found.widest[:_ORDERED_BY].T
    signs = [
        np.packbits((rows - found.mean) @ widest > 0, axis=1).view(">u2")[:, 0]
        for rows in axes.chunks(vectors, items)
    ]
    return np.concatenate(signs).astype(np.uint16)


def _bits(along: NDArray[np.float32]) -> NDArray[np.uint64]:
    """Rows of numbers as rows of words: which of them are above zero."""
    return np.packbits(along > 0, axis=-1).view("<u8")


@dataclass(frozen=True, slots=True)
class _Scratch:
    """What a scan writes to; kept, since fresh arrays would take longer to get than to fill."""

    xor: NDArray[np.uint64]
    bits: NDArray[np.uint8]

    @classmethod
    def of(cls, items: int) -> _Scratch:
        block = min(_BLOCK, items)
        return cls(np.empty(block, np.uint64), np.empty(block, np.uint8))


@dataclass(frozen=True, slots=True)
class _Parts:
    """The parts of a mapped file."""

    offset: NDArray[np.float32]
    axes: NDArray[np.float32]
    words: NDArray[np.uint64]
    numbers: NDArray[np.int8]
    ids: NDArray[np.int32]

    @classmethod
    def of(cls, mapped: NDArray[Any], dimensions: int, items: int) -> _Parts:
        ends = np.cumsum(_sizes(dimensions, items))
        offset, turned, words, numbers, ids, _ = np.split(mapped, ends)
        return cls(
            offset.view("<f4"),
            turned.view("<f4").reshape(-1, dimensions),
            words.view("<u8").reshape(_WORDS, items),
            numbers.view(np.int8).reshape(items, _FIRST),
            ids.view("<i4"),
        )


class Sketch:
    """A mapped sketch; refuses a file that does not belong to the generation (IndexFileError)."""

    def __init__(self, path: str, generation: Generation) -> None:
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            items, self._checksum = _read_header(self._descriptor, generation, path)
            self._bytes = os.fstat(self._descriptor).st_size
            parts = _Parts.of(self._map(), generation.dimensions, items)
            if parts.ids.min() < 0 or parts.ids.max() >= generation.slots:
                raise IndexFileError(f"{path} has items that its generation has not.")
        except BaseException:
            os.close(self._descriptor)
            raise
        self._scratch: _Scratch | None = None
        self._parts: _Parts | None = parts

    def _map(self) -> NDArray[Any]:
        with os.fdopen(os.dup(self._descriptor), "rb") as file:
            mapped = np.memmap(file, dtype=np.uint8, mode="r", offset=_HEADER.size)
        # A plain view of it: slicing a memmap takes five times as long.
        return mapped.view(np.ndarray)

    def intact(self) -> bool:
        """Return True if the file still has all its bytes (one system call)."""
        return os.fstat(self._descriptor).st_size == self._bytes

    def sound(self) -> bool:
        """Return True if every byte is as it was written."""
        return sha256(self._map().data).digest() == self._checksum

    def places(self, slots: NDArray[np.int64], most: int) -> NDArray[np.int32]:
        """Return where those of some slots are that have an item, ascending; none is above `most`.

        It is what `candidates` takes as `within`.
        """
        assert self._parts is not None, "a closed sketch is not asked"
        wanted = np.zeros(most, np.bool_)
        wanted[slots] = True
        return np.flatnonzero(wanted[self._parts.ids]).astype(np.int32)

    def candidates(
        self, vector: NDArray[np.float32], count: int, within: NDArray[np.int32] | None = None
    ) -> NDArray[np.int64]:
        """Return the slots that look nearest to a unit vector, about `count`, in no order.

        `within`: the places among which they are; None: all.
        """
        assert self._parts is not None, "a closed sketch is not asked"
        ids = self._parts.ids
        if count < (len(ids) if within is None else len(within)):
            ids = ids[self._look(self._parts, vector, count, within)]
        elif within is not None:
            ids = ids[within]
        return ids.astype(np.int64)

    def _look(
        self,
        parts: _Parts,
        vector: NDArray[np.float32],
        count: int,
        within: NDArray[np.int32] | None,
    ) -> NDArray[np.integer[Any]]:
        """Return the places of the items that look nearest."""
        along = parts.axes @ vector
        query = _bits(along - parts.offset)
        differing = self._differing(parts.words, query)
        if within is not None:
            differing = differing[within]
        places: NDArray[np.integer[Any]] = _least(
            differing, max(len(differing) // _SHARE_2, count * _EACH_2), _SAMPLED
        )
        finer = differing[places].astype(np.uint16)
        if within is not None:
            places = within[places]
        finer *= _FIRST_COUNTS
        for word in range(_FIRST_WORDS, _WORDS):
            finer += np.bitwise_count(parts.words[word][places] ^ query[word])
        some = _least(finer, max(len(differing) // _SHARE_3, count * _EACH_3), 1)
        places = places[some]
        if count >= len(places):
            return places
        return places[np.argpartition(_far(parts.numbers, places, along[:_FIRST]), count)[:count]]

    def _differing(self, words: NDArray[np.uint64], query: NDArray[np.uint64]) -> NDArray[np.uint8]:
        """Return in how many bits of the first half each item differs from the query."""
        if self._scratch is None:
            self._scratch = _Scratch.of(words.shape[1])
        # Not kept: 0.1 MB in each session that has ever searched.
        differing = np.empty(words.shape[1], np.uint8)
        for start in range(0, words.shape[1], _BLOCK):
            block = differing[start : start + _BLOCK]
            xor, bits = self._scratch.xor[: len(block)], self._scratch.bits[: len(block)]
            np.bitwise_xor(words[0, start : start + _BLOCK], query[0], out=xor)
            np.bitwise_count(xor, out=block)
            for word in range(1, _FIRST_WORDS):
                np.bitwise_xor(words[word, start : start + _BLOCK], query[word], out=xor)
                np.bitwise_count(xor, out=bits)
                np.add(block, bits, out=block)
        return differing

    def close(self) -> None:
        """Unmap; again is harmless."""
        if self._parts is not None:
            self._parts = self._scratch = None
            os.close(self._descriptor)


def _least(differing: NDArray[Any], count: int, sampled: int) -> NDArray[np.int64]:
    """The places of the least, about so many; one of `sampled` is looked at to say how few."""
    # There are few different numbers: a histogram says up to which one it takes.
    histogram = np.bincount(differing[::sampled])
    enough = np.searchsorted(np.cumsum(histogram), count / sampled)
    return np.flatnonzero(differing <= enough)


def _far(
    numbers: NDArray[np.int8], places: NDArray[np.integer[Any]], query: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return how far the items at these places look; less is nearer."""
    far = np.empty(len(places), np.float32)
    query = -query
    for start in range(0, len(places), _ROWS):
        rows = np.take(numbers, places[start : start + _ROWS], axis=0)
        np.dot(rows.astype(np.float32), query, out=far[start : start + len(rows)])
    return far


def _sizes(dimensions: int, items: int) -> tuple[int, int, int, int, int]:
    """Of the parts of a file, in bytes; their sum is what follows the header."""
    all_axes = _FIRST + _SECOND
    return 4 * all_axes, 4 * all_axes * dimensions, 8 * _WORDS * items, _FIRST * items, 4 * items


def _read_header(descriptor: int, generation: Generation, path: str) -> tuple[int, bytes]:
    """Return how many items there are, and the checksum of what follows."""
    head = os.pread(descriptor, _HEADER.size, 0)
    if len(head) == _HEADER.size:
        magic, dimensions, slots, items, owner, checksum = _HEADER.unpack(head)
        size = _HEADER.size + sum(_sizes(dimensions, items))
        fits = (
            (magic, owner) == (_MAGIC, bytes.fromhex(generation.sha256))
            and (dimensions, slots) == (generation.dimensions, generation.slots)
            and 0 < items <= slots
            and size == os.fstat(descriptor).st_size
        )
        if fits:
            return items, checksum
    raise IndexFileError(f"{path} is not the sketch of generation {generation.generation}.")
