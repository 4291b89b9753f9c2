"""Which entry each vector of a generation is of: slots are dense, whatever the entries' ids.

Annoy makes room for every number up to the highest, and ids are never used again: a store of few
entries that had many would have a file of nothing. So vectors are numbered from 0 as they come, and
this file, mapped by all readers, has for each its entry, and for each entry its slot.

File, all little-endian: the header below; the entry ids by slot (int64); the ids ascending (int64),
and the slot of each of these (int32).
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
from khive_supervisor.store.vectors import Generation

#: Magic, slots, checksum of the generation that it belongs to, and of what follows the header.
_HEADER = struct.Struct("<8sQ32s32s")
_MAGIC = b"KHIVESL1"
#: Bytes of a slot.
_ITEM_BYTES = 20


def write(path: str, generation: Generation, ids: NDArray[np.int64]) -> None:
    """Write which entries the slots of a generation are of; raises OSError without room."""
    order = np.argsort(ids, kind="stable")
    body = (ids.astype("<i8"), ids[order].astype("<i8"), order.astype("<i4"))
    digest = sha256()
    for part in body:
        digest.update(part.data)
    owner = bytes.fromhex(generation.sha256)
    with open(path, "wb") as file:
        file.write(_HEADER.pack(_MAGIC, len(ids), owner, digest.digest()))
        file.writelines(part.data for part in body)


@dataclass(frozen=True, slots=True)
class _Parts:
    """The parts of a mapped file; `run`: the ids are this one and those that follow it."""

    ids: NDArray[np.int64]
    ascending: NDArray[np.int64]
    slots: NDArray[np.int32]
    run: int | None

    @classmethod
    def of(cls, mapped: NDArray[np.uint8], items: int) -> _Parts:
        ids, ascending, slots, _ = np.split(mapped, np.cumsum([8 * items, 8 * items, 4 * items]))
        found = ascending.view("<i8")
        first, last = int(found[0]), int(found[-1])
        in_order = last - first == items - 1 and np.array_equal(ids, ascending)
        return cls(ids.view("<i8"), found, slots.view("<i4"), first if in_order else None)


class SlotMap:
    """A mapped file of slots; refuses one that does not belong to the generation."""

    def __init__(self, path: str, generation: Generation) -> None:
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            self._checksum = _read_header(self._descriptor, generation, path)
            self._bytes = os.fstat(self._descriptor).st_size
            parts = _Parts.of(self._map(), generation.slots)
            if len(parts.slots) and not 0 <= parts.slots.min() <= parts.slots.max() < len(
                parts.ids
            ):
                raise IndexFileError(f"{path} has slots that its generation has not.")
        except BaseException:
            os.close(self._descriptor)
            raise
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

    def entries(self, slots: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the entries of some slots, which must be there."""
        assert self._parts is not None, "a closed file is not asked"
        found: NDArray[np.int64] = self._parts.ids[slots]
        return found

    def slots(self, ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the slot of each entry; -1 for those that the generation has not."""
        assert self._parts is not None, "a closed file is not asked"
        parts = self._parts
        if parts.run is not None:
            inside = (ids >= parts.run) & (ids < parts.run + len(parts.ids))
            return np.where(inside, ids - parts.run, -1)
        places = np.minimum(np.searchsorted(parts.ascending, ids), len(parts.ascending) - 1)
        return np.where(parts.ascending[places] == ids, parts.slots[places], np.int64(-1))

    def close(self) -> None:
        """Unmap; again is harmless."""
        if self._parts is not None:
            self._parts = None
            os.close(self._descriptor)


def _read_header(descriptor: int, generation: Generation, path: str) -> bytes:
    """Return the checksum of what follows; raises IndexFileError for another file."""
    head = os.pread(descriptor, _HEADER.size, 0)
    if len(head) == _HEADER.size:
        magic, count, owner, checksum = _HEADER.unpack(head)
        size = _HEADER.size + _ITEM_BYTES * count
        fits = (magic, count, owner) == (
            _MAGIC, generation.slots, bytes.fromhex(generation.sha256)
        ) and size == os.fstat(descriptor).st_size  # fmt: skip
        if fits:
            assert isinstance(checksum, bytes)
            return checksum
    raise IndexFileError(f"{path} does not say whose the vectors of {generation.file} are.")
