"""The commits of a repository, read by git and by nothing that the repository names."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from khive_supervisor.errors import GitFailed, InvalidInput
from khive_supervisor.host.scratch import scratch
from khive_supervisor.projects import commits
from khive_supervisor.projects.commits import Commit
from khive_supervisor.projects.head import checked_out
from khive_supervisor.text import wellformed
from khive_supervisor.vcs import git_repository as repository
from khive_supervisor.vcs.git import Git
from khive_supervisor.vcs.git_shadow import Shadow, shadow

#: Commits that are looked at unless somebody asks for more, newest first.
LOOKED_AT = 5000
_LOG = (
    "log", "--encoding=UTF-8", "--no-notes", "--no-use-mailmap", "--no-renames", "--no-ext-diff",
    "--no-color", "--no-show-signature", "--no-decorate", f"--format={commits.FORMAT}",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class History:
    """The newest commits of what is checked out, oldest first; `more`: there are older ones.

    `common` is the real path of the git directory that all checkouts share.
    """

    common: str
    commits: tuple[Commit, ...]
    more: bool


def read(directory: str, environ: Mapping[str, str], most: int = LOOKED_AT) -> History:
    """Return the history of the repository that a directory is in.

    Raises:
        InvalidInput: it is in none, or nothing is committed in it.
        NoPlace: the repository is another user's, or of a format that is not known.
        GitFailed: it cannot be read.
    """
    found = repository.find(directory)
    if found is None:
        raise InvalidInput(f"{directory} is in no git repository.", hint="Name one, or work in it.")
    _, commit = checked_out(found.own, found.common)
    if not commit:
        raise InvalidInput(
            f"Nothing is committed in {found.top}, or its HEAD names no branch that is there.",
            hint="Check out a branch with commits.",
        )
    with (
        scratch() as home,
        shadow(Git(environ), found.common, home) as one,
    ):
        printed = _printed(one, commit, most + 1)
    newest = list(commits.parsed(wellformed.text(printed)))
    kept = tuple(reversed(newest[:most]))
    return History(os.path.realpath(found.common), kept, len(newest) > most)


def _printed(one: Shadow, commit: str, most: int) -> str:
    """Return what git prints, without paths where what tells them is not here (partial clones)."""
    limit = f"--max-count={most}"
    try:
        return one.run(*_LOG, limit, "--name-only", commit)
    except GitFailed:
        return one.run(*_LOG, limit, "--no-patch", commit)
