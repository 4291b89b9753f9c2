"""Checkouts that are another one's: git's worktrees, and jj's workspaces beside the first."""

from __future__ import annotations

from khive_supervisor.vcs import git_repository, jj_repository


def main_checkout(top: str) -> str | None:
    """Return the main checkout of the one that has its top at this real directory.

    None if this is no such top, or the repository that it names does not know it.
    """
    return git_repository.main_checkout(top) or _first_workspace(top)


def _first_workspace(top: str) -> str | None:
    found = jj_repository.at(top)
    return found.main if found is not None and found.main != top else None
