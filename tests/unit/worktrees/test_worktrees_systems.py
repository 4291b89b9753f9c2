"""Which system a directory is under; others than git and jj are refused in words."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from khive_supervisor.errors import NoPlace
from khive_supervisor.worktrees import place
from khive_supervisor.worktrees.systems import WorktreeSystems


@pytest.fixture
def systems(tmp_path: Path) -> WorktreeSystems:
    """With a program that is called jj, and never asked anything."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "jj").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "bin" / "jj").chmod(0o755)
    return WorktreeSystems({"PATH": f"{tmp_path}/bin:{os.environ['PATH']}"})


@pytest.mark.parametrize(
    ("mark", "name"),
    [(".hg", "Mercurial"), (".svn", "Subversion"), (".fslckout", "Fossil"), (".sl", "Sapling")],
)
def test_other_systems_are_refused_in_words(
    systems: WorktreeSystems, tmp_path: Path, mark: str, name: str
) -> None:
    (tmp_path / mark).mkdir()
    below = tmp_path / "below"
    below.mkdir()
    with pytest.raises(NoPlace, match=f"a checkout of {name}") as caught:
        place.enter(systems, str(tmp_path / "work"), 1, "dev", "worktree", str(below))
    assert "fresh" in caught.value.hint
    assert not os.path.exists(tmp_path / "work" / "t1" / "tree")


def test_the_nearest_counts_and_jj_before_git_beside_it(
    systems: WorktreeSystems, tmp_path: Path
) -> None:
    (tmp_path / ".hg").mkdir()
    repository = tmp_path / "repository"
    repository.mkdir()
    subprocess.run(["git", "init", "-q"], cwd=repository, check=True)
    assert systems.chosen(str(repository), "auto").name == "git"
    (repository / ".jj").mkdir()
    below = repository / "below"
    below.mkdir()
    assert systems.chosen(str(below), "auto").name == "jj"
    assert systems.chosen(str(below), "git").name == "git"
    subprocess.run(["git", "init", "-q"], cwd=below, check=True)
    assert systems.chosen(str(below), "auto").name == "git"


def test_without_a_program_jj_a_colocated_repository_is_gits(tmp_path: Path) -> None:
    systems = WorktreeSystems({"PATH": str(tmp_path)})
    (tmp_path / ".jj").mkdir()
    with pytest.raises(NoPlace, match="no program jj"):
        systems.chosen(str(tmp_path), "auto")
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    assert systems.chosen(str(tmp_path), "auto").name == "git"


def test_what_is_no_repository_of_jjs_is_said(systems: WorktreeSystems, tmp_path: Path) -> None:
    with pytest.raises(NoPlace, match="in no jj repository"):
        place.enter(systems, str(tmp_path / "work"), 1, "dev", "worktree", str(tmp_path), "jj")
    (tmp_path / ".jj").mkdir()
    with pytest.raises(NoPlace, match="no repository of jj's"):
        place.enter(systems, str(tmp_path / "work"), 1, "dev", "worktree", str(tmp_path))
