"""Repositories that name programs wherever git would run one: none runs."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from khive_supervisor.errors import GitFailed, NoPlace
from khive_supervisor.worktrees import leftover, metadata, place
from khive_supervisor.worktrees.systems import WorktreeSystems

ROOT = Path(__file__).parents[3]


def _load(name: str) -> ModuleType:
    path = ROOT / "benchmarks" / "faults" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


hostile = _load("hostile_repository")

#: Cases that cannot have a worktree here, and are told so; all others get one, filters or not.
REFUSED = {
    "promised objects": "partial clone",
    "linked worktrees": "symbolic link",
    "linked references": "symbolic link",
    "linked branches": "symbolic link",
    "linked packed references": "symbolic link",
    "a link in the caller's place": "symbolic link",
    "a git directory elsewhere": "does not name it",
    "a linked git directory": "does not name it",
    "pipes": "not a regular file",
}


def _state(directory: Path) -> dict[str, Any]:
    """Every file below a directory, with what is in it."""
    return {
        str(path.relative_to(directory)): path.read_bytes() if path.is_file() else None
        for path in sorted(directory.rglob("*"))
    }


def _work(one: Any, cwd: Path, top: str) -> None:
    """All that is ever done with a task's worktree, from its making to its removal."""
    git = WorktreeSystems(one.environ)
    made = place.enter(git, top, 1, "dev", "worktree", str(cwd), pause=lambda _s: None)
    directory = Path(made.directory)
    try:
        assert made.shown(git) is None
        (directory / "new").write_text("new\n")
        (directory / "sub").mkdir(exist_ok=True)
        (directory / "sub" / "two").write_text("changed\n")
        os.utime(Path(made.home) / "tree" / "one")  # so that it is compared
        shown = made.shown(git)
        assert shown is not None
        assert shown["changed"] == 2
    finally:
        made.leave()
    assert [row.clean for row in leftover.found(git, top)] == [False]
    assert leftover.remove_clean(git, top, 1) is not None
    shutil.rmtree(f"{made.home}/tree")
    made = place.enter(git, top, 1, "dev", "worktree", str(cwd), pause=lambda _s: None)
    unfinished = {
        name: getattr(made.metadata, name) for name in metadata.WorktreeMetadata.__slots__
    }
    metadata.write(made.home, metadata.WorktreeMetadata(**{**unfinished, "ready": False}))
    made.leave()
    assert leftover.remove_clean(git, top, 1) is None
    assert list(leftover.found(git, top)) == []


@pytest.mark.parametrize("case", hostile.CASES)
def test_no_program_of_a_repository_runs(tmp_path: Path, case: str) -> None:
    one = hostile.make(tmp_path)
    hostile.CASES[case](one)
    before = _state(one.victim)
    cwd = one.top / "out" if case == "a link in the caller's place" else one.top
    top = str(tmp_path / "state" / "work")
    if case in REFUSED:
        with pytest.raises((NoPlace, GitFailed, OSError), match=REFUSED[case]):
            _work(one, cwd, top)
    else:
        _work(one, cwd, top)
    assert one.programs() == []
    assert _state(one.victim) == before


@pytest.mark.parametrize("case", ["filters", "hooks", "a file system monitor", "included files"])
def test_the_canaries_sing_where_git_is_left_alone(tmp_path: Path, case: str) -> None:
    one = hostile.make(tmp_path)
    hostile.CASES[case](one)
    with contextlib.suppress(subprocess.CalledProcessError):
        one.run("worktree", "add", "-q", str(tmp_path / "tree"))
        one.run("status", cwd=tmp_path / "tree")
    assert one.programs() != []


def test_what_a_filter_would_have_made_is_said(tmp_path: Path) -> None:
    one = hostile.make(tmp_path)
    git, top = WorktreeSystems(one.environ), str(tmp_path / "work")
    made = place.enter(git, top, 1, "dev", "worktree", str(one.top), pause=lambda _s: None)
    (Path(made.directory) / "new").write_text("new\n")
    shown = made.shown(git)
    made.leave()
    assert shown is not None
    assert "filter" in shown["filters"]


def test_another_users_repository_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = hostile.make(tmp_path)
    somebody = os.geteuid() + 1
    monkeypatch.setattr(os, "geteuid", lambda: somebody)
    with pytest.raises(NoPlace, match="and not to this user"):
        _work(one, one.top, str(tmp_path / "work"))


def test_every_documented_key_is_tried(tmp_path: Path) -> None:
    keys = hostile.documented_keys()
    assert {"core.fsmonitor", "filter.canary.smudge", "include.path"} <= set(keys)
    assert len(keys) > 500
