"""The heap: gaps are taken before a fork, and what is free afterwards is given back."""

from __future__ import annotations

import subprocess
import sys

import pytest

#: Makes gaps of many sizes, fills them, and says how much is free below the end of the heap.
PROGRAM = """
import ctypes, sys
from khive_workers.common import heap
library = heap._c_library()
if library is None:
    sys.exit(77)

def between():
    info = library.mallinfo2()
    return info.fordblks - info.keepcost

made = [library.malloc(600 + 16 * (n % 60)) for n in range(4000)]
for place in made[::2]:
    library.free(place)
before = between()
heap.fill_gaps()
after = between()
fresh = [library.malloc(700) for _ in range(100)]
spread = max(fresh) - min(fresh)
large = [library.malloc(100_000) for n in range(100)]
last = library.malloc(100)
for place in large:
    ctypes.memset(place, 1, 100_000)
    library.free(place)

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096

held = resident()
heap.give_back()
print(before, after, spread, held - resident())
"""


def test_gaps_are_filled_and_what_is_free_is_given_back() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60
    )
    if done.returncode == 77:
        pytest.skip("another C library: there is nothing to fill")
    assert done.returncode == 0, done.stderr
    before, after, spread, given_back = map(int, done.stdout.split())
    assert before > 1_000_000
    assert after < before / 10
    assert spread < 200_000
    assert given_back > 5_000_000
