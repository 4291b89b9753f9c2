"""Where a task is done: made or found again before it, tidied up after it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from khive_supervisor.errors import InUse, NoPlace
from khive_supervisor.host import paths
from khive_supervisor.worktrees import metadata as notes
from khive_supervisor.worktrees import roots
from khive_supervisor.worktrees.metadata import FRESH, TREE, WORKTREE, WorktreeMetadata
from khive_supervisor.worktrees.systems import WorktreeSystems

#: Seconds to wait for a worker that has lost the task and is just letting go of its directory.
PATIENCE = 10.0


@dataclass(slots=True)
class Workspace:
    """A directory that one task is done in, held until it is left."""

    home: str
    metadata: WorktreeMetadata
    #: Where to work: the caller's own place in a worktree.
    directory: str
    held: int

    def tidy(self, systems: WorktreeSystems) -> Mapping[str, object] | None:
        """Remove it if nothing is in it; otherwise say what is there."""
        return tidy(systems, self.home, self.metadata)

    def shown(self, systems: WorktreeSystems) -> Mapping[str, object] | None:
        """Return what is in it; None if that is nothing."""
        return shown(systems, self.home, self.metadata)

    def leave(self) -> None:
        """Let go of it; it stays as it is."""
        if self.held >= 0:
            os.close(self.held)
            self.held = -1


def callers(cwd: str) -> str:
    """Return the caller's directory, for a task that is done there.

    Raises:
        NoPlace: it is not known, not there, or not what it was.
    """
    if not cwd:
        raise NoPlace(
            "It is not known from which directory the task was assigned.",
            hint="Give agents.assign a cwd.",
        )
    if not os.path.isdir(cwd):
        raise NoPlace(
            f"The caller's directory {cwd} does not exist any more.",
            hint="Assign the task again with another cwd.",
        )
    roots.check_again(cwd)
    return cwd


def enter(
    systems: WorktreeSystems, top: str, task: int, role: str, kind: str, cwd: str,
    vcs: str = "auto", pause: Callable[[float], None] = time.sleep,
) -> Workspace:  # fmt: skip
    """Make the directory of a task, or go on in the one that an attempt before has left.

    `vcs` is the system that makes a worktree; "auto" is the one that the caller's directory is
    under.

    Raises:
        NoPlace: it cannot be made for this caller.
        InUse: another worker is at work in it.
        VcsFailed, OSError: this time it could not be made.
    """
    where = callers(cwd) if kind == WORKTREE else ""
    home = notes.home_of(top, task)
    paths.make_private_directory(home)
    held = _hold(home, pause)
    try:
        wanted = WorktreeMetadata(task, role, kind, vcs=vcs)
        metadata = _prepare(systems, home, notes.read(home), wanted, where)
        try:
            directory = _inside(home, metadata)
        except NoPlace:
            tidy(systems, home, metadata)
            raise
    except BaseException:
        if not os.path.exists(f"{home}/{TREE}") and notes.read(home) is None:
            notes.clear(home)
        os.close(held)
        raise
    return Workspace(home, metadata, directory, held)


def _inside(home: str, metadata: WorktreeMetadata) -> str:
    """Return where to work: the caller's own place, which may be in no commit, or a link in one."""
    top = os.path.realpath(f"{home}/{TREE}")
    directory = os.path.join(top, metadata.prefix) if metadata.prefix else top
    if os.path.realpath(directory) != directory:
        raise NoPlace(
            f"{metadata.prefix} is a symbolic link in the commit that the worktree began at.",
            hint="Assign the task with the repository's top as its cwd.",
        )
    os.makedirs(directory, exist_ok=True)
    return directory


def _hold(home: str, pause: Callable[[float], None]) -> int:
    left = PATIENCE
    while (held := notes.lock(home)) is None:
        if left <= 0:
            raise InUse(f"Another process is at work in {home}.")
        pause(0.1)
        left -= 0.1
        paths.make_private_directory(home)  # it may be gone with the one who held it
    return held


def _prepare(
    systems: WorktreeSystems,
    home: str,
    known: WorktreeMetadata | None,
    wanted: WorktreeMetadata,
    cwd: str,
) -> WorktreeMetadata:
    directory = f"{home}/{TREE}"
    if known is not None and known.ready and known.kind == wanted.kind:
        if not os.path.isdir(directory):
            if known.kind == WORKTREE:
                systems.of(known.vcs).bring_back(home, known)
            else:
                os.mkdir(directory, 0o700)
        return known
    if known is not None and known.ready:
        raise NoPlace(
            f"Work of an attempt before is in {directory}, which was a {known.kind} directory; "
            f"the role wants a {wanted.kind} one now.",
            hint="Look at it, remove it, and retry the task.",
        )
    if known is not None and known.kind == WORKTREE:
        systems.of(known.vcs).discard_unfinished(home, known)
    if wanted.kind == WORKTREE:
        trees = systems.chosen(cwd, wanted.vcs)
        return trees.make(home, trees.plan(home, wanted.task, wanted.role, cwd))
    os.makedirs(directory, 0o700, exist_ok=True)
    made = replace(wanted, ready=True)
    notes.write(home, made)
    return made


def shown(
    systems: WorktreeSystems, home: str, metadata: WorktreeMetadata
) -> Mapping[str, object] | None:
    """Return what is in a task's directory, for the task and for listings; None: nothing."""
    path = f"{home}/{TREE}"
    if metadata.kind == FRESH:
        files = _files(path)
        return {"kind": FRESH, "path": path, "files": files} if files else None
    found = systems.of(metadata.vcs).look(home, metadata)
    if found.clean:
        return None
    shown = {
        "kind": WORKTREE, "path": path, "vcs": metadata.vcs, "repository": metadata.repository,
        **found.shown(),
    }  # fmt: skip
    return {**shown, "filters": metadata.note} if metadata.note else shown


def tidy(
    systems: WorktreeSystems, home: str, metadata: WorktreeMetadata
) -> Mapping[str, object] | None:
    """Remove a directory that nothing would be lost with; what is in it, if it stays.

    Raises:
        VcsFailed, OSError: it is clean, and could not be removed.
    """
    path = f"{home}/{TREE}"
    if not metadata.ready and metadata.kind == WORKTREE:
        systems.of(metadata.vcs).discard_unfinished(home, metadata)
    elif (found := shown(systems, home, metadata)) is not None:
        return found
    elif metadata.kind == WORKTREE:
        systems.of(metadata.vcs).remove(home, metadata)
    else:
        _remove_empty(path)
    notes.clear(home)
    return None


def _files(path: str) -> int:
    """Return how many there are, also those that are links; empty directories are none."""
    return sum(
        len(files) + sum(os.path.islink(os.path.join(top, name)) for name in directories)
        for top, directories, files in os.walk(path)
    )


def _remove_empty(path: str) -> None:
    """Remove directories that have nothing in them; `rmdir` refuses any other."""
    for top, _, _ in os.walk(path, topdown=False):
        os.rmdir(top)
