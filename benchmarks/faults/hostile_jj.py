"""Workspaces of hostile jj repositories: how many programs of theirs run, and what else changes."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from benchmarks.core.context import Context
from benchmarks.core.report import Row, say
from benchmarks.faults.hostile_jj_repository import CASES, make_jj, schema_keys
from benchmarks.faults.hostile_repository import Hostile
from benchmarks.faults.hostile_worktrees import run, tally

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
    with tempfile.TemporaryDirectory(dir=context.work) as directory:
        keys = len(schema_keys(make_jj(Path(directory), jj)))
    found = tally(
        context.work,
        CASES,
        lambda top: make_jj(top, jj),
        plainly,
        lambda name, made, ran: say(
            f"  {name}: {'a workspace' if made else 'refused'}; plain jj: {ran}"
        ),
    )
    return [
        Row(
            what=f"hostile jj repositories: {len(CASES)} kinds, {keys} keys of jj's schema",
            target="0 programs run, 0 files touched",
            khive=f"{found.ours} programs, {found.touched} files ({found.refused} refused)",
            peers=(f"jj workspace add, status, diff, commit, log, fix: {found.plain} programs",),
            met=found.ours == 0 and found.touched == 0,
        )
    ]


def plainly(one: Hostile) -> None:
    """Do with jj alone what somebody does with a workspace."""
    tree = one.top.parent / "tree"
    _jj(one, one.top, "workspace", "add", str(tree))
    if tree.is_dir():
        (tree / "one").write_text("changed\n")
        for words in PLAINLY:
            _jj(one, tree, *words)


def _jj(one: Hostile, cwd: Path, *words: str) -> None:
    run(["jj", *words], cwd, one.environ, PATIENCE)
