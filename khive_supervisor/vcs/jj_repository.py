"""Finding the jj repository of a directory, without jj: jj would read its configuration first.

Workspaces share one repository, which lies in the `.jj` of the first. The others have a file that
names it. What a file names is a claim, which only a checkout that knows the repository's past can
make: each notes the operation that it was last brought to, and no operation's name can be guessed.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, replace

from khive_supervisor.errors import NoPlace
from khive_supervisor.host.repository import steps
from khive_supervisor.host.small_file import read_regular
from khive_supervisor.vcs.git_repository import check_no_link, check_owner

#: Bytes of a file that names a directory, a workspace or an operation.
_NAMING = 8192
#: What jj's repository has, whatever wrote it.
PARTS = ("store", "op_store", "op_heads")
#: Directories that jj writes to: a link would lead out of the repository.
_WRITTEN = (
    "", "store", "store/extra", "op_store", "op_store/operations", "op_store/views",
    "op_heads", "op_heads/heads", "index", "submodule_store",
)  # fmt: skip
#: Fields of what a workspace notes of itself, as protocol buffers number them.
_OPERATION, _NAME = 2, 3


@dataclass(frozen=True, slots=True)
class JjRepository:
    """A repository as seen from a directory; all paths are real ones.

    Attributes:
        common: what all workspaces share, the `.jj/repo` of the first.
        top: the workspace's top.
        prefix: the directory below the top.
        workspace: the workspace's name.
    """

    common: str
    top: str
    prefix: str
    workspace: str

    @property
    def main(self) -> str:
        """Return the top of the first workspace, whose repository it is."""
        return main_of(self.common)


def main_of(common: str) -> str:
    """Return the top of the workspace that a repository lies in."""
    return os.path.dirname(os.path.dirname(common))


def find(cwd: str) -> JjRepository | None:
    """Return the repository that a directory is in; None: there is none.

    Raises:
        NoPlace: it, or a part of it, is another user's, or it is not one that can be worked with.
    """
    where = os.path.realpath(cwd)
    top = next((one for one in steps(where) if os.path.lexists(f"{one}/.jj")), None)
    if top is None:
        return None
    found = at(top)
    if found is None:
        raise NoPlace(
            f"{top}/.jj is no repository of jj's, or names one that does not know this workspace.",
            hint="Run `jj status` there, or work in the repository's first workspace.",
        )
    for path in {top, found.common}:
        check_owner(path)
    prefix = "" if top == where else os.path.relpath(where, top)
    return replace(found, prefix=prefix)


def at(top: str) -> JjRepository | None:
    """Return the repository whose workspace has its top at exactly this real directory.

    Whoever owns it; None: there is none, or none that knows the workspace.
    """
    dot = f"{top}/.jj"
    if not _is_directory(dot):
        return None
    own = f"{dot}/repo"
    is_first = _is_directory(own)
    common = own if is_first else _named_in(own, dot)
    if not common or not all(_is_directory(f"{common}/{part}") for part in PARTS):
        return None
    name, operation = checked_out(dot)
    if not is_first and not (_is_first(common) and _knows(common, operation)):
        return None
    return JjRepository(common, top, "", name) if name else None


def checked_out(dot: str) -> tuple[str, str]:
    """Return a workspace's name, and the operation it is at in hexadecimal; empty if not known."""
    try:
        data, _ = read_regular(f"{dot}/working_copy/checkout", _NAMING)
    except OSError:
        return "", ""
    fields = _fields(data)
    name = fields.get(_NAME, b"").decode("utf-8", "replace")
    return name, fields.get(_OPERATION, b"").hex()


def noted(name: str) -> bytes:
    """Return what a workspace of this name notes that is at the root operation."""
    return b"".join(
        bytes([number << 3 | 2, len(value)]) + value
        for number, value in ((_OPERATION, bytes(64)), (_NAME, name.encode()))
    )


def _fields(data: bytes) -> dict[int, bytes]:
    """Return the texts of a protocol buffer by their numbers; as far as it is one."""
    found: dict[int, bytes] = {}
    at = 0
    while at + 1 < len(data) and data[at] & 7 == 2 and data[at + 1] < 0x80:
        end = at + 2 + data[at + 1]
        found[data[at] >> 3] = data[at + 2 : end]
        at = end
    return found


def git_directory(common: str) -> str:
    """Return the git directory that keeps a repository's commits.

    Raises:
        NoPlace: something else keeps them, or a git directory that is not the repository's own.
    """
    kind = _text(f"{common}/store/type")
    if kind != "git":
        raise NoPlace(
            f"{common} keeps its commits in {kind or 'something unknown'}, not in git.",
            hint='Set the role\'s workdir to "caller".',
        )
    found = os.path.realpath(os.path.join(f"{common}/store", _text(f"{common}/store/git_target")))
    if found not in (f"{common}/store/git", f"{main_of(common)}/.git"):
        raise NoPlace(
            f"{common} names {found} as the git directory of its commits, which lies elsewhere.",
            hint="Work in a repository that has its own: jj git clone, or jj git init.",
        )
    return found


def is_colocated(common: str) -> bool:
    """Return True if git works in the first workspace, too."""
    return os.path.isdir(f"{main_of(common)}/.git")


def check_written_parts(common: str) -> None:
    """Refuse links where jj would write, which lead out of the repository.

    Raises:
        NoPlace: there is one.
    """
    for part in _WRITTEN:
        check_no_link(f"{common}/{part}")
    git = git_directory(common)
    for part in ("", "refs", "refs/jj", "refs/jj/keep", "packed-refs", "objects"):
        check_no_link(f"{git}/{part}".rstrip("/"))


def _is_first(common: str) -> bool:
    """Return True if a real path is where a first workspace has its repository."""
    return common.endswith("/.jj/repo")


def _knows(common: str, operation: str) -> bool:
    """Return True if a repository has this operation, which is not the one that all begin with."""
    is_known = len(operation) == 128 and operation.strip("0") != ""
    return is_known and os.path.isfile(f"{common}/op_store/operations/{operation}")


def _named_in(file: str, around: str) -> str:
    named = _text(file)
    return os.path.realpath(os.path.join(around, named)) if named else ""


def _text(file: str) -> str:
    try:
        data, _ = read_regular(file, _NAMING)
    except OSError:
        return ""
    text = os.fsdecode(data).rstrip("\n")
    return "" if "\0" in text else text


def _is_directory(path: str) -> bool:
    """Return True for a directory that no link stands for."""
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except OSError:
        return False
