"""Whose a repository is, judged as git judges it: its owner decides what is read from it."""

from __future__ import annotations

import os
from collections.abc import Iterable

from khive_supervisor.host.repository import within
from khive_supervisor.host.small_file import read_regular
from khive_supervisor.projects import git_config

#: Bytes of the largest configuration of the user that is read.
_LARGEST = 256 * 1024


def owned(paths: Iterable[str]) -> bool:
    """Return True if all of these are this user's; links are not followed."""
    own = os.geteuid()
    try:
        return all(os.lstat(path).st_uid == own for path in paths)
    except OSError:
        return False


def declared_safe(directory: str, home: str) -> bool:
    """Return True if the user's own git configuration calls a directory safe (`safe.directory`)."""
    safe: list[str] = []
    for file in (f"{home}/.config/git/config", f"{home}/.gitconfig"):
        for said in git_config.values(_content(file)).get("safe.directory", ()):
            safe = [*safe, said] if said else []  # an empty one takes back those before it
    return any(_names(said, directory, home) for said in safe)


def _names(said: str, directory: str, home: str) -> bool:
    if said == "*":
        return True
    path = home + said[1:] if said.startswith("~/") else said
    if path.endswith("/*"):
        return within(directory, os.path.realpath(path[:-2]))
    return path.startswith("/") and os.path.realpath(path) == directory


def _content(file: str) -> str:
    if not owned([file]):
        return ""
    try:
        data, _ = read_regular(file, _LARGEST)
    except OSError:
        return ""
    return data.decode("utf-8", "surrogateescape")
