"""The root commits of a repository, by git: what tells that two repositories have one history."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Mapping
from dataclasses import replace

from khive_supervisor.errors import GitFailed, NoPlace
from khive_supervisor.host.scratch import scratch
from khive_supervisor.projects.head import LARGEST_PACKED, checked_out, read_small
from khive_supervisor.projects.identity import ProjectIdentity
from khive_supervisor.projects.ownership import owned
from khive_supervisor.vcs import git_repository as repository
from khive_supervisor.vcs.git import Git
from khive_supervisor.vcs.git_shadow import shadow

#: Seconds for one repository; one whose history takes longer is joined by nothing.
PATIENCE = 20.0
#: Roots of one repository; history that was put together of more parts is nobody's mark.
MOST_ROOTS = 64
_COMMIT = re.compile("[0-9a-f]{40}([0-9a-f]{24})?")


def git_for_roots(environ: Mapping[str, str]) -> Git:
    """Return the git to call: its time is bounded, and it never looks for what is not here."""
    return Git(environ, PATIENCE)


def roots_of(git: Git, common: str) -> frozenset[str] | None:
    """Return the root commits of what is checked out in a repository; None: they cannot be told.

    `common` is the real path of its git directory. A shallow history has no roots of its own, and
    one with grafts has those that somebody wanted.
    """
    if not _is_whole(common):
        return None
    _, commit = checked_out(common, common)
    wanted = [commit] if commit else ["--branches"]
    try:
        with scratch() as home, shadow(git, common, home) as one:
            listed = one.run("rev-list", "--max-parents=0", f"-{MOST_ROOTS + 1}", *wanted)
    except (GitFailed, NoPlace, OSError):
        return None
    roots = frozenset(line for line in listed.splitlines() if _COMMIT.fullmatch(line))
    return roots if 0 < len(roots) <= MOST_ROOTS else None


def with_fetched(identity: ProjectIdentity) -> ProjectIdentity:
    """Return the same project without a remote that nothing has come from, or gone to.

    An address that somebody wrote into a configuration is a claim; references of what the remote
    has are made by fetching and pushing.
    """
    common = identity.base.removeprefix("git:")
    if _has_remote_references(common):
        return identity
    kept = tuple(one for one in identity.candidates if not one.startswith("remote:"))
    return replace(identity, candidates=kept)


def _has_remote_references(common: str) -> bool:
    if os.path.isdir(f"{common}/reftable"):
        return True
    packed = read_small(f"{common}/packed-refs", LARGEST_PACKED)
    if b" refs/remotes/" in packed:
        return True
    with contextlib.suppress(OSError), os.scandir(f"{common}/refs/remotes") as remotes:
        return any(True for _ in remotes)
    return False


def _is_whole(common: str) -> bool:
    """Return True if a git directory is still one of this user's, with its history as it was."""
    if os.path.realpath(common) != common or not owned([common]):
        return False
    found = repository.at(common)
    if found is None or found.own != common or found.common != common:
        return False
    return not any(os.path.lexists(f"{common}/{name}") for name in ("shallow", "info/grafts"))
