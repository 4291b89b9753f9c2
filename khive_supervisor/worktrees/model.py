"""What a version control system does for tasks: worktrees made, looked at and removed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from khive_supervisor.worktrees.metadata import WorktreeMetadata

#: Paths of touched files that are told.
TOUCHED = 50


@dataclass(frozen=True, slots=True)
class Look:
    """What is in a worktree beyond the commit that it began at.

    `kept`: why it must stay although git would let it go, or cannot be asked. `touched` are the
    first paths of files that are otherwise than in that commit, `tip` is the newest commit of its
    own, in hexadecimal.
    """

    changed: int = 0
    commits: int = 0
    stat: str = ""
    branch: str = ""
    kept: str = ""
    touched: tuple[str, ...] = ()
    tip: str = ""

    @property
    def clean(self) -> bool:
        """Return True if nothing is lost when it is removed."""
        return not (self.changed or self.commits or self.kept)

    def shown(self) -> Mapping[str, object]:
        """Return it for people and programs; what is not there is left out."""
        data = {
            "branch": self.branch, "changed": self.changed, "commits": self.commits,
            "diff": self.stat, "note": self.kept, "touched": list(self.touched),
            "commit": self.tip,
        }  # fmt: skip
        return {name: value for name, value in data.items() if value}


class VcsTrees(Protocol):
    """Worktrees of one version control system; `home` is the directory of the task that has one.

    What is made says in its metadata all that is needed to look at it and remove it later.
    """

    name: str

    def plan(self, home: str, task: int, role: str, cwd: str) -> WorktreeMetadata:
        """Return what a worktree for the caller in `cwd` will be; nothing is made.

        Raises:
            NoPlace: there is no repository of this user's with a commit.
            VcsFailed: the program fails at something else.
        """

    def make(self, home: str, metadata: WorktreeMetadata) -> WorktreeMetadata:
        """Make the worktree; what it became, with the names that were free.

        Raises:
            NoPlace: the repository is of a kind that has none.
            VcsFailed: the program cannot.
        """

    def discard_unfinished(self, home: str, metadata: WorktreeMetadata) -> None:
        """Remove what a maker left that died on the way: nobody has worked in it."""

    def bring_back(self, home: str, metadata: WorktreeMetadata) -> None:
        """Make a worktree again whose directory somebody removed, at what was done in it."""

    def look(self, home: str, metadata: WorktreeMetadata) -> Look:
        """Return what is in it; whatever cannot be found out counts as a reason to keep it."""

    def remove(self, home: str, metadata: WorktreeMetadata) -> None:
        """Remove a clean worktree and its branch.

        Raises:
            VcsFailed: it is not clean any more, or the program cannot.
        """

    def stop(self) -> None:
        """End what runs, and all that would follow; callable from another thread."""
