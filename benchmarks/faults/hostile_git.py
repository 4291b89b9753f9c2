"""Worktrees of hostile repositories: how many programs of theirs run, and what else changes."""

from __future__ import annotations

from pathlib import Path

from benchmarks.core.context import Context
from benchmarks.core.report import Row, say
from benchmarks.faults.hostile_repository import CASES, Hostile, documented_keys, make
from benchmarks.faults.hostile_worktrees import run, tally

#: Seconds for one call of plain git.
PATIENCE = 5.0


def measure(context: Context) -> list[Row]:
    """The row of hostile repositories, and what plain git does with the same ones."""
    found = tally(
        context.work,
        CASES,
        make,
        plainly,
        lambda name, made, _: say(f"  {name}: {'a worktree' if made else 'refused'}"),
    )
    return [
        Row(
            what=f"hostile repositories: {len(CASES)} kinds, {len(documented_keys())} keys of git",
            target="0 programs run, 0 files touched",
            khive=f"{found.ours} programs, {found.touched} files ({found.refused} refused)",
            peers=(f"git worktree add, status, diff, remove: {found.plain} programs",),
            met=found.ours == 0 and found.touched == 0,
        )
    ]


def plainly(one: Hostile) -> None:
    """Do with git alone what somebody does with a worktree."""
    tree = one.top.parent / "tree"
    _git(one, one.top, "worktree", "add", "-q", str(tree))
    if tree.is_dir():
        (tree / "one").write_text("changed\n")
        _git(one, tree, "status")
        _git(one, tree, "diff", "HEAD")
        _git(one, one.top, "worktree", "remove", "--force", str(tree))


def _git(one: Hostile, cwd: Path, *words: str) -> None:
    run(["git", *words], cwd, {**one.environ, "GIT_CONFIG_NOSYSTEM": "1"}, PATIENCE)
