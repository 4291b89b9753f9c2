"""The inverted index of a generation: which entries have which words, for a quick search by words.

FTS5 looks up the length of every entry that it scores, a page each; a search of 100,000 entries
takes 2 to 3 ms so, and reads what everybody else's searches then have to read again. This file
holds what BM25 needs put together at build time, mapped and shared by all: for each token of the
full-text index the entries that have it, and beside each what that occurrence is worth,

    impact = f (k1 + 1) / (f + k1 (1 - b + b length / average))

with f the occurrences by the weights of their columns, k1 = 0.9 and b = 0.6. FTS5's bm25() has 1.2
and 0.75, which cannot be changed there (https://www.sqlite.org/fts5.html): measured, that is worse
(docs/adr/0037-search-levers.md); for one occurrence in an entry of average length both say 1.
Times the token's idf, and summed up, that is the score of an entry. The tokens of the scope
(`text.scope_token`) are in it too, worth nothing: they say who passes a filter.

It knows the entries up to `highest` that lived when the store's fates had come to `fate`: what was
written, died or came back later is asked of the store. All little-endian.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from hashlib import blake2b, sha256
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from khive_supervisor.errors import IndexFileError
from khive_supervisor.store.vectors import Generation

#: Weights of title, content and tags in BM25; measured, see docs/adr/0003-fusion.md.
COLUMN_WEIGHTS = (1.5, 1.0, 1.0)
#: BM25's constants.
K1, B = 0.9, 0.6
#: No impact is greater: that of a word without end in an entry.
MOST_IMPACT = K1 + 1
#: Magic, bytes of the description and its CRC (a wrong number in it would hide who has died),
#: checksum of the generation that it belongs to, and of what follows the header: the description,
#: then the arrays.
_HEADER = struct.Struct("<8sII32s32s")
_MAGIC = b"KHIVEWD1"
#: Names and types of the arrays, in their order. `hashes`: of all tokens, sorted; `starts`: where
#: each one's list begins in `entries` and `impacts`, and last where the last one ends; by
#: entry id `lengths`: its tokens (0: no such entry), and what never changes of it.
_ARRAYS = {
    "created": "<f8",
    "salience": "<f4",
    "decay": "<f4",
    "hashes": "<u8",
    "starts": "<i8",
    "lengths": "<i4",
    "entries": "<i4",
    "impacts": "<f2",
    "projects": "<i4",
}
#: What files of earlier releases do not have.
_ADDED = frozenset({"projects"})
#: The arrays that have a number for each entry id.
_BY_ENTRY = ("created", "salience", "decay", "lengths", "projects")
#: A token's entries, ascending, and its impact on each.
Postings = tuple[NDArray[np.int32], NDArray[np.float16]]


@dataclass(frozen=True, slots=True)
class Description:
    """What a file says of itself; `items`: entries that lived, `average`: their mean length."""

    highest: int
    fate: int
    items: int
    average: float


def token_hash(token: str) -> int:
    """Return the number under which a token is found: 64 bits, so no two of a million share one."""
    return int.from_bytes(blake2b(token.encode(), digest_size=8).digest(), "little")


def impact(
    occurrences: NDArray[np.float32], lengths: NDArray[np.int32], average: float
) -> NDArray[np.float32]:
    """What occurrences (by weight of column) in entries of these lengths are worth; see above."""
    norm = np.float32(K1) * (np.float32(1 - B) + np.float32(B / max(average, 1.0)) * lengths)
    return np.asarray(occurrences * np.float32(K1 + 1) / (occurrences + norm), np.float32)


def write(
    path: str, generation: Generation, description: Description, arrays: Mapping[str, NDArray[Any]]
) -> None:
    """Write an inverted index. Raises OSError when there is no room."""
    said = {**asdict(description), "arrays": {name: len(arrays[name]) for name in _ARRAYS}}
    text = json.dumps(said, sort_keys=True).encode()
    body = [text + b" " * (-len(text) % 8)]
    for name, kind in _ARRAYS.items():
        data = np.ascontiguousarray(arrays[name], kind).tobytes()
        body.append(data + b"\0" * (-len(data) % 8))
    digest = sha256()
    for part in body:
        digest.update(part)
    with open(path, "wb") as file:
        owner = bytes.fromhex(generation.sha256)
        file.write(_HEADER.pack(_MAGIC, len(body[0]), crc32(body[0]), owner, digest.digest()))
        file.writelines(body)


class PostingsFile:
    """A mapped words' file; refuses one that does not belong to the generation (IndexFileError).

    Nothing in it is trusted to be a place in memory: numbers of a damaged file give wrong entries,
    which the store does not know, never a crash. For any thread; a mapping lives as long as
    somebody uses an array of it.
    """

    def __init__(self, path: str, generation: Generation) -> None:
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            self.description, counts, start, self._checksum = _read_header(
                self._descriptor, generation, path
            )
            self._bytes = os.fstat(self._descriptor).st_size
            mapped = self._map()
            arrays = _cut(mapped, counts, start)
        except BaseException:
            os.close(self._descriptor)
            raise
        self.lengths, self.created = arrays["lengths"], arrays["created"]
        self.salience, self.decay = arrays["salience"], arrays["decay"]
        #: The project of each entry (0: none) when the file was built; None: not known.
        self.projects = arrays.get("projects")
        self._hashes, self._starts = arrays["hashes"], arrays["starts"]
        self._entries, self._impacts = arrays["entries"], arrays["impacts"]

    def _map(self) -> NDArray[Any]:
        with os.fdopen(os.dup(self._descriptor), "rb") as file:
            # A plain view of it: slicing a memmap takes five times as long.
            return np.memmap(file, dtype=np.uint8, mode="r").view(np.ndarray)

    def intact(self) -> bool:
        """Return True if the file still has all its bytes (one system call)."""
        return self._descriptor >= 0 and os.fstat(self._descriptor).st_size == self._bytes

    def sound(self) -> bool:
        """Return True if every byte is as it was written."""
        return sha256(self._map()[_HEADER.size :].tobytes()).digest() == self._checksum

    def postings(self, tokens: Iterable[str]) -> dict[str, Postings]:
        """Return the lists of those of the tokens that some entry has."""
        wanted = list(dict.fromkeys(tokens))
        if not wanted or not len(self._hashes):
            return {}
        hashes = np.array([token_hash(token) for token in wanted], np.uint64)
        places = np.minimum(np.searchsorted(self._hashes, hashes), len(self._hashes) - 1)
        known = (self._hashes[places] == hashes).tolist()
        starts, ends = self._starts[places].tolist(), self._starts[places + 1].tolist()
        return {
            token: (self._entries[start:end], self._impacts[start:end])
            for token, here, start, end in zip(wanted, known, starts, ends, strict=True)
            if here and 0 <= start < end
        }

    def close(self) -> None:
        """Let the file go; again is harmless. The arrays stay for who uses them."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _read_header(
    descriptor: int, generation: Generation, path: str
) -> tuple[Description, dict[str, int], int, bytes]:
    """What the file says of itself, its arrays' lengths, where they begin, and its checksum."""
    refused = IndexFileError(
        f"{path} is not the words' file of generation {generation.generation}."
    )
    head = os.pread(descriptor, _HEADER.size, 0)
    if len(head) < _HEADER.size:
        raise refused
    magic, length, crc, owner, checksum = _HEADER.unpack(head)
    if (magic, owner) != (_MAGIC, bytes.fromhex(generation.sha256)) or length > 1 << 16:
        raise refused
    text = os.pread(descriptor, length, _HEADER.size)
    if crc32(text) != crc:
        raise refused
    try:
        said = json.loads(text)
        description = Description(
            int(said["highest"]), int(said["fate"]), int(said["items"]), float(said["average"])
        )
        listed = said["arrays"]
        names = [name for name in _ARRAYS if name in listed or name not in _ADDED]
        counts = {name: int(listed[name]) for name in names}
    except (ValueError, KeyError, TypeError) as error:
        raise refused from error
    start = _HEADER.size + length
    whole = start + sum(_padded(count, _ARRAYS[name]) for name, count in counts.items())
    fits = (
        min(counts.values()) >= 0
        and whole == os.fstat(descriptor).st_size
        and counts["starts"] == counts["hashes"] + 1
        and counts["entries"] == counts["impacts"]
        and {counts[name] for name in _BY_ENTRY if name in counts} == {description.highest + 1}
    )
    if not fits:
        raise refused
    return description, counts, start, checksum


def _padded(count: int, kind: str) -> int:
    size = count * np.dtype(kind).itemsize
    return size + -size % 8


def _cut(mapped: NDArray[Any], counts: Mapping[str, int], start: int) -> dict[str, NDArray[Any]]:
    arrays = {}
    for name, count in counts.items():
        kind = _ARRAYS[name]
        size = count * np.dtype(kind).itemsize
        arrays[name] = mapped[start : start + size].view(kind)
        start += _padded(count, kind)
    return arrays
