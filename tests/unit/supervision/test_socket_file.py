"""The control socket's file: bound for us alone, never taken from who answers, removed if ours."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from khive_supervisor.errors import AlreadyRunning, BootFailure, KhiveError
from khive_supervisor.supervision.control.socket_file import (
    Rendezvous,
    peer_pid,
    peer_uid,
    prepare_directory,
)


@pytest.fixture
def bound(short: Path) -> Iterator[Rendezvous]:
    made = Rendezvous(str(short / "s"))
    made.bind()
    yield made
    made.remove()


def connected(path: str) -> socket.socket:
    client = socket.socket(socket.AF_UNIX)
    client.connect(path)
    return client


def test_it_is_bound_for_us_alone_and_answers(bound: Rendezvous) -> None:
    assert stat.S_IMODE(os.stat(bound.path).st_mode) == 0o600
    assert not bound.missing()
    with connected(bound.path):
        other, _ = bound.listener.accept()
        with other:
            assert (peer_pid(other), peer_uid(other)) == (os.getpid(), os.getuid())


def test_nobody_takes_it_from_who_answers(bound: Rendezvous) -> None:
    with pytest.raises(AlreadyRunning, match="Another process answers"):
        Rendezvous(bound.path).bind()
    assert not bound.missing()


def test_what_nobody_answers_at_is_taken(short: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(short / "s"))
    made = Rendezvous(str(short / "s"))
    made.bind()
    assert made.remove()
    assert not (short / "s").exists()


def test_what_is_no_socket_is_left_alone(short: Path) -> None:
    (short / "s").write_text("mine")
    with pytest.raises(BootFailure, match="is no socket; it was left alone"):
        Rendezvous(str(short / "s")).bind()
    assert (short / "s").read_text() == "mine"
    (short / "link").symlink_to(short / "s")
    with pytest.raises(BootFailure, match="is no socket"):
        Rendezvous(str(short / "link")).bind()


def test_a_file_that_was_removed_or_replaced_is_missed(bound: Rendezvous) -> None:
    os.unlink(bound.path)
    assert bound.missing()
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(bound.path)
        assert bound.missing()
        assert not bound.remove()
        assert os.path.exists(bound.path)
    os.unlink(bound.path)


def test_it_is_removed_once(bound: Rendezvous) -> None:
    assert bound.remove()
    assert not os.path.exists(bound.path)
    assert not bound.remove()
    assert not bound.missing()


def test_a_socket_that_was_never_bound_is_not_missed() -> None:
    made = Rendezvous("/nowhere/s")
    assert not made.missing()
    assert not made.remove()


def test_the_next_release_goes_on_with_the_same_socket(bound: Rendezvous) -> None:
    successor = Rendezvous(bound.path)
    copy = os.dup(bound.listener.fileno())
    os.set_inheritable(copy, True)
    assert successor.adopt(copy)
    assert not os.get_inheritable(copy)
    with connected(bound.path):
        successor.listener.accept()[0].close()
    assert successor.remove()


def test_a_socket_of_another_path_is_closed_and_not_taken(bound: Rendezvous, short: Path) -> None:
    copy = os.dup(bound.listener.fileno())
    assert not Rendezvous(str(short / "other")).adopt(copy)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(copy)


def test_a_name_that_is_too_long_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    path = tmp_path / ("d" * 60) / ("s" * 60)
    with pytest.raises(KhiveError, match="103 are allowed"):
        Rendezvous(str(path)).bind()
    assert not path.parent.exists()


# --- its directory --------------------------------------------------------------------------------


def test_a_directory_is_made_for_us_alone(tmp_path: Path) -> None:
    prepare_directory(str(tmp_path / "run"))
    assert stat.S_IMODE((tmp_path / "run").stat().st_mode) == 0o700


@pytest.mark.parametrize("mode", [0o700, 0o755, 0o1777])
def test_a_directory_in_which_nobody_replaces_it_stays_as_it_is(tmp_path: Path, mode: int) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run").chmod(mode)
    prepare_directory(str(tmp_path / "run"))
    assert stat.S_IMODE((tmp_path / "run").stat().st_mode) == mode


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o722])
def test_a_directory_in_which_others_may_write_is_refused(tmp_path: Path, mode: int) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run").chmod(mode)
    with pytest.raises(BootFailure, match="others could replace the socket") as caught:
        prepare_directory(str(tmp_path / "run"))
    assert f"{mode:04o}" in str(caught.value)
    assert "chmod go-w" in caught.value.hint


def test_a_file_in_the_place_of_the_directory_is_said(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("")
    with pytest.raises(BootFailure, match="cannot be used"):
        prepare_directory(str(tmp_path / "run" / "below"))
