"""Workspaces of hostile jj repositories: how many programs of theirs run, and what else changes."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.core.context import Context
from benchmarks.core.report import Row, say
from benchmarks.faults.hostile_jj_repository import CASES, make_jj, schema_keys
from benchmarks.faults.hostile_repository import Hostile
from khive_supervisor.errors import KhiveError
from khive_supervisor.worktrees import leftover, place
from khive_supervisor.worktrees.systems import WorktreeSystems

#: Seconds for one call of plain jj.
PATIENCE = 10.0
#: What somebody does in a new workspace with jj alone.
PLAINLY = (("status",), ("diff",), ("commit", "-m", "one"), ("log", "-p"), ("fix",))


def measure(context: Context) -> list[Row]:
    """The row of hostile jj repositories, and what plain jj does with the same ones."""
    jj = shutil.which(os.environ.get("KHIVE_TEST_JJ") or "jj")
    if jj is None:
        say("  no jj: put one on PATH, or name it in KHIVE_TEST_JJ")
        return []
    ran, plain, touched, keys = 0, 0, 0, 0
    for name, spoil in CASES.items():
        one, before = _spoilt(context.work, jj, spoil)
        keys = len(schema_keys(one)) if name == next(iter(CASES)) else keys
        made = ours(one, one.top.parent / "work")
        ran += len(one.programs())
        touched += _content(one.victim) != before
        shutil.rmtree(one.top.parent)
        one, before = _spoilt(context.work, jj, spoil)
        plainly(one)
        plain += len(one.programs())
        say(f"  {name}: {'a workspace' if made else 'refused'}; plain jj: {one.programs()}")
        shutil.rmtree(one.top.parent)
    return [
        Row(
            what=f"hostile jj repositories: {len(CASES)} kinds, {keys} keys of jj's schema",
            target="0 programs run, 0 files touched",
            khive=f"{ran} programs, {touched} files",
            peers=(f"jj workspace add, status, diff, commit, log, fix: {plain} programs",),
            met=ran == 0 and touched == 0,
        )
    ]


def _spoilt(
    work: Path, jj: str, spoil: Callable[[Hostile], None]
) -> tuple[Hostile, dict[str, bytes]]:
    one = make_jj(Path(tempfile.mkdtemp(dir=work)), jj)
    spoil(one)
    return one, _content(one.victim)


def _content(directory: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def ours(one: Hostile, top: Path) -> bool:
    """All that a task has done; whether it got a workspace."""
    systems = WorktreeSystems(one.environ)
    try:
        made = place.enter(systems, str(top), 1, "dev", "worktree", str(one.top))
    except (KhiveError, OSError):
        return False
    (Path(made.directory) / "one").write_text("changed\n")
    made.shown(systems)
    made.leave()
    for row in leftover.found(systems, str(top)):
        leftover.remove_clean(systems, str(top), row.task)
    return True


def plainly(one: Hostile) -> None:
    tree = one.top.parent / "tree"
    _jj(one, one.top, "workspace", "add", str(tree))
    if tree.is_dir():
        (tree / "one").write_text("changed\n")
        for words in PLAINLY:
            _jj(one, tree, *words)


def _jj(one: Hostile, cwd: Path, *words: str) -> None:
    """jj, with all that it starts ended after a while."""
    process = subprocess.Popen(
        ["jj", *words],
        cwd=cwd,
        env=one.environ,
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
