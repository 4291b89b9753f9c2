from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from khive_supervisor.cli.clients import rewrite
from khive_supervisor.errors import KhiveError


def test_a_file_is_replaced_with_its_mode_and_one_backup(tmp_path: Path) -> None:
    file = tmp_path / "c.json"
    file.write_text("one")
    file.chmod(0o640)
    backup = rewrite.replace(rewrite.read(str(file)), "two")
    assert backup == f"{file}.khive-backup"
    assert rewrite.replace(rewrite.read(str(file)), "three") is None
    assert file.read_text() == "three"
    assert Path(backup).read_text() == "one"
    assert [stat.S_IMODE(os.stat(path).st_mode) for path in (file, backup)] == [0o640, 0o640]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c.json", "c.json.khive-backup"]


def test_a_new_file_is_private_and_its_directories_are_made(tmp_path: Path) -> None:
    file = tmp_path / "a/b/c.json"
    assert rewrite.replace(rewrite.read(str(file)), "x") is None
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert rewrite.replace(rewrite.read(str(file), new_mode=0o644), "y")


def test_a_link_stays_and_its_target_changes(tmp_path: Path) -> None:
    target = tmp_path / "dotfiles/c.json"
    target.parent.mkdir()
    target.write_text("one")
    link = tmp_path / "c.json"
    link.symlink_to("dotfiles/c.json")
    rewrite.replace(rewrite.read(str(link)), "two")
    assert link.is_symlink()
    assert target.read_text() == "two"


def test_a_file_that_changed_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    file = tmp_path / "c.json"
    file.write_text("one")
    original = rewrite.read(str(file))
    file.write_text("theirs")
    with pytest.raises(KhiveError, match="changed it meanwhile"):
        rewrite.replace(original, "two")
    assert [path.name for path in tmp_path.iterdir()] == ["c.json"]
    assert file.read_text() == "theirs"


def test_a_file_that_appeared_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    original = rewrite.read(str(tmp_path / "c.json"))
    (tmp_path / "c.json").write_text("theirs")
    with pytest.raises(KhiveError, match="changed it meanwhile"):
        rewrite.replace(original, "two")


def test_a_held_lock_is_waited_for_and_then_respected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rewrite, "LOCK_WAIT", 0.1)
    file = tmp_path / "c.json"
    lock = tmp_path / "c.json.lock"
    lock.mkdir()
    with pytest.raises(KhiveError, match="another program holds"):
        rewrite.replace(rewrite.read(str(file)), "x")
    assert lock.is_dir()
    assert not file.exists()


def test_a_lock_that_was_left_behind_is_taken_over(tmp_path: Path) -> None:
    lock = tmp_path / "c.json.lock"
    lock.mkdir()
    os.utime(lock, (1, 1))
    rewrite.replace(rewrite.read(str(tmp_path / "c.json")), "x")
    assert not lock.exists()


def test_what_is_no_small_text_file_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(tmp_path / "fifo")
    for name in (".", "fifo"):
        with pytest.raises(KhiveError, match="was not changed: it is"):
            rewrite.read(str(tmp_path / name))
    (tmp_path / "latin").write_bytes(b"\xff")
    with pytest.raises(KhiveError, match="not UTF-8"):
        _ = rewrite.read(str(tmp_path / "latin")).text
    monkeypatch.setattr(rewrite, "MAX_BYTES", 3)
    (tmp_path / "large").write_text("four")
    with pytest.raises(KhiveError, match="larger than"):
        rewrite.read(str(tmp_path / "large"))


def test_a_directory_in_the_way_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("")
    with pytest.raises(KhiveError, match="was not changed"):
        rewrite.replace(rewrite.Original(str(tmp_path / "a/c.json"), None, 0o600), "x")
