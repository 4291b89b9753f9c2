"""How an Annoy file of the metric "angular" is laid out; what can be told from its bytes alone.

Source: annoylib.h of Annoy 1.17, `struct Angular::Node` and `AnnoyIndex::load`. A file is an array
of nodes of one size: int32 descendants; two int32 children (of an item, the first four bytes are
its norm); float32 vector[dimensions]. Node i below the number of items is item i, with one
descendant (none: no such item). The roots of all trees are copied to the end, and each counts all
items. Annoy trusts every byte of it: what is checked here is what keeps it from reading elsewhere.
"""

from __future__ import annotations

import mmap  # noqa: F401 - numpy imports it at the first memmap: once, not in each session
import os
from hashlib import blake2b, sha256
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from khive_supervisor.errors import IndexFileError

#: Annoy's name of the metric. For unit vectors its distance is sqrt(2 - 2 * cosine).
METRIC: Final = "angular"
#: Bytes of a node before its vector.
_HEAD_BYTES = 12
#: Bytes that are read at once for a checksum.
_CHUNK = 1 << 20
#: Blocks, evenly spread, that the fingerprint takes, and the bytes of each: reading 256 KB of a
#: file of any size tells it from every other one, in less than a millisecond.
_SAMPLES, _SAMPLE_BYTES = 64, 4096


def node_bytes(dimensions: int) -> int:
    """Return the size of one node."""
    return _HEAD_BYTES + 4 * dimensions


def nodes(descriptor: int, dimensions: int) -> NDArray[Any]:
    """Return the file's nodes without copying: a read-only mapping, with the fields of a node."""
    kind = np.dtype(
        [("descendants", "<i4"), ("head", "<i4", (2,)), ("vector", "<f4", (dimensions,))]
    )
    with os.fdopen(os.dup(descriptor), "rb") as file:
        # A plain view of it: slicing a memmap takes five times as long.
        return np.memmap(file, dtype=kind, mode="r").view(np.ndarray)


def check_geometry(descriptor: int, dimensions: int, item_slots: int, trees: int) -> None:
    """Refuse a file whose size or roots do not fit what was published.

    `item_slots` is the highest item id and one. Raises IndexFileError.
    """
    size = os.fstat(descriptor).st_size
    count, rest = divmod(size, node_bytes(dimensions))
    if rest or count < item_slots + trees:
        raise IndexFileError(f"The index file has {size} bytes, which no such index has.")
    for place in range(count - trees, count):
        head = os.pread(descriptor, _HEAD_BYTES, place * node_bytes(dimensions))
        descendants, *children = np.frombuffer(head, "<i4").tolist()
        inside = all(0 <= child < count for child in children[: min(descendants, 2)])
        if descendants != item_slots or not inside:
            raise IndexFileError("The index file does not end in the roots of its trees.")


def fingerprint(descriptor: int) -> str:
    """A hash of the size and of bytes all over the file: tells files apart, not every bit."""
    size = os.fstat(descriptor).st_size
    digest = blake2b(size.to_bytes(8, "little"), digest_size=16)
    last = max(size - _SAMPLE_BYTES, 0)
    for sample in range(_SAMPLES):
        digest.update(os.pread(descriptor, _SAMPLE_BYTES, last * sample // (_SAMPLES - 1)))
    return digest.hexdigest()


def checksum(descriptor: int) -> str:
    """Return the SHA-256 of the whole file, from its beginning."""
    digest = sha256()
    place = 0
    while chunk := os.pread(descriptor, _CHUNK, place):
        digest.update(chunk)
        place += len(chunk)
    return digest.hexdigest()
