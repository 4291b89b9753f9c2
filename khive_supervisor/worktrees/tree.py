"""One git worktree: made beside the caller's checkout, looked at, and removed when it is clean.

The caller's checkout, index and branch are never touched: git makes a new directory, a new branch
and an index of its own. Nothing is removed that is not in the repository or that somebody changed.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, replace
from typing import Any

from khive_supervisor.errors import KhiveError
from khive_supervisor.worktrees.about import TREE, About, write
from khive_supervisor.worktrees.git import Git, GitFailed

#: Branches that are tried when the name of one is taken.
_NAMES = 20
#: Files in a worktree's git directory that say somebody is in the middle of something.
_UNDER_WAY = (
    "MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD", "BISECT_LOG", "rebase-merge", "rebase-apply",
)  # fmt: skip


class NoPlace(KhiveError):
    """A task cannot be done where its role wants it done; no further attempt can mend that."""

    code = "no_place"


@dataclass(frozen=True, slots=True)
class Look:
    """What is in a worktree beyond the commit that it began at.

    `kept`: why it must stay although git would let it go, or cannot be asked.
    """

    changed: int = 0
    commits: int = 0
    stat: str = ""
    branch: str = ""
    kept: str = ""

    @property
    def clean(self) -> bool:
        """Whether nothing is lost when it is removed."""
        return not (self.changed or self.commits or self.kept)

    def shown(self) -> dict[str, Any]:
        """For people and programs; what is not there is left out."""
        data = {
            "branch": self.branch, "changed": self.changed, "commits": self.commits,
            "diff": self.stat, "note": self.kept,
        }  # fmt: skip
        return {name: value for name, value in data.items() if value}


def plan(git: Git, task: int, role: str, cwd: str) -> About:
    """What a worktree for the caller in `cwd` will be; nothing is made.

    Raises:
        NoPlace: there is no repository with a commit, or no such directory.
        GitFailed: git fails at something else.
    """
    try:
        found = git.run("rev-parse", "--git-common-dir", "--show-prefix", cwd=cwd)
    except GitFailed as error:
        if "not a git repository" not in error.message:
            raise
        raise NoPlace(
            f"The caller's directory {cwd} is in no git repository.",
            hint='Assign the task from a repository, or set the role\'s workdir to "caller".',
        ) from error
    common, _, prefix = found.partition("\n")
    base = git.ask("rev-parse", "--verify", "--quiet", "HEAD^{commit}", cwd=cwd)
    if not base:
        raise NoPlace(
            f"The repository of {cwd} has no commit yet, so that there is nothing to work from.",
            hint="Make a first commit, then retry the task.",
        )
    return About(
        task, role, "worktree",
        repository=os.path.realpath(os.path.join(cwd, common)),
        branch=f"khive/{role}-t{task}",
        base=base,
        prefix=prefix.strip("/"),
    )  # fmt: skip


def make(git: Git, home: str, about: About) -> About:
    """Make the worktree; what it became, with the branch that was free.

    Raises:
        GitFailed: git cannot.
    """
    for number in range(1, _NAMES + 1):
        branch = about.branch if number == 1 else f"{about.branch}-{number}"
        if _tip(git, about, branch):
            continue  # of another store's task, or kept from one before
        made = replace(about, branch=branch)
        write(home, made)
        git.run(
            "worktree", "add", "--quiet", "--no-track", "-b", branch, f"{home}/{TREE}", about.base,
            cwd=about.repository,
        )  # fmt: skip
        made = replace(made, ready=True)
        write(home, made)
        return made
    raise GitFailed(f"The branches {about.branch} to -{_NAMES} are all taken.")


def discard_unfinished(git: Git, home: str, about: About) -> None:
    """Remove what a maker left that died on the way: nobody has worked in it."""
    tree = f"{home}/{TREE}"
    if os.path.isdir(about.repository):
        git.ask("worktree", "unlock", tree, cwd=about.repository)
        git.ask("worktree", "remove", "--force", "--force", tree, cwd=about.repository)
    shutil.rmtree(tree, ignore_errors=True)
    if os.path.isdir(about.repository):
        git.ask("worktree", "prune", cwd=about.repository)
        _drop_branch(git, about)


def bring_back(git: Git, home: str, about: About) -> None:
    """Make a worktree again whose directory somebody removed, at what its branch has."""
    tree = f"{home}/{TREE}"
    where = about.branch if _tip(git, about, about.branch) else about.base
    words = [] if where == about.branch else ["--no-track", "-b", about.branch]
    git.run("worktree", "add", "--quiet", "--force", *words, tree, where, cwd=about.repository)


def look(git: Git, home: str, about: About) -> Look:
    """What is in it; whatever cannot be found out counts as a reason to keep it."""
    tree = f"{home}/{TREE}"
    if not os.path.lexists(tree):
        return _look_without(git, about)
    try:
        return _look(git, tree, about)
    except GitFailed as error:
        return Look(branch=about.branch, kept=error.message)


def _look_without(git: Git, about: About) -> Look:
    """What is left when somebody removed the directory: the branch."""
    tip = _tip(git, about, about.branch)
    kept = "" if tip in ("", about.base) else "Its directory is gone; its branch has commits."
    return Look(branch=about.branch, kept=kept)


def _look(git: Git, tree: str, about: About) -> Look:
    top, own = git.run("rev-parse", "--show-toplevel", "--absolute-git-dir", cwd=tree).split("\n")
    if os.path.realpath(top) != os.path.realpath(tree):
        # Its link is gone, and git has found a repository further up.
        return Look(branch=about.branch, kept="It is no worktree any more.")
    # Said here, since a user's settings may hide what nobody has added.
    status = git.run(
        "status", "--porcelain", "--untracked-files=normal", "--ignore-submodules=none", cwd=tree
    )
    head = git.run("rev-parse", "HEAD", cwd=tree)
    tip = _tip(git, about, about.branch)
    commits = int(git.run("rev-list", "--count", f"{about.base}..HEAD", cwd=tree))
    kept = ""
    if any(os.path.exists(os.path.join(own, name)) for name in _UNDER_WAY):
        kept = "A merge, rebase or the like is under way in it."
    elif os.path.isdir(os.path.join(own, "modules")):
        kept = "It has submodules, whose commits are nowhere else."
    elif not commits and head != about.base:
        kept = "It is at an older commit than it began at."
    elif not commits and tip not in ("", about.base):
        kept = f"The branch {about.branch} has moved, and is not what is checked out."
    return Look(
        changed=len(status.splitlines()),
        commits=commits,
        stat=git.run("diff", "--shortstat", about.base, cwd=tree).strip(),
        branch=git.ask("symbolic-ref", "--quiet", "--short", "HEAD", cwd=tree) or about.branch,
        kept=kept,
    )


def remove(git: Git, home: str, about: About) -> None:
    """Remove a clean worktree and its branch; git itself refuses if there is something in it.

    Raises:
        GitFailed: it is not clean any more, or git cannot.
    """
    if os.path.lexists(f"{home}/{TREE}"):
        git.run("worktree", "remove", f"{home}/{TREE}", cwd=about.repository)
    else:
        git.ask("worktree", "prune", cwd=about.repository)
    _drop_branch(git, about)


def _drop_branch(git: Git, about: About) -> None:
    """Remove the branch if it is where it began, in one step with that look."""
    git.ask("update-ref", "-d", f"refs/heads/{about.branch}", about.base, cwd=about.repository)


def _tip(git: Git, about: About, branch: str) -> str:
    reference = f"refs/heads/{branch}"
    return git.ask("rev-parse", "--verify", "--quiet", reference, cwd=about.repository)
