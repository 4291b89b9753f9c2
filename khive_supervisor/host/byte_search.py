"""Which files hold some bytes: a look at what is on the disk, by a process of its own.

    python -P -m khive_supervisor.host.byte_search

A process that has a database open must not open its file a second time: closing it would drop
SQLite's locks. What to look for comes on standard input, and never stands in an argument.
"""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator, Sequence

#: Bytes that are looked at at once.
_CHUNK = 8 << 20
#: Seconds after which a look is given up.
_LONGEST = 600.0


def files_with(needles: Sequence[bytes], folders: Sequence[str]) -> dict[str, list[int]]:
    """Return the files below some folders that hold any of the bytes, each with their numbers.

    Raises:
        OSError: the look could not be taken.
    """
    if not needles:
        return {}
    asked = {"needles": [one.hex() for one in needles], "folders": list(folders)}
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", __name__],
            input=json.dumps(asked).encode(),
            stdout=subprocess.PIPE,
            timeout=_LONGEST,
            check=True,
        )
    except subprocess.SubprocessError as error:
        raise OSError(f"The files could not be searched: {error}") from error
    found: dict[str, list[int]] = json.loads(done.stdout)
    return found


def _files(folder: str) -> Iterator[str]:
    for directory, _, names in os.walk(folder):
        for name in sorted(names):
            path = os.path.join(directory, name)
            if stat.S_ISREG(os.lstat(path).st_mode):
                yield path


def _held(path: str, needles: Sequence[bytes]) -> list[int]:
    """Return the numbers of the bytes that a file holds."""
    overlap = max(map(len, needles)) - 1
    found: set[int] = set()
    with open(path, "rb") as file:
        rest = b""
        while chunk := file.read(_CHUNK):
            chunk = rest + chunk
            found |= {n for n, one in enumerate(needles) if n not in found and one in chunk}
            rest = chunk[-overlap:] if overlap else b""
    return sorted(found)


def main() -> int:
    """Answer what is asked on standard input; files that vanish meanwhile hold nothing."""
    asked = json.load(sys.stdin)
    needles = [bytes.fromhex(one) for one in asked["needles"]]
    found: dict[str, list[int]] = {}
    for path in dict.fromkeys(path for folder in asked["folders"] for path in _files(folder)):
        try:
            held = _held(path, needles)
        except FileNotFoundError:
            continue
        if held:
            found[path] = held
    json.dump(found, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
