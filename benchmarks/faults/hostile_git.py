"""Worktrees of hostile repositories: how many programs of theirs run, and what else changes."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

from benchmarks.core.context import Context
from benchmarks.core.report import Row, say
from benchmarks.faults.hostile_repository import CASES, Hostile, documented_keys, make
from khive_supervisor.errors import KhiveError
from khive_supervisor.worktrees import leftover, place
from khive_supervisor.worktrees.systems import WorktreeSystems

#: Seconds for one call of plain git.
PATIENCE = 5.0


def measure(context: Context) -> list[Row]:
    """The row of hostile repositories, and what plain git does with the same ones."""
    ours, plain, touched, refused = 0, 0, 0, 0
    for name, spoil in CASES.items():
        one, before = _spoilt(context.work, spoil)
        made = _ours(one, one.top.parent / "work")
        refused += not made
        ours += len(one.programs())
        touched += _content(one.victim) != before
        shutil.rmtree(one.top.parent)
        one, before = _spoilt(context.work, spoil)
        _plain(one)
        plain += len(one.programs())
        say(f"  {name}: {'a worktree' if made else 'refused'}")
        shutil.rmtree(one.top.parent)
    return [
        Row(
            what=f"hostile repositories: {len(CASES)} kinds, {len(documented_keys())} keys of git",
            target="0 programs run, 0 files touched",
            khive=f"{ours} programs, {touched} files ({refused} refused)",
            peers=(f"git worktree add, status, diff, remove: {plain} programs",),
            met=ours == 0 and touched == 0,
        )
    ]


def _spoilt(work: Path, spoil: object) -> tuple[Hostile, dict[str, bytes]]:
    one = make(Path(tempfile.mkdtemp(dir=work)))
    assert callable(spoil)
    spoil(one)
    return one, _content(one.victim)


def _content(directory: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def _ours(one: Hostile, top: Path) -> bool:
    """All that a task has done; whether it got a worktree."""
    git = WorktreeSystems(one.environ)
    try:
        made = place.enter(git, str(top), 1, "dev", "worktree", str(one.top))
    except (KhiveError, OSError):
        return False
    (Path(made.directory) / "one").write_text("changed\n")
    made.shown(git)
    made.leave()
    for row in leftover.found(git, str(top)):
        leftover.remove_clean(git, str(top), row.task)
    return True


def _plain(one: Hostile) -> None:
    tree = one.top.parent / "tree"
    _git(one, one.top, "worktree", "add", "-q", str(tree))
    if tree.is_dir():
        _git(one, tree, "status")
        _git(one, tree, "diff", "HEAD")
        _git(one, one.top, "worktree", "remove", "--force", str(tree))


def _git(one: Hostile, cwd: Path, *words: str) -> None:
    """git, with all that it starts ended after a while: some of it waits for ever."""
    process = subprocess.Popen(
        ["git", *words],
        cwd=cwd,
        env={**one.environ, "GIT_CONFIG_NOSYSTEM": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(PATIENCE)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
