"""Small files that somebody else may have put there: read whole, or refused, never waited for."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from khive_supervisor.host import durable
from khive_supervisor.host.small_file import read_regular


@pytest.mark.parametrize("size", [0, 1, 100])
def test_a_regular_file_is_read_whole(tmp_path: Path, size: int) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"x" * size)
    data, status = read_regular(str(file), 100)
    assert data == b"x" * size
    assert (status.st_size, status.st_ino) == (size, file.stat().st_ino)


@pytest.mark.parametrize("size", [101, 3 << 20])
def test_one_byte_too_many_is_too_many(tmp_path: Path, size: int) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"x" * size)
    with pytest.raises(OSError, match="larger than 100 bytes"):
        read_regular(str(file), 100)


def test_a_link_is_followed_to_its_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("here")
    (tmp_path / "link").symlink_to("file")
    assert read_regular(str(tmp_path / "link"), 100)[0] == b"here"


def test_what_is_no_file_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="not a regular file"):
        read_regular(str(tmp_path / "pipe"), 100)
    with pytest.raises(OSError, match="is a directory"):
        read_regular(str(tmp_path), 100)
    with pytest.raises(OSError, match="not a regular file"):
        read_regular("/dev/zero", 100)
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(tmp_path / "s"))
        with pytest.raises(OSError, match="No such device"):
            read_regular(str(tmp_path / "s"), 100)


def test_a_path_that_is_none_is_an_error_as_any_other() -> None:
    with pytest.raises(OSError, match="not a path"):
        read_regular("/a\0b", 100)
    with pytest.raises(FileNotFoundError):
        read_regular("/nowhere/at/all", 100)


def test_nothing_stays_open(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("here")
    before = os.listdir("/proc/self/fd")
    read_regular(str(tmp_path / "file"), 100)
    for path, limit in ((tmp_path, 100), (tmp_path / "file", 1)):
        with pytest.raises(OSError, match="it is"):
            read_regular(str(path), limit)
    durable.sync(str(tmp_path))
    assert os.listdir("/proc/self/fd") == before


def test_a_file_and_a_directory_can_be_forced_to_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append(os.readlink(f"/proc/self/fd/{fd}")))
    (tmp_path / "file").write_text("here")
    durable.sync(str(tmp_path / "file"))
    durable.sync(str(tmp_path))
    assert synced == [str(tmp_path / "file"), str(tmp_path)]
    with pytest.raises(FileNotFoundError):
        durable.sync(str(tmp_path / "gone"))
