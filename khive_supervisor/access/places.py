"""Where a session really is: its directory without links, and the main checkout of a worktree.

A worktree's files are the main checkout's; that they lie elsewhere makes them no other project.
What a `.git` file says of itself counts only if the repository says the same.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from khive_supervisor.host.small_file import read_regular

#: Bytes of the files by which a worktree and its repository point at each other.
MAX_BYTES = 8192


def places_of(directories: Iterable[str]) -> tuple[str, ...]:
    """The real directories of these, and the main checkouts of those that are in a worktree."""
    found: dict[str, None] = {}
    for directory in directories:
        if not os.path.isabs(directory) or "\0" in directory:
            continue
        real = os.path.realpath(directory)
        found[real] = None
        found.update(dict.fromkeys(_main_checkouts(real)))
    return tuple(found)


def _main_checkouts(directory: str) -> Iterator[str]:
    """The main checkouts of all worktrees that a directory lies in, one within the other."""
    while True:
        main = _main_checkout(directory)
        if main is not None:
            yield main
        if directory == "/":
            return
        directory = os.path.dirname(directory)


def _main_checkout(top: str) -> str | None:
    """The main checkout of the worktree that has its top here; None if this is no such top."""
    mark = os.path.join(top, ".git")
    said = _line(mark).removeprefix("gitdir: ")
    if not said:
        return None
    own = os.path.realpath(os.path.join(top, said))
    back = _line(os.path.join(own, "gitdir"))
    if not back or os.path.realpath(os.path.join(own, back)) != os.path.realpath(mark):
        return None
    common = os.path.realpath(os.path.join(own, _line(os.path.join(own, "commondir")) or "../.."))
    if os.path.dirname(own) != os.path.join(common, "worktrees"):
        return None
    return os.path.dirname(common) if os.path.basename(common) == ".git" else common


def _line(path: str) -> str:
    """Return the one line of a small file; empty if there is none."""
    try:
        data, _ = read_regular(path, MAX_BYTES)
    except OSError:
        return ""
    return "" if b"\0" in data else os.fsdecode(data).strip("\n")
