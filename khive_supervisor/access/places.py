"""Where a session really is: its directory without links, and the main checkout of a worktree.

A worktree's files are the main checkout's; that they lie elsewhere makes them no other project.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from khive_supervisor.host.repository import steps
from khive_supervisor.vcs.checkouts import main_checkout


def places_of(directories: Iterable[str]) -> tuple[str, ...]:
    """The real directories of these, and the main checkouts of those that are in a worktree."""
    found: dict[str, None] = {}
    for directory in directories:
        if not os.path.isabs(directory) or "\0" in directory:
            continue
        real = os.path.realpath(directory)
        found[real] = None
        # One worktree may lie within another one.
        found |= dict.fromkeys(main for top in steps(real) if (main := main_checkout(top)))
    return tuple(found)
