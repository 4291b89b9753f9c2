"""jj repositories that name programs wherever jj would run one: none runs."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from jj_support import real_jj

from benchmarks.faults import hostile_jj, hostile_jj_repository, hostile_worktrees
from benchmarks.faults.hostile_repository import Hostile
from khive_supervisor.errors import NoPlace
from khive_supervisor.worktrees import place
from khive_supervisor.worktrees.systems import WorktreeSystems


@pytest.mark.parametrize("case", hostile_jj_repository.CASES)
def test_no_program_of_a_jj_repository_runs(tmp_path: Path, case: str) -> None:
    one = hostile_jj_repository.make_jj(tmp_path, real_jj())
    hostile_jj_repository.CASES[case](one)
    assert hostile_worktrees.task_in(one, tmp_path / "work")
    assert one.programs() == []


def test_the_canaries_sing_where_jj_is_left_alone(tmp_path: Path) -> None:
    one = hostile_jj_repository.make_jj(tmp_path, real_jj())
    hostile_jj_repository.CASES["signatures of ssh"](one)
    hostile_jj.plainly(one)
    assert one.programs() != []


def test_the_schema_of_jj_is_read(tmp_path: Path) -> None:
    one = hostile_jj_repository.make_jj(tmp_path, real_jj())
    keys = dict(hostile_jj_repository.schema_keys(one))
    assert {"ui.editor", "signing.backends.gpg.program", "merge-tools.canary.program"} <= set(keys)


def _elsewhere(one: Hostile, part: str) -> None:
    there = one.victim / "moved"
    shutil.move(one.top / part, there)
    (one.top / part).symlink_to(there)


@pytest.mark.parametrize("part", [".jj/repo/op_heads/heads", ".jj/repo/store/extra", ".git"])
def test_links_that_lead_out_of_the_repository_are_refused(tmp_path: Path, part: str) -> None:
    one = hostile_jj_repository.make_jj(tmp_path, real_jj())
    _elsewhere(one, part)
    with pytest.raises(NoPlace, match=r"symbolic link|lies elsewhere"):
        place.enter(
            WorktreeSystems(one.environ), str(tmp_path / "work"), 1, "dev", "worktree",
            str(one.top), "jj",
        )  # fmt: skip
    assert not os.path.exists(tmp_path / "work" / "t1" / "tree")


def test_a_git_directory_of_somebody_elses_is_refused(tmp_path: Path) -> None:
    one = hostile_jj_repository.make_jj(tmp_path / "one", real_jj())
    other = hostile_jj_repository.make_jj(tmp_path / "two", real_jj())
    target = one.top / ".jj" / "repo" / "store" / "git_target"
    target.write_text(str(other.top / ".git"))
    with pytest.raises(NoPlace, match="lies elsewhere"):
        place.enter(
            WorktreeSystems(one.environ), str(tmp_path / "work"), 1, "dev", "worktree",
            str(one.top),
        )  # fmt: skip
