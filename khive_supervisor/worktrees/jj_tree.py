"""One jj workspace: made beside the caller's, looked at, and removed when nothing is in it.

The caller's workspace is neither looked into nor moved. What is done in the task's own is in its
commits as soon as it is looked at, as jj does it; a bookmark is put on the newest of them.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace

from khive_supervisor.errors import JjFailed, NoPlace
from khive_supervisor.vcs import jj_repository
from khive_supervisor.vcs.jj import Jj
from khive_supervisor.vcs.jj_shadow import JjShadow, come_back, jj_shadow
from khive_supervisor.worktrees.metadata import TREE, WorktreeMetadata, write
from khive_supervisor.worktrees.model import TOUCHED, Look

#: Names that are tried when one is taken.
_NAMES = 20
#: A commit as `log` prints it: its name, and whether somebody has described it.
_COMMIT = 'commit_id ++ if(description, " described", " ") ++ "\\n"'
#: Commits with nothing in them, of which nobody has said anything.
_NOTHING = '(empty() & description(exact:""))'
#: How `status` marks files that jj does not track, such as those that are too large for it.
_UNTRACKED = "? "


@dataclass(frozen=True, slots=True)
class _Commits:
    """What was done in a workspace: the newest first.

    `at` is the commit that is checked out, `done` are those with something in them or said of
    them, and `open`: the one that is checked out is one of these, and nobody has described it.
    """

    at: str
    done: tuple[str, ...]
    open: bool


class JjTrees:
    """Workspaces of jj's, by a jj that reads nobody's configuration."""

    name = "jj"

    def __init__(self, jj: Jj) -> None:
        self.jj = jj

    def stop(self) -> None:
        """End what runs, and all that would follow."""
        self.jj.stop()

    def plan(self, home: str, task: int, role: str, cwd: str) -> WorktreeMetadata:
        """Return what a workspace for the caller in `cwd` will be; nothing is made.

        Raises:
            NoPlace: there is no repository of this user's with a commit.
            JjFailed: jj fails at something else.
        """
        found = jj_repository.find(cwd)
        if found is None:
            raise NoPlace(
                f"The caller's directory {cwd} is in no jj repository.",
                hint='Run `jj git init` there, or set the role\'s vcs to "auto".',
            )
        with jj_shadow(self.jj, found.common, home) as ours:
            base = _ids(ours, f"{_at(found.workspace)}- ~ root()")
        if not base:
            raise NoPlace(
                f"The repository of {cwd} has no commit below the one that is being worked on, "
                "so that there is nothing to work from.",
                hint="Run `jj commit`, then retry the task.",
            )
        return WorktreeMetadata(
            task, role, "worktree",
            repository=found.common,
            branch=f"khive/{role}-t{task}",
            base="|".join(base),
            prefix=found.prefix,
            vcs=self.name,
            workspace=f"khive-{role}-t{task}",
        )  # fmt: skip

    def make(self, home: str, metadata: WorktreeMetadata) -> WorktreeMetadata:
        """Make the workspace; what it became, with the names that were free.

        Raises:
            NoPlace: the repository is of a kind that has none.
            JjFailed: jj cannot.
        """
        with jj_shadow(self.jj, metadata.repository, home) as ours:
            taken = {*_workspaces(ours), *_bookmarks(ours)}
            for number in range(1, _NAMES + 1):
                end = "" if number == 1 else f"-{number}"
                made = replace(
                    metadata,
                    branch=metadata.branch + end,
                    workspace=metadata.workspace + end,
                )
                if not taken & {made.branch, made.workspace}:
                    write(home, made)
                    _add(ours, home, made.workspace, made.base)
                    (base,) = _ids(ours, _at(made.workspace))
                    made = replace(made, ready=True, base=base)
                    write(home, made)
                    return made
        raise JjFailed(f"The bookmarks {metadata.branch} to -{_NAMES} are all taken.")

    def discard_unfinished(self, home: str, metadata: WorktreeMetadata) -> None:
        """Remove what a maker left that died on the way: nobody has worked in it."""
        if os.path.isdir(metadata.repository):
            with jj_shadow(self.jj, metadata.repository, home) as ours:
                if metadata.workspace in _workspaces(ours):
                    ours.ask("workspace", "forget", metadata.workspace)
        shutil.rmtree(f"{home}/{TREE}", ignore_errors=True)

    def bring_back(self, home: str, metadata: WorktreeMetadata) -> None:
        """Make a workspace again whose directory somebody removed, on what was done in it."""
        with jj_shadow(self.jj, metadata.repository, home) as ours:
            done = _done(ours, metadata)
            if done is not None:
                ours.run("workspace", "forget", metadata.workspace)
            at = done.done[0] if done is not None and done.done else f"{metadata.base}-"
            _add(ours, home, metadata.workspace, at)

    def look(self, home: str, metadata: WorktreeMetadata) -> Look:
        """Return what is in it; whatever cannot be found out counts as a reason to keep it."""
        try:
            with jj_shadow(self.jj, metadata.repository, home) as ours:
                return _look(ours, home, metadata)
        except (JjFailed, NoPlace) as error:
            return Look(branch=metadata.branch, kept=error.message)
        except OSError as error:
            return Look(branch=metadata.branch, kept=f"It cannot be looked into: {error}.")

    def remove(self, home: str, metadata: WorktreeMetadata) -> None:
        """Remove a workspace in which nothing was done, and its bookmark.

        Raises:
            JjFailed: something was done in it meanwhile, or jj cannot.
        """
        with jj_shadow(self.jj, metadata.repository, home) as ours:
            if not _look(ours, home, metadata).clean:
                raise JjFailed(f"The workspace {metadata.workspace} is not empty any more.")
            _drop_bookmark(ours, metadata)
            if metadata.workspace in _workspaces(ours):
                ours.run("workspace", "forget", metadata.workspace)
            shutil.rmtree(f"{home}/{TREE}", ignore_errors=True)


def _add(ours: JjShadow, home: str, workspace: str, at: str) -> None:
    """Add a workspace, fill it, and give it to the repository."""
    tree = f"{home}/{TREE}"
    shutil.rmtree(f"{home}/{TREE}/.jj", ignore_errors=True)
    ours.run("workspace", "add", "--name", workspace, "--sparse-patterns=full", "-r", at, tree)
    ours.hand_over(tree)
    with ours.entered(home, tree):
        ours.inside(tree, "workspace", "update-stale")


def _look(ours: JjShadow, home: str, metadata: WorktreeMetadata) -> Look:
    tree = f"{home}/{TREE}"
    come_back(home, tree)
    if not os.path.lexists(tree):
        return _look_without(ours, metadata)
    found = jj_repository.at(os.path.realpath(tree))
    if found is None or (found.common, found.workspace) != (
        metadata.repository, metadata.workspace,
    ):  # fmt: skip
        return Look(branch=metadata.branch, kept="It is no workspace of its repository any more.")
    if metadata.workspace not in _workspaces(ours):
        return Look(branch=metadata.branch, kept="Its repository has forgotten the workspace.")
    untracked = _untracked(ours, home, tree, metadata)
    done = _done(ours, metadata)
    assert done is not None
    kept = ""
    if _holds_submodules(ours, tree, done.at):
        kept = "It has submodules, whose commits are nowhere else."
    if not done.done:
        return Look(len(untracked), kept=kept, touched=untracked[:TOUCHED])
    changed, stat = _differences(ours, metadata, done)
    now = _names(ours, done.at) if done.open else ()
    return Look(
        changed=len(now) + len(untracked),
        commits=len(done.done) - done.open,
        stat=stat,
        branch=_mark(ours, metadata, done.done[0]),
        kept=kept,
        touched=(*changed, *untracked)[:TOUCHED],
        tip=done.done[0],
    )


def _look_without(ours: JjShadow, metadata: WorktreeMetadata) -> Look:
    """Return what is left when somebody removed the directory: commits, with a bookmark."""
    done = _done(ours, metadata)
    if done is None or not done.done:
        return Look(branch=metadata.branch)
    branch = _mark(ours, metadata, done.done[0])
    kept = "Its directory is gone; its bookmark has commits."
    return Look(commits=len(done.done), branch=branch, kept=kept, tip=done.done[0])


def _untracked(ours: JjShadow, home: str, tree: str, metadata: WorktreeMetadata) -> tuple[str, ...]:
    """Take up what is in the files, and return those that jj leaves out."""
    with ours.entered(home, tree):
        # Commits that it stands on may have been rewritten meanwhile, by whoever works on them.
        ours.inside(tree, "workspace", "update-stale")
        if (taken_up := _split_off(ours, metadata)) is not None:
            ours.inside(tree, "edit", taken_up)
        said = ours.inside(tree, "status")
    lines = said.splitlines()
    return tuple(line[2:] for line in lines if line.startswith(_UNTRACKED))


def _split_off(ours: JjShadow, metadata: WorktreeMetadata) -> str | None:
    """Return the commit that has what was in the files, where jj has left an empty one in place.

    It does so if what the workspace stands on was rewritten before the files were taken up: then
    one change has two commits, with the files as they were, and without them.
    """
    at = _at(metadata.workspace)
    found = _log(ours, f"{at} & {_NOTHING}", 'if(divergent, change_id) ++ "\\n"')
    if not any(found):
        return None
    others = _ids(ours, f"(change_id({found[0]}) ~ {at}) ~ {_NOTHING}")
    return others[0] if len(others) == 1 else None


def _done(ours: JjShadow, metadata: WorktreeMetadata) -> _Commits | None:
    """Return what was done in a workspace; None if the repository has no such workspace."""
    at = _ids(ours, f"present({_at(metadata.workspace)})")
    if not at:
        return None
    listed = _log(ours, f"({_own(ours, metadata)}) ~ {_NOTHING}", _COMMIT)
    pairs = [line.partition(" ") for line in listed]
    open_ = any(name == at[0] and not described for name, _, described in pairs)
    return _Commits(at[0], tuple(name for name, _, _ in pairs), open_)


def _own(ours: JjShadow, metadata: WorktreeMetadata) -> str:
    """Return the commits of a workspace's own: from the one that it began with, however rewritten.

    Where that is none of its commits any more, all since those that it began at.
    """
    at = _at(metadata.workspace)
    (change,) = _log(ours, metadata.base, 'change_id ++ "\\n"')
    return f"coalesce((change_id({change}) & ::{at})::{at}, ({metadata.base}-)..{at})"


def _differences(
    ours: JjShadow, metadata: WorktreeMetadata, done: _Commits
) -> tuple[tuple[str, ...], str]:
    """Return the paths that the workspace's own commits touch, and their sum in words."""
    where = ["-r", f"({_own(ours, metadata)})"]
    names = ours.ask("diff", "--name-only", *where)
    if not names:  # they are no line of commits: what differs from where it began
        where = ["--from", metadata.base, "--to", done.at]
        names = ours.ask("diff", "--name-only", *where)
    summed = ours.ask("diff", "--stat", *where).splitlines()[-1:]
    parts = [part for line in summed for part in line.split(", ") if not part.startswith("0 ")]
    return tuple(names.splitlines()), ", ".join(parts)


def _names(ours: JjShadow, commit: str) -> tuple[str, ...]:
    return tuple(ours.run("diff", "--name-only", "-r", commit).splitlines())


def _mark(ours: JjShadow, metadata: WorktreeMetadata, tip: str) -> str:
    """Put the bookmark on a commit unless somebody has moved it elsewhere; its name if it is there.

    jj itself moves one only forwards.
    """
    if _ids(ours, f"present({_quoted(metadata.branch)})") != (tip,):
        with contextlib.suppress(JjFailed):
            ours.run("bookmark", "set", metadata.branch, "-r", tip)
            _export(ours)
    return metadata.branch if metadata.branch in _bookmarks(ours) else ""


def _drop_bookmark(ours: JjShadow, metadata: WorktreeMetadata) -> None:
    """Remove the bookmark if it stands where nothing of the workspace's own is."""
    name = _quoted(metadata.branch)
    something = f"{name} ~ ::({metadata.base}-) ~ {_NOTHING}"
    if metadata.branch in _bookmarks(ours) and not _ids(ours, something):
        ours.run("bookmark", "delete", metadata.branch)
        _export(ours)


def _export(ours: JjShadow) -> None:
    """Let git see bookmarks where it works beside jj, as each command of jj's there does."""
    if jj_repository.is_colocated(ours.common):
        ours.ask("git", "export")


def _holds_submodules(ours: JjShadow, tree: str, commit: str) -> bool:
    """Return True if something is in the place of a submodule; jj leaves them empty."""
    kinds = 'if(file_type == "git-submodule", path ++ "\\n")'
    listed = ours.run("file", "list", "-r", commit, "-T", kinds).splitlines()
    return any(any(_entries(os.path.join(tree, path))) for path in listed if path)


def _entries(path: str) -> Iterator[str]:
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        yield from os.listdir(path)


def _at(workspace: str) -> str:
    return f"{_quoted(workspace)}@"


def _quoted(name: str) -> str:
    """Return a name as a revset takes it whatever is in it."""
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _workspaces(ours: JjShadow) -> tuple[str, ...]:
    return tuple(ours.run("workspace", "list", "-T", 'name ++ "\\n"').splitlines())


def _bookmarks(ours: JjShadow) -> tuple[str, ...]:
    listed = ours.run("bookmark", "list", "-T", 'if(remote, "", name ++ "\\n")')
    return tuple(listed.splitlines())


def _ids(ours: JjShadow, revset: str) -> tuple[str, ...]:
    return tuple(_log(ours, revset, 'commit_id ++ "\\n"'))


def _log(ours: JjShadow, revset: str, template: str) -> list[str]:
    return ours.run("log", "--no-graph", "-r", revset, "-T", template).splitlines()
