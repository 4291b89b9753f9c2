"""Check that what lies at a path is this user's alone, so that nobody else can replace it.

Whoever may write a directory may rename what is in it. So each directory above counts, as it is
written and as it really is, up to the root.
"""

from __future__ import annotations

import functools
import grp
import os
import pwd
import shlex
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from khive_supervisor.errors import BootFailure
from khive_supervisor.host.repository import steps


@dataclass(frozen=True, slots=True)
class Exposed:
    """A directory or file that others can change: which, how, and the command that ends it."""

    path: str
    why: str
    fix: str


def exposed(path: str) -> Exposed | None:
    """The first part of a path, from the root on, that others can change; None: there is none.

    What does not exist yet is made private when it is.
    """
    for part in _parts(path):
        try:
            found = os.stat(part)
        except OSError:
            continue
        if (problem := _judge(part, found)) is not None:
            return problem
    return None


def check(paths: Iterable[str]) -> None:
    """Refuse to run where others can change what is run, or what is stored.

    Raises:
        BootFailure: they can.
    """
    for path in paths:
        found = exposed(path)
        if found is not None:
            raise BootFailure(
                f"{found.path} {found.why}: others could replace {path}, or what is in it.",
                hint=found.fix,
            )


def _parts(path: str) -> Iterator[str]:
    """A path and all that are above it, as it is written and as it really is, from the root on."""
    ways = (os.path.abspath(path), os.path.realpath(path))
    yield from dict.fromkeys(part for way in ways for part in reversed(steps(way)))


def _judge(path: str, found: os.stat_result) -> Exposed | None:
    if found.st_uid not in (os.geteuid(), 0):
        fix = "Choose a path whose directories are yours; with sudo, use `sudo -H`."
        return Exposed(path, f"belongs to uid {found.st_uid}", fix)
    mode = stat.S_IMODE(found.st_mode)
    if stat.S_ISDIR(found.st_mode) and mode & stat.S_ISVTX:
        return None  # each may rename only what is theirs
    by_group = mode & stat.S_IWGRP and not _is_own_group(found.st_gid)
    if not (by_group or mode & stat.S_IWOTH):
        return None
    who = "everybody" if mode & stat.S_IWOTH else f"the group {_group_name(found.st_gid)}"
    can = f"can be written by {who} (mode {mode:04o})"
    return Exposed(path, can, f"Run `chmod go-w {shlex.quote(path)}`.")


@functools.cache
def _is_own_group(gid: int) -> bool:
    """Return True for root's group, and for one named as the user is with nobody else in it.

    Many systems give each user such a group, and let it write by default.
    """
    if gid == 0:
        return True
    try:
        user, group = pwd.getpwuid(os.geteuid()), grp.getgrgid(gid)
    except KeyError:
        return False
    alone = all(member == user.pw_name for member in group.gr_mem)
    return gid == user.pw_gid and group.gr_name == user.pw_name and alone


def _group_name(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)
