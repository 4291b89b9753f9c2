"""The project of a directory, found by reading files: no program is started for it.

What a directory says of itself narrows a project or makes a new one, and never joins one. So a
`.git` file or a `commondir` counts only where the repository that it names says the same of it;
everything else is a folder of its own.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import replace
from itertools import takewhile

from khive_supervisor.host.repository import SHARED, has_mark, steps, within
from khive_supervisor.host.small_file import read_regular
from khive_supervisor.projects import git_config, remotes
from khive_supervisor.projects.head import checked_out
from khive_supervisor.projects.identity import NAME_LIMIT, ProjectIdentity
from khive_supervisor.projects.ownership import declared_safe, owned
from khive_supervisor.text import wellformed
from khive_supervisor.vcs import git_repository as repository
from khive_supervisor.vcs import jj_repository
from khive_supervisor.vcs.git_repository import Repository

#: Bytes of the largest configuration of a repository that is read.
_LARGEST = 256 * 1024


def directory_of(cwd: str, project_directory: str | None) -> str:
    """Return where a session's project is: where its client says, if that exists, else its own."""
    said = project_directory or ""
    is_there = os.path.isabs(said) and "\0" not in said and os.path.isdir(said)
    return said if is_there else cwd


def identify(directory: str, home: str) -> ProjectIdentity | None:
    """Return the project of a directory; None in a home directory, above it, and in /tmp."""
    where, home = os.path.realpath(directory), os.path.realpath(home)
    shared = {*SHARED, os.path.realpath(tempfile.gettempdir())}
    inside = list(takewhile(lambda top: top not in shared and not within(home, top), steps(where)))
    if not inside:
        return None
    for top in inside:
        marked = has_mark(top)
        if marked or os.path.isfile(f"{top}/HEAD"):
            found = _repository_at(top, home)
            if found is not None:
                return found
            if (first := _first_workspace(top, home)) is not None:
                return _repository_at(first, home) or _folder(first)
        if marked:  # another system's, one that is broken, or one that is not to be read
            return _folder(top)
    return _folder(where)


def unseen(directory: str) -> ProjectIdentity:
    """Return the project of a directory that cannot be looked at: a folder of its own."""
    return _folder(directory)


def _folder(directory: str) -> ProjectIdentity:
    mark = f"folder:{path_text(directory)}"
    return ProjectIdentity(_name(directory), mark, mark)


def _repository_at(top: str, home: str) -> ProjectIdentity | None:
    """Return the project of the git repository that has a checkout, or itself, exactly here."""
    try:
        return _judged(top, home)
    except OSError:  # it is being changed while it is looked at
        return None


def _first_workspace(top: str, home: str) -> str | None:
    """Return the first workspace of the jj repository that this is another workspace of."""
    try:
        found = jj_repository.at(top)
        if found is None or found.main == top:
            return None
        mine = owned([top, f"{top}/.jj", found.common]) or declared_safe(top, home)
    except OSError:  # it is being changed while it is looked at
        return None
    return found.main if mine else None


def _judged(top: str, home: str) -> ProjectIdentity | None:
    named = [path for path in (top, f"{top}/.git") if os.path.lexists(path)]
    if not owned(named) and not declared_safe(top, home):
        return None
    found = repository.at(top)
    if found is None:
        return None
    if not owned({found.own, found.common}) and not declared_safe(top, home):
        return None
    settings = git_config.values(_content(f"{found.common}/config"))
    if found.claimed and not _says_the_same(found, settings):
        return None
    return _of_repository(found, settings)


def _says_the_same(found: Repository, settings: dict[str, list[str]]) -> bool:
    """Return True if a git directory that a checkout names belongs to that checkout.

    Its configuration names the checkout, as a submodule's does; or it is bare and lies directly in
    the checkout, which holds nothing but worktrees then.
    """
    if found.own != found.common:
        return False
    worktree = settings.get("core.worktree", [""])[-1]
    if worktree:
        return os.path.realpath(os.path.join(found.own, worktree)) == found.top
    bare = settings.get("core.bare", [""])[-1].lower() == "true"
    return bare and os.path.dirname(found.own) == found.top


def _of_repository(found: Repository, settings: dict[str, list[str]]) -> ProjectIdentity:
    mark = f"git:{path_text(found.common)}"
    branch, commit = checked_out(found.own, found.common)
    candidates = []
    if address := remotes.normalised(_origin(settings)):
        candidates.append(f"remote:{wellformed.text(address)}")
    status = os.stat(found.common)
    candidates.append(f"node:{status.st_dev}:{status.st_ino}")
    identity = ProjectIdentity(_name(_main_of(found, settings)), mark, mark, tuple(candidates))
    return replace(identity, branch=wellformed.text(branch), commit=commit)


def _origin(settings: dict[str, list[str]]) -> str:
    """Return the address of `origin`, or of the only remote."""
    addresses = {
        key: said[0]
        for key, said in settings.items()
        if key.startswith("remote.") and key.endswith(".url")
    }
    only = next(iter(addresses.values())) if len(addresses) == 1 else ""
    return addresses.get("remote.origin.url", only)


def _main_of(found: Repository, settings: dict[str, list[str]]) -> str:
    """Return the directory that gives a repository its name."""
    if worktree := settings.get("core.worktree"):
        return os.path.normpath(os.path.join(found.common, worktree[-1]))
    name = os.path.basename(found.common)
    return os.path.dirname(found.common) if name.startswith(".") else found.common


def _name(directory: str) -> str:
    name = wellformed.text(os.path.basename(directory)).removesuffix(".git")
    return name[:NAME_LIMIT] or "project"


def path_text(path: str) -> str:
    """Return an absolute path as text of its own; one that is not Unicode as its bytes."""
    return path if wellformed.is_text(path) else f"bytes:{os.fsencode(path).hex()}"


def _content(file: str) -> str:
    try:
        data, _ = read_regular(file, _LARGEST)
    except OSError:
        return ""
    return data.decode("utf-8", "surrogateescape")
