"""One git worktree: made beside the caller's checkout, looked at, and removed when it is clean.

The caller's checkout, index and branch are never touched: git makes a new directory, a new branch
and an index of its own. Nothing is removed that is not in the repository or that somebody changed.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import replace

from khive_supervisor.errors import GitFailed, NoPlace
from khive_supervisor.vcs import git_repository as repository
from khive_supervisor.vcs.git import Git
from khive_supervisor.vcs.git_shadow import Shadow, shadow
from khive_supervisor.worktrees.metadata import TREE, WorktreeMetadata, write
from khive_supervisor.worktrees.model import TOUCHED, Look

#: Branches that are tried when the name of one is taken.
_NAMES = 20
#: How an index calls the place of a submodule, before its path.
_SUBMODULE = re.compile(r"160000 [0-9a-f]+ [0-3]\t(.+)", re.DOTALL)
#: Looks for files that a filter would have to be run for; what attributes call it does not matter.
_FILTERED = ("grep", "-q", "-I", "--no-textconv", "-e", "filter=")
_ATTRIBUTES = (":(glob)**/.gitattributes", ".gitattributes")
#: How changes are counted: by git alone.
_PLAINLY = ("--no-ext-diff", "--no-textconv", "--ignore-submodules=all")
_DIFF = ("--shortstat", *_PLAINLY)
#: Said of a directory whose files lack what a filter makes of them.
UNFILTERED = (
    "Files that .gitattributes gives to a filter (such as Git LFS) are as they are stored: "
    "a repository's filters are not run here."
)
#: Files in a worktree's git directory that say somebody is in the middle of something.
_UNDER_WAY = (
    "MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD", "BISECT_LOG", "rebase-merge", "rebase-apply",
)  # fmt: skip


class GitTrees:
    """Worktrees of git's, by a git that reads nobody's configuration."""

    name = "git"

    def __init__(self, git: Git) -> None:
        self.git = git

    def stop(self) -> None:
        """End what runs, and all that would follow."""
        self.git.stop()

    def plan(self, home: str, task: int, role: str, cwd: str) -> WorktreeMetadata:
        """Return what a worktree for the caller in `cwd` will be; nothing is made.

        Raises:
            NoPlace: there is no repository of this user's with a commit.
            GitFailed: git fails at something else.
        """
        found = repository.find(cwd)
        if found is None:
            raise NoPlace(
                f"The caller's directory {cwd} is in no git repository.",
                hint='Assign the task from a repository, or set the role\'s workdir to "caller".',
            )
        if found.claimed:
            raise NoPlace(
                f"{found.top} names {found.common} as its git directory, which does not name it.",
                hint="Work in the repository itself, or in a worktree that git has made.",
            )
        with shadow(self.git, found.common, home) as ours:
            base = ours.ask("rev-parse", "--verify", "--quiet", "HEAD^{commit}", own=found.own)
            if not base:
                raise NoPlace(
                    f"The repository of {cwd} has no commit yet, so that there is nothing to work "
                    "from.",
                    hint="Make a first commit, then retry the task.",
                )
            note = UNFILTERED if _is_filtered(ours, base) else ""
        return WorktreeMetadata(
            task, role, "worktree",
            repository=found.common,
            branch=f"khive/{role}-t{task}",
            base=base,
            prefix=found.prefix,
            note=note,
        )  # fmt: skip

    def make(self, home: str, metadata: WorktreeMetadata) -> WorktreeMetadata:
        """Make the worktree; what it became, with the branch that was free.

        Raises:
            NoPlace: the repository is of a kind that has none.
            GitFailed: git cannot.
        """
        with shadow(self.git, metadata.repository, home) as ours:
            for number in range(1, _NAMES + 1):
                branch = metadata.branch if number == 1 else f"{metadata.branch}-{number}"
                if _tip(ours, branch):
                    continue  # of another store's task, or kept from one before
                made = replace(metadata, branch=branch)
                write(home, made)
                _add(ours, f"{home}/{TREE}", branch, "--no-track", "-b", branch, at=metadata.base)
                made = replace(made, ready=True)
                write(home, made)
                return made
        raise GitFailed(f"The branches {metadata.branch} to -{_NAMES} are all taken.")

    def discard_unfinished(self, home: str, metadata: WorktreeMetadata) -> None:
        """Remove what a maker left that died on the way: nobody has worked in it."""
        tree = f"{home}/{TREE}"
        if not os.path.isdir(metadata.repository):
            shutil.rmtree(tree, ignore_errors=True)
            return
        with shadow(self.git, metadata.repository, home) as ours:
            ours.ask("worktree", "unlock", tree)
            ours.ask("worktree", "remove", "--force", "--force", tree)
            shutil.rmtree(tree, ignore_errors=True)
            ours.ask("worktree", "prune")
            _drop_branch(ours, metadata)

    def bring_back(self, home: str, metadata: WorktreeMetadata) -> None:
        """Make a worktree again whose directory somebody removed, at what its branch has."""
        tree = f"{home}/{TREE}"
        with shadow(self.git, metadata.repository, home) as ours:
            where = metadata.branch if _tip(ours, metadata.branch) else metadata.base
            words = [] if where == metadata.branch else ["--no-track", "-b", metadata.branch]
            _add(ours, tree, metadata.branch, "--force", *words, at=where)

    def look(self, home: str, metadata: WorktreeMetadata) -> Look:
        """Return what is in it; whatever cannot be found out counts as a reason to keep it."""
        tree = f"{home}/{TREE}"
        try:
            with shadow(self.git, metadata.repository, home) as ours:
                if not os.path.lexists(tree):
                    return _look_without(ours, metadata)
                return _look(ours, tree, metadata)
        except (GitFailed, NoPlace) as error:
            return Look(branch=metadata.branch, kept=error.message)
        except OSError as error:
            return Look(branch=metadata.branch, kept=f"It cannot be looked into: {error}.")

    def remove(self, home: str, metadata: WorktreeMetadata) -> None:
        """Remove a clean worktree and its branch; git itself refuses if there is something in it.

        Raises:
            GitFailed: it is not clean any more, or git cannot.
        """
        with shadow(self.git, metadata.repository, home) as ours:
            if os.path.lexists(f"{home}/{TREE}"):
                ours.run("worktree", "remove", f"{home}/{TREE}")
            else:
                ours.ask("worktree", "prune")
            _drop_branch(ours, metadata)


def _is_filtered(ours: Shadow, base: str) -> bool:
    with contextlib.suppress(GitFailed):
        ours.run(*_FILTERED, base, "--", *_ATTRIBUTES)
        return True
    return False


def _add(ours: Shadow, tree: str, branch: str, *words: str, at: str) -> None:
    """Add a worktree, whose link then says where its git directory really is."""
    repository.check_writable_parts(ours.common, branch)
    with contextlib.suppress(FileExistsError):
        os.mkdir(f"{ours.common}/worktrees")
    try:
        ours.run("worktree", "add", "--quiet", *words, tree, at)
    except GitFailed as error:
        if not ours.partial:
            raise
        raise NoPlace(
            f"{ours.common} is a partial clone that lacks objects, and nothing is fetched here: "
            f"{error.message}",
            hint="Fetch them first: git checkout of the same commit, or git fetch --refetch.",
        ) from error
    with open(f"{tree}/.git", encoding="utf-8", errors="surrogateescape") as link:
        named = link.read().removeprefix("gitdir: ").rstrip("\n")
    own = os.path.realpath(os.path.join(tree, named))
    with open(f"{tree}/.git", "w", encoding="utf-8", errors="surrogateescape") as link:
        link.write(f"gitdir: {own}\n")


def _look_without(ours: Shadow, metadata: WorktreeMetadata) -> Look:
    """Return what is left when somebody removed the directory: the branch."""
    tip = _tip(ours, metadata.branch)
    kept = "" if tip in ("", metadata.base) else "Its directory is gone; its branch has commits."
    return Look(branch=metadata.branch, kept=kept)


def _look(ours: Shadow, tree: str, metadata: WorktreeMetadata) -> Look:
    own = repository.own_of(tree, metadata.repository)
    if not own:
        return Look(branch=metadata.branch, kept="It is no worktree any more.")

    def run(*words: str) -> str:
        return ours.run(*words, own=own, tree=tree)

    # git would look into a submodule by the submodule's own configuration.
    status = run(
        "status", "--porcelain", "--untracked-files=normal", "--ignore-submodules=all",
        "--no-renames",
    )  # fmt: skip
    head = run("rev-parse", "HEAD")
    tip = _tip(ours, metadata.branch)
    commits = int(run("rev-list", "--count", f"{metadata.base}..HEAD"))
    kept = ""
    if any(os.path.exists(os.path.join(own, name)) for name in _UNDER_WAY):
        kept = "A merge, rebase or the like is under way in it."
    elif os.path.isdir(os.path.join(own, "modules")) or _has_submodules(tree, run):
        kept = "It has submodules, whose commits are nowhere else."
    elif not commits and head != metadata.base:
        kept = "It is at an older commit than it began at."
    elif not commits and tip not in ("", metadata.base):
        kept = f"The branch {metadata.branch} has moved, and is not what is checked out."
    return Look(
        changed=len(status.splitlines()),
        commits=commits,
        stat=run("diff", *_DIFF, metadata.base).strip(),
        branch=ours.ask("symbolic-ref", "--quiet", "--short", "HEAD", own=own) or metadata.branch,
        kept=kept,
        touched=_touched(run("diff", "--name-only", *_PLAINLY, metadata.base), status),
        tip=head if commits else "",
    )


def _touched(changed: str, status: str) -> tuple[str, ...]:
    """Return paths that git names: changed ones, and new ones that it does not know yet."""
    new = (line[3:] for line in status.splitlines() if line.startswith("?? "))
    return tuple(dict.fromkeys([*changed.splitlines(), *new]))[:TOUCHED]


def _has_submodules(tree: str, run: Callable[..., str]) -> bool:
    """Return True if something is in the place of a submodule; git leaves them empty."""
    entries = run("ls-files", "--stage", "-z").split("\0")
    found = (match[1] for entry in entries if (match := _SUBMODULE.fullmatch(entry)))
    return any(_holds_something(os.path.join(tree, path)) for path in found)


def _holds_something(path: str) -> bool:
    try:
        return bool(os.listdir(path))
    except FileNotFoundError:
        return False
    except OSError:
        return True  # no directory, or one that cannot be read: nothing that git has made


def _drop_branch(ours: Shadow, metadata: WorktreeMetadata) -> None:
    """Remove the branch if it is where it began, in one step with that look."""
    ours.ask("update-ref", "-d", f"refs/heads/{metadata.branch}", metadata.base)


def _tip(ours: Shadow, branch: str) -> str:
    return ours.ask("rev-parse", "--verify", "--quiet", f"refs/heads/{branch}")
