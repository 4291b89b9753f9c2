"""Which version control system a directory is under, and the two that worktrees are made with."""

from __future__ import annotations

import os
from collections.abc import Mapping

from khive_supervisor.errors import NoPlace
from khive_supervisor.host.repository import steps
from khive_supervisor.vcs import git_repository
from khive_supervisor.vcs.git import Git
from khive_supervisor.vcs.jj import Jj
from khive_supervisor.vcs.program import TIMEOUT
from khive_supervisor.worktrees.git_tree import GitTrees
from khive_supervisor.worktrees.jj_tree import JjTrees
from khive_supervisor.worktrees.model import VcsTrees

#: What lies in the top directory of a checkout, by the system whose it is.
_OTHERS = {
    ".hg": "Mercurial", ".sl": "Sapling", ".svn": "Subversion", ".fslckout": "Fossil",
    "_FOSSIL_": "Fossil", ".bzr": "Bazaar", ".pijul": "Pijul", "_darcs": "Darcs", "CVS": "CVS",
}  # fmt: skip
_ELSEWHERE = 'Set the role\'s workdir to "caller" or "fresh".'


class WorktreeSystems:
    """git and jj, each with its worktrees; `stop` ends what runs, from another thread."""

    def __init__(self, environ: Mapping[str, str], timeout: float = TIMEOUT) -> None:
        self.git = GitTrees(Git(environ, timeout))
        self.jj = JjTrees(Jj(environ, timeout))

    def of(self, vcs: str) -> VcsTrees:
        """Return the worktrees of the system that a worktree was made with."""
        return self.jj if vcs == self.jj.name else self.git

    def chosen(self, cwd: str, wanted: str) -> VcsTrees:
        """Return the worktrees for a caller's directory, whose role wants "auto" or one system.

        A repository that jj works in is jj's, also where git works in it beside; without a program
        jj it is git's there.

        Raises:
            NoPlace: it is under another system, or jj's alone and there is no program jj.
        """
        if wanted != "auto":
            return self.of(wanted)
        for top in steps(os.path.realpath(cwd)):
            by_git = git_repository.at(top) is not None
            if os.path.lexists(f"{top}/.jj"):
                return self._by_jj(top, by_git)
            if by_git or os.path.lexists(f"{top}/.git"):
                return self.git
            _refuse_others(top)
        return self.git

    def _by_jj(self, top: str, by_git: bool) -> VcsTrees:
        if self.jj.jj.program is not None:
            return self.jj
        if by_git:
            return self.git
        raise NoPlace(
            f"{top} is a jj repository, and there is no program jj in the role's PATH.",
            hint=f"Install jj, or add its directory to PATH. {_ELSEWHERE}",
        )

    def stop(self) -> None:
        """End what runs, and all that would follow."""
        self.git.stop()
        self.jj.stop()


def _refuse_others(top: str) -> None:
    for mark, name in _OTHERS.items():
        if os.path.lexists(f"{top}/{mark}"):
            raise NoPlace(
                f"{top} is a checkout of {name}: worktrees are made with git and jj alone.",
                hint=_ELSEWHERE,
            )
