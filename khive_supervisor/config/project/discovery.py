"""Finding a project's file: from a session's directory up to its repository's root.

Who can write to a directory decides what is in it, so only what belongs to this user, and to
nobody else, is read.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from os.path import realpath

from khive_supervisor.config.project.text import FILE_NAME, MAX_BYTES, Ignored, Project, read
from khive_supervisor.host.repository import SHARED, has_mark, parent, within
from khive_supervisor.host.small_file import read_regular

#: Projects that are remembered, so that a session need not wait for the same file again.
MAX_REMEMBERED = 256

#: What a file's status says of its content: device, inode, size, modification and change (ns).
Signature = tuple[int, int, int, int, int]


@dataclass(frozen=True, slots=True)
class ProjectPlace:
    """A project's directory and its file; `file` is None if it has none."""

    root: str
    file: str | None


class ProjectFileRefused(Exception):
    """A file that is not read, and why not."""


def find(cwd: str, home: str) -> ProjectPlace | None:
    """Return the project that a directory belongs to; None in a home directory, in / and the like.

    The nearest repository's root, or without one the directory itself. The file is the nearest
    one from the directory up to there.
    """
    own = realpath(home)
    passed = list(_up_to_root(realpath(cwd), own))
    if not passed:
        return None
    root = passed[-1] if has_mark(passed[-1]) else passed[0]
    searched = passed if has_mark(root) else passed[:1]
    files = (f"{directory.rstrip('/')}/{FILE_NAME}" for directory in searched)
    return ProjectPlace(root, next((file for file in files if os.path.lexists(file)), None))


def _up_to_root(directory: str, home: str) -> Iterator[str]:
    """The directory and those above it, up to a repository's root; none that is no project."""
    while directory not in SHARED and not within(home, directory):
        yield directory
        if has_mark(directory):
            return
        directory = parent(directory)


class ProjectFiles:
    """Reads projects' files, and remembers what they said as long as they do not change."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[Signature, Project]] = {}

    def __len__(self) -> int:
        return len(self._known)

    def read(self, file: str, place: ProjectPlace, home: str) -> Project:
        """Return what a project's file says; one that cannot be trusted, or read, says nothing."""
        try:
            signature = _signature(_checked(file, place.root))
            known = self._known.get(file)
            if known is not None and known[0] == signature:
                return known[1]
            project = read(_text(file, place.root), file, _for_people(place.root, home))
        except (ProjectFileRefused, OSError) as error:
            reason = (
                str(error)
                if isinstance(error, ProjectFileRefused)
                else error.strerror or str(error)
            )
            return Project(ignored=(Ignored(file, "all of it", reason),))
        if len(self._known) >= MAX_REMEMBERED:
            self._known.clear()
        self._known[file] = signature, project
        return project


def _checked(file: str, root: str) -> os.stat_result:
    """Return the status of a file that is this user's alone; raises Refused or OSError."""
    target = realpath(file)
    if not within(target, root):
        raise ProjectFileRefused(f"it leads out of the project, to {target}")
    for path in {parent(file), parent(target)}:
        _check_owner(os.stat(path), path)
    status = os.stat(target)
    if not stat.S_ISREG(status.st_mode):
        raise ProjectFileRefused("it is not a regular file")
    _check_owner(status, target)
    return status


def _check_owner(status: os.stat_result, path: str) -> None:
    if status.st_uid != os.geteuid():
        raise ProjectFileRefused(f"{path} belongs to another user (uid {status.st_uid})")
    shared = status.st_mode & stat.S_IWOTH or (
        status.st_mode & stat.S_IWGRP and not _is_private(status.st_gid)
    )
    if shared:
        mode = stat.S_IMODE(status.st_mode)
        raise ProjectFileRefused(
            f"others can write to {path} (mode {mode:04o}): `chmod go-w` mends that"
        )


def _is_private(group: int) -> bool:
    """Return True for the group of one user, which many systems let write by default."""
    import grp
    import pwd

    try:
        account, found = pwd.getpwuid(os.geteuid()), grp.getgrgid(group)
    except KeyError:
        return False
    return account.pw_gid == group and set(found.gr_mem) <= {account.pw_name}


def _text(file: str, root: str) -> str:
    data, status = read_regular(realpath(file), MAX_BYTES)
    if _signature(status) != _signature(_checked(file, root)):
        raise ProjectFileRefused("it was replaced while it was read")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ProjectFileRefused("it is not UTF-8") from None


def _signature(status: os.stat_result) -> Signature:
    return (
        status.st_dev,
        status.st_ino,
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
    )


def _for_people(root: str, home: str) -> str:
    own = realpath(home)
    return "~" + root[len(own) :] if within(root, own) and own != "/" else root
