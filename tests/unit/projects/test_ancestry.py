"""Whether commits are in a history: loose ones, packed ones, and those that cannot be told of."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from khive_supervisor.projects import ancestry
from khive_supervisor.projects.ancestry import Objects, default_branch, has_in_history, tips_of

Git = Callable[..., str]


@pytest.fixture
def git(tmp_path: Path) -> Git:
    """Run git in a repository with two commits on main, and one on a branch of the first."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    environment = {**kept, "HOME": str(tmp_path), "GIT_CONFIG_NOSYSTEM": "1"}

    def run(*words: str) -> str:
        who = ("-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "gc.auto=0")
        return subprocess.run(
            ["git", *who, *words], cwd=tmp_path, env=environment, check=True, capture_output=True,
            text=True,
        ).stdout.strip()  # fmt: skip

    run("init", "-q", "-b", "main")
    run("commit", "-q", "--allow-empty", "-m", "one")
    run("checkout", "-q", "-b", "side")
    run("commit", "-q", "--allow-empty", "-m", "aside")
    run("checkout", "-q", "main")
    run("commit", "-q", "--allow-empty", "-m", "two")
    return run


def never() -> bool:
    return False


def asked(place: Path, commit: str, over: Callable[[], bool] = never) -> bool | None:
    common = f"{place}/.git"
    with Objects(common) as objects:
        return has_in_history(objects, tips_of(default_branch(common), common), commit, over)


@pytest.mark.parametrize("packed", [False, True])
def test_a_branch_is_merged_or_not(git: Git, tmp_path: Path, packed: bool) -> None:
    side, first = git("rev-parse", "side"), git("rev-parse", "main~1")
    if packed:
        git("gc", "-q")
        assert not list((tmp_path / ".git/objects").glob("[0-9a-f][0-9a-f]"))
    assert asked(tmp_path, side) is False
    assert asked(tmp_path, first) is True
    assert asked(tmp_path, git("rev-parse", "main")) is True
    git("merge", "-q", "--no-ff", "-m", "both", "side")
    assert asked(tmp_path, side) is True


def test_what_the_remote_has_counts(git: Git, tmp_path: Path) -> None:
    side = git("rev-parse", "side")
    git("update-ref", "refs/remotes/origin/main", side)
    git("symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/main")
    assert default_branch(f"{tmp_path}/.git") == "main"
    assert asked(tmp_path, side) is True


def test_what_cannot_be_told_is_not_told(
    git: Git, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    side = git("rev-parse", "side")
    assert asked(tmp_path, "0" * 40) is None
    for number in range(3):
        git("commit", "-q", "--allow-empty", "-m", f"{number}")
    assert asked(tmp_path, side, lambda: True) is None
    with monkeypatch.context() as patch:
        patch.setattr(ancestry, "MOST_COMMITS", 1)
        assert asked(tmp_path, side) is None
    damaged = tmp_path / ".git/objects" / git("rev-parse", "main")[:2]
    for one in damaged.iterdir():
        one.chmod(0o600)
        one.write_bytes(b"no object")
    assert asked(tmp_path, side) is None


def test_a_cut_history_tells_nothing(git: Git, tmp_path: Path) -> None:
    (tmp_path / ".git/shallow").write_text("")
    assert asked(tmp_path, git("rev-parse", "side")) is None


def test_a_squashed_branch_is_not_known_to_be_merged(git: Git, tmp_path: Path) -> None:
    side = git("rev-parse", "side")
    git("merge", "-q", "--squash", "side")
    git("commit", "-q", "--allow-empty", "-m", "squashed")
    assert asked(tmp_path, side) is False


def test_without_a_usual_name_there_is_no_default_branch(git: Git, tmp_path: Path) -> None:
    git("branch", "-m", "main", "odd")
    assert default_branch(f"{tmp_path}/.git") == ""


@pytest.mark.parametrize("content", [b"", b"\xff\x74\x4f\x63\0\0\0\2" + b"\xff" * 1024, b"x" * 99])
def test_an_index_that_is_none_harms_nothing(git: Git, tmp_path: Path, content: bytes) -> None:
    pack = tmp_path / ".git/objects/pack"
    (pack / "pack-bad.idx").write_bytes(content)
    assert asked(tmp_path, git("rev-parse", "side")) is False
