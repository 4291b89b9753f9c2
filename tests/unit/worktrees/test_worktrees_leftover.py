"""Directories that tasks have left: found, understood, held by one, and removed when clean."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from khive_supervisor.errors import InUse, NoPlace
from khive_supervisor.worktrees import leftover, metadata, place
from khive_supervisor.worktrees.metadata import FRESH, LOCK, METADATA, TREE, WorktreeMetadata
from khive_supervisor.worktrees.systems import WorktreeSystems

GIT = WorktreeSystems(os.environ)
Leave = Callable[..., Path]


@pytest.fixture
def top(tmp_path: Path) -> Path:
    return tmp_path / "work"


@pytest.fixture
def leave(top: Path) -> Leave:
    """Leaves a fresh directory of a task, with files in it."""

    def make(task: int, *files: str, ready: bool = True) -> Path:
        home = top / f"t{task}"
        (home / TREE).mkdir(parents=True)
        for name in files:
            file = home / TREE / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("x" * 10)
        metadata.write(str(home), WorktreeMetadata(task, "critic", FRESH, ready=ready))
        return home

    return make


@pytest.fixture
def held() -> Iterator[Callable[[Path], None]]:
    """Holds a directory as a worker does, until the test ends."""
    locks: list[int] = []

    def hold(home: Path) -> None:
        lock = metadata.lock(str(home))
        assert lock is not None
        locks.append(lock)

    yield hold
    for lock in locks:
        os.close(lock)


def found(top: Path) -> list[leftover.Leftover]:
    return list(leftover.found(GIT, str(top)))


def test_directories_are_found_by_number_and_nothing_else_is_one(top: Path, leave: Leave) -> None:
    for task in (10, 9, 100):
        leave(task)
    for name in ("t0", "t01", "x1", "t", "t1x", "t1.part", "t" + "9" * 19):
        (top / name).mkdir()
    assert [one.task for one in found(top)] == [9, 10, 100]


def test_without_the_directory_of_all_there_is_none(top: Path) -> None:
    assert found(top) == []


def test_an_empty_directory_is_clean_and_one_with_files_is_not(leave: Leave, top: Path) -> None:
    leave(1)
    home = leave(2, "a.txt", "b/c.txt")
    empty, full = found(top)
    assert (empty.clean, empty.inside) == (True, None)
    assert not full.clean
    assert full.inside == {"kind": FRESH, "path": f"{home}/{TREE}", "files": 2}


def test_a_link_is_a_file_that_somebody_made_and_a_directory_is_none(
    leave: Leave, top: Path
) -> None:
    home = leave(1)
    (home / TREE / "empty" / "deeper").mkdir(parents=True)
    assert found(top)[0].clean
    (home / TREE / "link").symlink_to(home, target_is_directory=True)
    assert found(top)[0].inside == {"kind": FRESH, "path": f"{home}/{TREE}", "files": 1}


def test_one_that_a_worker_is_in_is_busy_and_stays(
    leave: Leave, top: Path, held: Callable[[Path], None]
) -> None:
    home = leave(1)
    held(home)
    (one,) = found(top)
    assert (one.busy, one.clean) == (True, False)
    kept = leftover.remove_clean(GIT, str(top), 1)
    assert kept == {"path": f"{home}/{TREE}", "note": "A worker is at work in it."}
    assert (home / TREE).is_dir()


def test_looking_holds_nothing(leave: Leave, top: Path) -> None:
    home = leave(1)
    found(top)
    lock = metadata.lock(str(home))
    assert lock is not None
    os.close(lock)


def test_one_that_nothing_is_known_of_is_shown_and_never_removed(leave: Leave, top: Path) -> None:
    home = leave(1)
    (home / METADATA).unlink()
    (one,) = found(top)
    assert (one.clean, one.metadata) == (False, None)
    kept = leftover.remove_clean(GIT, str(top), 1)
    assert kept is not None
    assert kept == one.inside
    assert (kept["path"], "by hand" in str(kept["note"])) == (str(home), True)
    assert home.is_dir()


def test_one_that_was_never_finished_is_clean(leave: Leave, top: Path) -> None:
    leave(1, ready=False)
    assert found(top)[0].clean


def test_what_is_clean_is_removed_whole(leave: Leave, top: Path) -> None:
    home = leave(1)
    (home / TREE / "empty").mkdir()
    assert leftover.remove_clean(GIT, str(top), 1) is None
    assert not home.exists()
    assert found(top) == []


def test_what_is_not_clean_stays_as_it_is(leave: Leave, top: Path) -> None:
    home = leave(1, "a.txt")
    kept = leftover.remove_clean(GIT, str(top), 1)
    assert kept == found(top)[0].inside
    assert (home / TREE / "a.txt").read_text() == "x" * 10


def test_what_cannot_be_removed_says_why(
    leave: Leave, top: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_args: object) -> None:
        raise PermissionError(13, "Permission denied")

    home = leave(1)
    monkeypatch.setattr(place, "tidy", refused)
    kept = leftover.remove_clean(GIT, str(top), 1)
    assert kept is not None
    assert kept["path"] == f"{home}/{TREE}"
    assert "Permission denied" in str(kept["note"])


def test_a_file_that_came_while_it_is_removed_is_kept(
    leave: Leave, top: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = leave(1)
    monkeypatch.setattr(place, "_files", lambda path: (Path(path) / "late").write_text("") or 0)
    kept = leftover.remove_clean(GIT, str(top), 1)
    assert kept is not None
    assert (home / TREE / "late").exists()


def test_a_size_is_that_of_all_files_up_to_a_bound(
    leave: Leave, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = leave(1, "a", "b/c", "b/d")
    assert leftover.size(str(home / TREE)) == 30
    monkeypatch.setattr(leftover, "COUNTED", 1)
    assert leftover.size(str(home / TREE)) == 10
    (home / TREE / "a").unlink()
    (home / TREE / "a").symlink_to("/nowhere/at/all")
    assert leftover.size(str(home / TREE)) == len("/nowhere/at/all")
    assert leftover.size(str(home / "gone")) == 0


# --- what is written beside it --------------------------------------------------------------------


def test_what_is_written_is_read_whole(leave: Leave) -> None:
    home = leave(1)
    known = WorktreeMetadata(7, "r", "worktree", True, "/r/.git", "b", "c0ffee", "sub", "a note")
    metadata.write(str(home), known)
    assert metadata.read(str(home)) == known
    assert sorted(path.name for path in home.iterdir()) == [METADATA, TREE]


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", '"text"', "{}", '{"task": 1, "role": "r"}', "\udcff"],
    ids=ascii,
)
def test_what_is_nothing_to_go_by_is_none(leave: Leave, text: str) -> None:
    home = leave(1)
    (home / METADATA).write_bytes(text.encode("utf-8", "surrogateescape"))
    assert metadata.read(str(home)) is None


def test_what_only_a_later_release_knows_is_passed_over(leave: Leave) -> None:
    home = leave(1)
    (home / METADATA).write_text(
        json.dumps({"task": 1, "role": "r", "kind": FRESH, "colour": "blue"})
    )
    assert metadata.read(str(home)) == WorktreeMetadata(1, "r", FRESH)


def test_a_store_has_a_directory_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = metadata.root("/a/khive.db"), metadata.root("/b/khive.db")
    assert one != other
    monkeypatch.chdir("/")
    assert metadata.root("a/khive.db") == one
    assert metadata.home_of(one, 12) == f"{one}/t12"


# --- held by one ----------------------------------------------------------------------------------


def test_a_directory_is_held_by_one_until_it_is_let_go(leave: Leave) -> None:
    home = str(leave(1))
    first = metadata.lock(home)
    assert first is not None
    assert metadata.lock(home) is None
    os.close(first)
    second = metadata.lock(home)
    assert second is not None
    os.close(second)


@pytest.mark.parametrize("again", [False, True])
def test_a_lock_of_a_directory_that_was_removed_holds_nothing(
    leave: Leave, monkeypatch: pytest.MonkeyPatch, *, again: bool
) -> None:
    """Whoever held it has removed it, and another may have made it anew."""
    home = leave(1)
    lock = metadata.fcntl.flock

    def removed_meanwhile(descriptor: int, how: int) -> None:
        lock(descriptor, how)
        (home / LOCK).unlink()
        if again:
            (home / LOCK).touch()

    monkeypatch.setattr(metadata.fcntl, "flock", removed_meanwhile)
    before = set(os.listdir("/proc/self/fd"))
    assert metadata.lock(str(home)) is None
    assert len(os.listdir("/proc/self/fd")) == len(before)


def test_what_is_ours_is_cleared_and_what_is_not_stays(leave: Leave) -> None:
    home = leave(1)
    (home / TREE).rmdir()
    (home / f"{METADATA}.part").touch()
    (home / LOCK).touch()
    (home / "notes.txt").touch()
    metadata.clear(str(home))
    assert [path.name for path in home.iterdir()] == ["notes.txt"]
    (home / "notes.txt").unlink()
    metadata.clear(str(home))
    assert not home.exists()


def test_who_is_just_letting_go_is_waited_for_and_others_are_not(
    leave: Leave, top: Path, held: Callable[[Path], None]
) -> None:
    home = leave(1)
    held(home)
    waits: list[float] = []
    with pytest.raises(InUse, match="Another process is at work"):
        place.enter(GIT, str(top), 1, "critic", FRESH, "", pause=waits.append)
    assert sum(waits) == pytest.approx(place.PATIENCE, abs=0.2)


def test_a_holder_that_removes_it_meanwhile_leaves_it_to_the_next(leave: Leave, top: Path) -> None:
    home = leave(1)
    lock = metadata.lock(str(home))
    assert lock is not None

    def gone(_seconds: float) -> None:
        os.close(lock)
        (home / TREE).rmdir()
        metadata.clear(str(home))

    found = place.enter(GIT, str(top), 1, "critic", FRESH, "", pause=gone)
    assert found.directory == os.path.realpath(home / TREE)
    found.leave()
    found.leave()  # once is enough
    assert found.held == -1


# --- entered again --------------------------------------------------------------------------------


def test_work_of_an_attempt_before_is_gone_on_with(top: Path) -> None:
    first = place.enter(GIT, str(top), 1, "critic", FRESH, "")
    (Path(first.directory) / "half.txt").touch()
    assert first.tidy(GIT) == first.shown(GIT)
    first.leave()
    again = place.enter(GIT, str(top), 1, "critic", FRESH, "")
    assert os.listdir(again.directory) == ["half.txt"]
    again.leave()


def test_a_fresh_directory_that_somebody_removed_is_made_again(leave: Leave, top: Path) -> None:
    home = leave(1)
    (home / TREE).rmdir()
    again = place.enter(GIT, str(top), 1, "critic", FRESH, "")
    again.leave()
    assert (home / TREE).is_dir()


def test_another_kind_of_directory_than_before_is_refused_with_what_to_do(
    leave: Leave, top: Path, tmp_path: Path
) -> None:
    home = leave(1, "a.txt")
    with pytest.raises(NoPlace, match="which was a fresh directory") as caught:
        place.enter(GIT, str(top), 1, "critic", "worktree", str(tmp_path))
    assert "retry the task" in caught.value.hint
    assert (home / TREE / "a.txt").exists()
    lock = metadata.lock(str(home))  # and is let go of
    assert lock is not None
    os.close(lock)


@pytest.mark.parametrize(
    ("cwd", "said"),
    [("", "not known from which directory"), ("/nowhere/at/all", "does not exist any more")],
)
def test_a_caller_without_a_directory_is_told_to_name_one(cwd: str, said: str) -> None:
    with pytest.raises(NoPlace, match=said) as caught:
        place.callers(cwd)
    assert "cwd" in caught.value.hint


def test_what_could_not_be_made_leaves_nothing(top: Path, tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    with pytest.raises(NoPlace):
        place.enter(GIT, str(top), 1, "critic", "worktree", str(tmp_path / "plain"))
    assert found(top) == []
