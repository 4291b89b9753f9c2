"""What is known of the project that a directory belongs to, as a plain value. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from khive_supervisor.control.requests import IdentityData

#: Characters of a project's name.
NAME_LIMIT = 100
#: Candidates of one project.
MOST_CANDIDATES = 4


@dataclass(frozen=True, slots=True)
class ProjectIdentity:
    """A project as its directory shows it; marks are texts that are compared as a whole.

    Attributes:
        name: for people; a repository's is its directory's.
        own: the mark that no other project has: `git:` with the real path of the common git
            directory, `folder:` with a real path, or `file:`, the repository's mark, `#` and the
            name that the project's file gives a part of it.
        base: the mark of the whole repository or folder; `own`, unless a file narrows it.
        candidates: marks that other projects may have as well: `remote:` with a normalised
            address, `node:` with device and inode of the common directory. They join nothing
            before a root commit in common was seen.
        branch: the branch that is checked out; empty if there is none.
        commit: its commit, in hexadecimal; empty if it is not known.
    """

    name: str
    own: str
    base: str
    candidates: tuple[str, ...] = ()
    branch: str = ""
    commit: str = ""

    @property
    def node(self) -> str:
        """Return the inode of the common git directory; empty for a folder.

        Another repository at the same path has another one. Devices are not compared: they are
        numbered anew at each start of a machine.
        """
        found = next((one for one in self.candidates if one.startswith("node:")), "")
        return found.rpartition(":")[2]

    def called(self, name: str) -> ProjectIdentity:
        """Return the same project under the name that its file gives it; itself for no name."""
        return replace(self, name=name[:NAME_LIMIT]) if name else self

    def narrowed(self, name: str) -> ProjectIdentity:
        """Return the part of this project that a project's file names; itself for no name."""
        return replace(self.called(name), own=part_of(self.base, name)) if name else self

    def as_dict(self) -> IdentityData:
        """Plain data that JSON can carry."""
        return {
            "name": self.name,
            "own": self.own,
            "base": self.base,
            "candidates": list(self.candidates),
            "branch": self.branch,
            "commit": self.commit,
        }


def part_of(base: str, name: str) -> str:
    """Return the mark of a part of a project; no name makes it the mark of another project's."""
    escaped = name.replace("%", "%25").replace("#", "%23")
    return f"file:{base}#{escaped}"


def base_of(mark: str) -> tuple[str, str]:
    """Return the mark of the whole and the escaped name behind it; an empty name for a whole."""
    if not mark.startswith("file:"):
        return mark, ""
    base, _, name = mark.removeprefix("file:").rpartition("#")
    return base, name


def folder_of(mark: str) -> str:
    """Return the mark that a repository's folder had before there was one in it; empty for none."""
    path = mark.removeprefix("git:")
    top, _, name = path.rpartition("/")
    return f"folder:{top}" if path != mark and top and name.startswith(".") else ""


def from_dict(data: Mapping[str, object] | None) -> ProjectIdentity | None:
    """Return the identity that plain data stands for; None for none, or for what is not one."""
    if not data:
        return None
    own, base = data.get("own"), data.get("base")
    if not isinstance(own, str) or not own or not isinstance(base, str):
        return None
    candidates = data.get("candidates")
    listed = candidates if isinstance(candidates, list) else []
    return ProjectIdentity(
        str(data.get("name", "")),
        own,
        base or own,
        tuple(str(one) for one in listed[:MOST_CANDIDATES]),
        str(data.get("branch", "")),
        str(data.get("commit", "")),
    )
