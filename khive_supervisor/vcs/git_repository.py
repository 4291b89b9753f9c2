"""Finding the repository of a directory, without git: git would read its configuration first.

Whoever owns a repository decides what git does in it, so another user's is refused, as git does.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, replace

from khive_supervisor.errors import NoPlace
from khive_supervisor.host.repository import steps
from khive_supervisor.host.small_file import read_regular

#: Bytes of a file that names a directory: a path and a few words.
_NAMING = 8192
#: What a git directory has, whatever it is used for.
_PARTS = ("objects", "refs")


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository as seen from a directory; all paths are real ones.

    Attributes:
        common: the git directory that all its checkouts share.
        own: the git directory of this checkout; `common` in the main one.
        top: the checkout's top; the git directory itself if there is no checkout.
        prefix: the directory below the top.
        claimed: a file or link in the checkout names a git directory elsewhere, and nothing there
            says that the checkout belongs to it.
    """

    common: str
    own: str
    top: str
    prefix: str
    claimed: bool = False

    @property
    def main(self) -> str:
        """Return the top of the main checkout; of a bare repository, its directory."""
        is_named = os.path.basename(self.common) == ".git"
        return os.path.dirname(self.common) if is_named else self.top


def find(cwd: str) -> Repository | None:
    """Return the repository that a directory is in; None: there is none.

    Raises:
        NoPlace: it, or a part of it, is another user's.
    """
    where = os.path.realpath(cwd)
    for top in steps(where):
        found = at(top)
        if found is not None:
            for path in {top, found.own, found.common}:
                check_owner(path)
            prefix = "" if top == where else os.path.relpath(where, top)
            return replace(found, prefix=prefix)
    return None


def at(top: str) -> Repository | None:
    """Return the repository whose checkout, or git directory, is exactly this real directory.

    Whoever owns it; None: there is none.
    """
    found = _here(top)
    if found is None:
        return None
    own, common = found
    return Repository(common, own, top, "", not _belongs(top, own, common))


def main_checkout(top: str) -> str | None:
    """The main checkout of the worktree that has its top here; None if this is no such top.

    What its `.git` file says of itself counts only if the repository says the same.
    """
    named = _named_in(f"{top}/.git", "gitdir: ")
    if not named:
        return None
    own = os.path.realpath(os.path.join(top, named))
    shared = _named_in(f"{own}/commondir", "") or "../.."
    common = os.path.realpath(os.path.join(own, shared))
    if os.path.dirname(own) != os.path.join(common, "worktrees") or not _points_back(top, own):
        return None
    return os.path.dirname(common) if os.path.basename(common) == ".git" else common


def own_of(tree: str, common: str) -> str:
    """The git directory of one worktree of a repository; empty if it is none of its any more."""
    found = _named_in(f"{tree}/.git", "gitdir: ")
    if not found or os.path.islink(f"{tree}/.git"):
        return ""
    own = os.path.realpath(os.path.join(tree, found))
    belongs = os.path.dirname(own) == f"{common}/worktrees" and _points_back(tree, own)
    return own if belongs else ""


def _here(top: str) -> tuple[str, str] | None:
    """(own, common) git directories of a directory that has them, or is one itself."""
    for candidate in (_pointed_at(top), top):
        own = os.path.realpath(candidate) if candidate else ""
        if own and os.path.isfile(f"{own}/HEAD"):
            shared = _named_in(f"{own}/commondir", "")
            common = os.path.realpath(os.path.join(own, shared)) if shared else own
            if all(os.path.exists(f"{common}/{part}") for part in _PARTS):
                return own, common
    return None


def _pointed_at(top: str) -> str:
    """Return the git directory that a checkout has, or names in a file."""
    path = f"{top}/.git"
    if os.path.isdir(path):
        return path
    named = _named_in(path, "gitdir: ")
    return os.path.join(top, named) if named else ""


def _named_in(file: str, before: str) -> str:
    """Return the path in a file behind some words; empty if it is no such file."""
    try:
        data, _ = read_regular(file, _NAMING)
    except OSError:
        return ""
    text = os.fsdecode(data)
    if not text.startswith(before) or "\0" in text:
        return ""
    return text.removeprefix(before).rstrip("\n")


def _belongs(top: str, own: str, common: str) -> bool:
    """Return True if a checkout and its git directory name each other, or one holds the other."""
    if own != common:
        # A `commondir` in the checkout's own `.git` is a claim, too: it may name any repository.
        of_common = os.path.dirname(own) == f"{common}/worktrees"
        return of_common and (own == top or _points_back(top, own))
    if own in (top, f"{top}/.git"):
        return True
    # A submodule's is in the git directory of a checkout around it.
    return any(common.startswith(f"{around}/.git/modules/") for around in steps(top))


def _points_back(top: str, own: str) -> bool:
    back = _named_in(f"{own}/gitdir", "")
    return bool(back) and os.path.realpath(os.path.join(own, back)) == os.path.realpath(
        f"{top}/.git"
    )


def check_owner(path: str) -> None:
    """Refuse what another user owns: its owner decides what is read from it.

    Raises:
        NoPlace: it is another user's.
    """
    owner = os.stat(path).st_uid
    if owner != os.geteuid():
        raise NoPlace(
            f"{path} belongs to uid {owner}, and not to this user: whoever owns a repository "
            "decides what is in it.",
            hint="Work in a clone of your own.",
        )


def check_writable_parts(common: str, branch: str) -> None:
    """Refuse links where git would write, which lead out of the repository.

    Raises:
        NoPlace: there is one.
    """
    for name in ("worktrees", "packed-refs", "reftable", "refs"):
        check_no_link(f"{common}/{name}")
    path = f"{common}/refs"
    for name in ("heads", *branch.split("/")[:-1]):
        path = f"{path}/{name}"
        check_no_link(path)


def check_no_link(path: str) -> None:
    """Refuse a link where something would be written; what is not there is none.

    Raises:
        NoPlace: it is one.
    """
    try:
        mode = os.lstat(path).st_mode
    except OSError:
        return  # git makes what it needs
    if stat.S_ISLNK(mode):
        raise NoPlace(
            f"{path} is a symbolic link: what a worktree needs there would be written elsewhere.",
            hint="Work in a clone whose git directory has no links.",
        )
