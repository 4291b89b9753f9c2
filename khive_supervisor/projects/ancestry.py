"""Whether a commit is in the history of another one, by git's objects and within bounds.

No program is started: loose commits and those of packs are read from their files. What is damaged,
too much, or stored in another way makes the answer that it is not known.
"""

from __future__ import annotations

import errno
import heapq
import os
import struct
import zlib
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Self

from khive_supervisor.projects.head import commit_of, read_small

#: Commits that are looked at for one answer, and packs that are looked into.
MOST_COMMITS, MOST_PACKS = 2000, 64
#: Seconds by which clocks of those who commit may differ: older commits have no newer parents.
_SKEW = 86_400
#: Bytes of a commit's beginning, as they are stored, and as they are read.
_STORED, _READ = 4096, 8192
_HOW = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
_INDEX = b"\xfftOc\0\0\0\2"
#: Kinds of entries of a pack, and differences that one commit is put together of at most.
_COMMIT_TYPE, _OFFSET_DELTA, _DEEPEST = 1, 6, 50
#: Names of default branches, where the remote names none.
_USUAL = ("main", "master", "trunk")


@dataclass(frozen=True, slots=True)
class CommitHeader:
    """What a commit says of itself: its parents, and when it was made (unix seconds)."""

    parents: tuple[str, ...]
    date: int


class Objects:
    """The commits of a repository, by its common git directory; each is read once."""

    def __init__(self, common: str) -> None:
        self.common = common
        self._read: dict[str, CommitHeader | None] = {}
        self._packs: list[_Pack] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        for pack in self._packs or ():
            pack.close()
        self._packs = []

    def commit(self, name: str) -> CommitHeader | None:
        """Return a commit of a name in hexadecimal; None if it cannot be read."""
        if name not in self._read:
            content = self._packed(bytes.fromhex(name)) or self._loose(name)
            self._read[name] = _header(content) if content else None
        return self._read[name]

    def _loose(self, name: str) -> bytes:
        data = b""
        with suppress(OSError), closing_file(f"{self.common}/objects/{name[:2]}/{name[2:]}") as one:
            data = os.pread(one, _READ, 0)
        content = _inflated(data)
        return content.partition(b"\0")[2] if content.startswith(b"commit ") else b""

    def _packed(self, name: bytes) -> bytes:
        if self._packs is None:
            self._packs = _packs(f"{self.common}/objects/pack")
        for pack in self._packs:
            with suppress(OSError, struct.error):
                if content := pack.find(name):
                    return content
        return b""


@contextmanager
def closing_file(path: str) -> Iterator[int]:
    """Return a descriptor of a file to read, which is closed at the end."""
    descriptor = os.open(path, _HOW)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _packs(folder: str) -> list[_Pack]:
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return []
    found = []
    for name in [one for one in names if one.endswith(".idx")][:MOST_PACKS]:
        with suppress(OSError, struct.error):
            found.append(_Pack(f"{folder}/{name}"))
    return found


@dataclass(frozen=True, slots=True)
class _Names(Sequence[bytes]):
    """The sorted names of a pack's index, read as they are looked at."""

    descriptor: int
    size: int

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, place: int) -> bytes:  # type: ignore[override]  # no slices
        return os.pread(self.descriptor, 20, 1032 + 20 * place)


class _Pack:
    """A pack and its index, open; raises OSError or struct.error for what is none."""

    def __init__(self, index: str) -> None:
        self._pack = -1
        self._index = os.open(index, _HOW)
        try:
            head = os.pread(self._index, 1032, 0)
            if head[:8] != _INDEX:
                raise OSError(errno.EINVAL, "no index", index)
            self._fans = struct.unpack(">256I", head[8:])
            self._pack = os.open(index.removesuffix(".idx") + ".pack", _HOW)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        for one in (self._index, self._pack):
            if one >= 0:
                os.close(one)

    def find(self, name: bytes) -> bytes:
        """Return a commit's content; nothing if it is not there, or no commit."""
        if len(name) != 20:
            return b""
        names, first = _Names(self._index, self._fans[255]), name[0]
        place = bisect_left(names, name, self._fans[first - 1] if first else 0, self._fans[first])
        if place >= len(names) or names[place] != name:
            return b""
        offsets = 1032 + 24 * len(names)
        (offset,) = struct.unpack(">I", os.pread(self._index, 4, offsets + 4 * place))
        if offset >> 31:
            far = offsets + 4 * len(names) + 8 * (offset & 0x7FFFFFFF)
            (offset,) = struct.unpack(">Q", os.pread(self._index, 8, far))
        return _entry(self._pack, offset, _DEEPEST)


def _entry(descriptor: int, offset: int, left: int) -> bytes:
    """Return the commit at a place in a pack, put together if it is stored as a difference."""
    data = os.pread(descriptor, _STORED, offset)
    if not data or not left:
        return b""
    kind = (data[0] >> 4) & 7
    begin = _end_of_number(data, 0)
    if kind == _COMMIT_TYPE:
        return _inflated(data[begin:])
    if kind != _OFFSET_DELTA:
        return b""
    end = _end_of_number(data, begin)
    back = -1
    for byte in data[begin:end]:
        back = ((back + 1) << 7) | (byte & 0x7F)
    base = _entry(descriptor, offset - back, left - 1) if 0 < back <= offset else b""
    return _patched(base, _inflated(data[end:])) if base else b""


def _end_of_number(data: bytes, start: int) -> int:
    """Return where a number ends whose bytes but the last have their highest bit set."""
    while start < len(data) and data[start] & 0x80:
        start += 1
    return start + 1


def _patched(base: bytes, delta: bytes) -> bytes:
    """Return what a difference makes of its base; nothing if it is none."""
    place = _end_of_number(delta, _end_of_number(delta, 0))
    made = bytearray()
    while place < len(delta) and len(made) < _READ:
        code, place = delta[place], place + 1
        if not code & 0x80:
            made += delta[place : place + code]
            place += code
            continue
        numbers = [0, 0]
        for bit in range(7):
            if code >> bit & 1 and place < len(delta):
                numbers[bit > 3] |= delta[place] << 8 * (bit if bit < 4 else bit - 4)
                place += 1
        start, size = numbers
        made += base[start : start + (size or 0x10000)]
    return bytes(made)


def _inflated(data: bytes) -> bytes:
    try:
        return zlib.decompressobj().decompress(data, _READ)
    except zlib.error:
        return b""


def _header(content: bytes) -> CommitHeader | None:
    parents, date = [], None
    for line in content.partition(b"\n\n")[0].split(b"\n"):
        if line.startswith(b"parent "):
            parents.append(line[7:].decode("ascii", "replace"))
        elif line.startswith(b"committer "):
            parts = line.rsplit(b" ", 2)
            date = int(parts[1]) if len(parts) == 3 and parts[1].isdigit() else None
    return None if date is None else CommitHeader(tuple(parents), date)


def has_in_history(
    objects: Objects, tips: Sequence[str], commit: str, over: Callable[[], bool]
) -> bool | None:
    """Return True if a commit is one of the tips or before one of them; None: it is not known.

    `over` says when there is no more time.
    """
    if commit in tips:
        return True
    wanted = objects.commit(commit)
    if wanted is None or os.path.lexists(f"{objects.common}/shallow"):
        return None
    seen: set[str] = set()
    pending: list[tuple[int, str]] = []
    if not _push(objects, tips, seen, pending):
        return None
    for _ in range(MOST_COMMITS):
        if not pending or -pending[0][0] < wanted.date - _SKEW:
            return False
        _, name = heapq.heappop(pending)
        known = objects.commit(name)
        assert known is not None, "only what could be read is pending"
        if commit in known.parents:
            return True
        if over() or not _push(objects, known.parents, seen, pending):
            return None
    return None


def _push(
    objects: Objects, names: Sequence[str], seen: set[str], pending: list[tuple[int, str]]
) -> bool:
    """Add commits, the newest first; return False if one cannot be read."""
    for name in names:
        if name in seen:
            continue
        seen.add(name)
        known = objects.commit(name)
        if known is None:
            return False
        heapq.heappush(pending, (-known.date, name))
    return True


def default_branch(common: str) -> str:
    """Return the name of a repository's default branch; empty if it is not to be told."""
    said = read_small(f"{common}/refs/remotes/origin/HEAD", 4096).decode("utf-8", "replace")
    prefix = "ref: refs/remotes/origin/"
    if said.startswith(prefix):
        return said.removeprefix(prefix).strip()
    return next((one for one in _USUAL if commit_of(f"refs/heads/{one}", common)), "")


def tips_of(branch: str, common: str) -> list[str]:
    """Return where a branch is here, and where its remote was when it was last asked."""
    names = (f"refs/heads/{branch}", f"refs/remotes/origin/{branch}")
    return list(dict.fromkeys(filter(None, (commit_of(one, common) for one in names))))
