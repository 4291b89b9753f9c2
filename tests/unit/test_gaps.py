"""Gaps in the zygote's memory: taken before the first fork, so that sessions copy fewer pages."""

from __future__ import annotations

import subprocess
import sys

import pytest

#: Makes gaps of many sizes, fills them, and says how much is free below the end of the heap.
PROGRAM = """
import ctypes, sys
from khive_workers import gaps
try:
    library = gaps._c_library()
except (OSError, AttributeError):
    sys.exit(77)

def between():
    info = library.mallinfo2()
    return info.fordblks - info.keepcost

made = [library.malloc(600 + 16 * (n % 60)) for n in range(4000)]
for place in made[::2]:
    library.free(place)
before = between()
gaps.fill()
after = between()
fresh = [library.malloc(700) for _ in range(100)]
spread = max(fresh) - min(fresh)
print(before, after, spread)
"""


def test_what_is_made_after_it_lies_together() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60
    )
    if done.returncode == 77:
        pytest.skip("another C library: there is nothing to fill")
    assert done.returncode == 0, done.stderr
    before, after, spread = map(int, done.stdout.split())
    assert before > 1_000_000
    assert after < before / 10
    assert spread < 200_000
