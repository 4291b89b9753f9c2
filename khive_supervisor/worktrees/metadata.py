"""What is kept beside a task's directory, so that it is understood when all else is gone."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from dataclasses import asdict, dataclass, fields

from khive_supervisor.host import paths
from khive_supervisor.vcs import git_shadow, jj_shadow

#: Names below a task's own directory.
METADATA, LOCK, TREE = "about.json", "lock", "tree"
FRESH, WORKTREE = "fresh", "worktree"


@dataclass(frozen=True, slots=True)
class WorktreeMetadata:
    """Whose directory it is. `ready`: it was made whole, and somebody may have worked in it.

    A worktree has the `repository` (its git directory, or what jj's workspaces share), the
    `branch`, the commit that it began at (`base`), the caller's place below its top (`prefix`), the
    system that made it (`vcs`), and with jj the name of the `workspace`.
    `note` says what is not as somebody might expect it.
    """

    task: int
    role: str
    kind: str
    ready: bool = False
    repository: str = ""
    branch: str = ""
    base: str = ""
    prefix: str = ""
    note: str = ""
    vcs: str = "git"
    workspace: str = ""


def root(store: str) -> str:
    """Return the directory of all tasks of one store: ids are its own."""
    from _blake2 import blake2s

    name = blake2s(os.path.abspath(store).encode("utf-8", "surrogateescape"), digest_size=6)
    return f"{paths.state_home()}/work/{name.hexdigest()}"


def home_of(top: str, task: int) -> str:
    """Return a task's own directory; the one that is worked in is below it."""
    return f"{top}/t{task}"


def read(home: str) -> WorktreeMetadata | None:
    """Return what was written there; None if that is nothing to go by."""
    try:
        with open(f"{home}/{METADATA}", encoding="utf-8") as file:
            data = json.load(file)
        known = {field.name for field in fields(WorktreeMetadata)}
        return WorktreeMetadata(**{name: value for name, value in data.items() if name in known})
    except (OSError, ValueError, TypeError, AttributeError):
        return None


def write(home: str, metadata: WorktreeMetadata) -> None:
    """Replace what is there at once."""
    part = f"{home}/{METADATA}.part"
    with open(part, "w", encoding="utf-8") as file:
        json.dump(asdict(metadata), file)
    os.replace(part, f"{home}/{METADATA}")


def lock(home: str) -> int | None:
    """Hold a task's directory while this process lives; None: somebody else does."""
    descriptor = os.open(f"{home}/{LOCK}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    try:
        same = os.path.samestat(os.fstat(descriptor), os.stat(f"{home}/{LOCK}"))
    except FileNotFoundError:
        same = False
    if not same:  # whoever held it has removed the directory
        os.close(descriptor)
        return None
    return descriptor


def clear(home: str) -> None:
    """Remove what is ours of a task's directory, whose tree is gone, and it if it is empty."""
    git_shadow.clear(home)
    jj_shadow.clear(home)
    for name in (METADATA, f"{METADATA}.part", LOCK):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"{home}/{name}")
    with contextlib.suppress(OSError):
        os.rmdir(home)
