"""All directories of tasks that are still there, and the removal of those that are clean."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from khive_supervisor.errors import VcsFailed
from khive_supervisor.worktrees import metadata as notes
from khive_supervisor.worktrees import place
from khive_supervisor.worktrees.metadata import TREE, WorktreeMetadata
from khive_supervisor.worktrees.systems import WorktreeSystems

#: Files that are counted of a directory at most, so that a listing does not take for ever.
COUNTED = 20_000


@dataclass(frozen=True, slots=True)
class Leftover:
    """One directory. `busy`: a worker is in it. `inside`: what is in it; None is nothing."""

    task: int
    home: str
    metadata: WorktreeMetadata | None
    busy: bool
    inside: Mapping[str, object] | None

    @property
    def clean(self) -> bool:
        """Return True if nothing is lost when it is removed."""
        return self.metadata is not None and not self.busy and self.inside is None


def found(systems: WorktreeSystems, top: str) -> Iterator[Leftover]:
    """Every directory of a store's tasks, by the task's number."""
    for task in _tasks(top):
        home = notes.home_of(top, task)
        held = _held(home)
        try:
            yield _one(systems, task, home, busy=held is None)
        finally:
            if held is not None:
                os.close(held)


def _one(systems: WorktreeSystems, task: int, home: str, *, busy: bool) -> Leftover:
    metadata = notes.read(home)
    if metadata is None:
        note = "Nothing says whose it is: look at it, and remove it by hand."
        return Leftover(task, home, None, busy, {"path": home, "note": note})
    inside = place.shown(systems, home, metadata) if metadata.ready else None
    return Leftover(task, home, metadata, busy, inside)


def remove_clean(systems: WorktreeSystems, top: str, task: int) -> Mapping[str, object] | None:
    """Remove a task's directory if nothing is lost; what is in it otherwise, with the reason."""
    home = notes.home_of(top, task)
    held = _held(home)
    if held is None:
        return {"path": f"{home}/{TREE}", "note": "A worker is at work in it."}
    try:
        metadata = notes.read(home)
        if metadata is None:
            return _one(systems, task, home, busy=False).inside
        return place.tidy(systems, home, metadata)
    except (VcsFailed, OSError) as error:
        return {"path": f"{home}/{TREE}", "note": str(error)}
    finally:
        os.close(held)


def size(path: str) -> int:
    """Bytes of a directory's files, as far as `COUNTED` of them."""
    total = counted = 0
    for top, _, files in os.walk(path):
        for name in files:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(top, name)).st_size
            counted += 1
        if counted >= COUNTED:
            break
    return total


def _tasks(top: str) -> list[int]:
    try:
        names = os.listdir(top)
    except OSError:
        return []
    return sorted(int(name[1:]) for name in names if re.fullmatch(r"t[1-9][0-9]{0,17}", name))


def _held(home: str) -> int | None:
    try:
        return notes.lock(home)
    except OSError:
        return None  # it is being removed, or is not ours to read
