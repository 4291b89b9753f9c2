"""The memory of the zygote and of its children, as far as allocators leave it to us.

A child shares the pages of its parent until one of them writes. Allocators give away first what
lies free between other things, so whatever a session makes of its own would end up on pages that
are shared, and each of these is copied whole, for a hundred bytes. When these gaps are taken before
the fork, new things lie together on pages of their own: 0.7 MB less for every session. What is
taken is never given back: 1 MB, in the zygote alone, on pages that it has anyway.

And what a call has freed stays with the process, unless it is asked to give it back: 0.4 MB after a
few searches.
"""

from __future__ import annotations

import ctypes
from typing import Any

#: CPython's allocator for small objects: its sizes, and its pools, which begin with a header. Other
#: versions may have other numbers; then some gaps stay, and nothing else happens.
_SIZES = range(32, 513, 16)
_POOL_BYTES, _POOL_HEADER = 16384, 48
#: Bytes that a `bytes` object takes beside its content.
_BYTES_SHELL = 33
#: Gaps of one size at most, whatever the allocator is.
_MOST_GAPS = 20_000

#: Sizes of the gaps in the C library's heap, the largest first: what is left of one is a smaller.
_C_SIZES = (*(1 << power for power in range(16, 10, -1)), *range(1008, 8, -16))

_filling: list[object] = []


class _HeapInfo(ctypes.Structure):
    """`struct mallinfo2` of the GNU C library 2.33 and later, see mallinfo(3)."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            "arena", "ordblks", "smblks", "hblks", "hblkhd",
            "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost",
        )
    ]  # fmt: skip


def fill_gaps() -> None:
    """Take the free places among the objects and in the heap of this process, for good."""
    _fill_pools()
    if _LIBRARY is not None:
        _fill_heap(_LIBRARY)


def give_back() -> None:
    """Let the system have the pages that hold nothing any more (0.2 ms)."""
    if _LIBRARY is not None:
        _LIBRARY.malloc_trim(0)


def _fill_pools() -> None:
    for size in _SIZES:
        for _ in range(_MOST_GAPS):
            filler = bytes(size - _BYTES_SHELL) if size > _BYTES_SHELL else float(size)
            _filling.append(filler)
            if id(filler) % _POOL_BYTES == _POOL_HEADER:
                break  # the first of a new pool: the old ones are full


def _c_library() -> Any:
    """Return the C library, if it is GNU's and has what is needed here; else None."""
    try:
        return _declared(ctypes.CDLL(None))
    except (OSError, AttributeError):
        return None


def _declared(library: Any) -> Any:
    library.malloc.restype, library.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    library.free.argtypes = [ctypes.c_void_p]
    library.sbrk.restype, library.sbrk.argtypes = ctypes.c_void_p, [ctypes.c_ssize_t]
    library.malloc_trim.argtypes = [ctypes.c_size_t]
    library.mallinfo2.restype = _HeapInfo
    return library


def _fill_heap(library: Any) -> None:
    for size in _C_SIZES:
        for _ in range(_MOST_GAPS):
            top = library.sbrk(0) - library.mallinfo2().keepcost
            place = library.malloc(size)
            if not place or not _below(place, top):
                library.free(place)
                break  # from the free end of the heap, or from elsewhere: no gap is so large


def _below(place: int, top: int) -> bool:
    """Return True if a place is in the heap below its free end; other regions are far away."""
    return top - (1 << 32) < place < top


_LIBRARY = _c_library()
