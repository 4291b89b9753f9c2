"""The lock's content, and which sockets are looked at."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khive_supervisor.host import holder, paths
from khive_supervisor.host.holder import Holder

TEXT = st.text(st.characters(exclude_characters="\0\n", exclude_categories=["Cs"]), min_size=1)


@given(st.integers(1, 2**22), st.none() | TEXT, st.none() | TEXT, st.none() | TEXT)
def test_what_is_written_is_read(
    pid: int, where: str | None, config: str | None, release: str | None
) -> None:
    found = holder.decode(Holder(pid, where, config, release).encode() + b"rest of a longer one\n")
    assert found is not None
    assert (found.pid, found.socket, found.config, found.release) == (pid, where, config, release)


@given(st.binary(max_size=200))
def test_no_content_breaks_the_reader(data: bytes) -> None:
    found = holder.decode(data)
    assert found is None or found.pid >= 0


@pytest.mark.parametrize("text", ["7\n", "7\nend\n", "7"])
def test_an_older_release_wrote_its_pid_alone(text: str) -> None:
    found = holder.decode(text.encode())
    assert found is not None
    assert (found.pid, found.socket) == (7, None)


def test_a_path_with_a_line_s_end_is_left_out() -> None:
    found = holder.decode(Holder(7, "/a\nconfig /evil", "/c").encode())
    assert found is not None
    assert (found.socket, found.config) == (None, "/c")


@pytest.mark.parametrize("links", [0, 1, 3])
def test_a_store_by_links_has_one_lock(tmp_path: Path, links: int) -> None:
    (tmp_path / "real").mkdir()
    store = tmp_path / "real" / "k.db"
    store.write_text("")
    name = store
    for number in range(links):
        link = tmp_path / f"l{number}.db"
        link.symlink_to(name if number % 2 else os.path.relpath(name, tmp_path))
        name = link
    assert os.path.realpath(holder.lock_path(str(name))) == str(store) + ".lock"


def test_links_in_a_ring_end() -> None:
    assert holder.lock_path("/proc/self/nothing").endswith(".lock")


def test_a_ring_of_links_ends(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    assert holder.lock_path(str(tmp_path / "a")).endswith(".lock")
    assert holder.of(str(tmp_path / "a")) is None


@pytest.fixture
def bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("s.sock")
        yield tmp_path / "s.sock"


@pytest.mark.parametrize(("mode", "refused"), [(0o700, False), (0o755, False), (0o777, True),
                                               (0o775, True), (0o1777, False)])  # fmt: skip
def test_a_directory_that_others_can_write_is_not_trusted(
    bound: Path, mode: int, refused: bool
) -> None:
    bound.parent.chmod(mode)
    try:
        assert (holder.unsafe(str(bound)) is not None) == refused
    finally:
        bound.parent.chmod(0o700)


def test_what_is_not_there_is_not_refused(tmp_path: Path) -> None:
    assert holder.unsafe(str(tmp_path / "none.sock")) is None


def test_the_likely_sockets_come_first_and_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(paths.environ, b"HOME", b"/h")
    for name in (b"XDG_STATE_HOME", b"XDG_DATA_HOME", b"XDG_CONFIG_HOME", b"KHIVE_STORE"):
        monkeypatch.delitem(paths.environ, name, raising=False)
    monkeypatch.delitem(paths.environ, b"KHIVE_SOCKET", raising=False)
    default = "/h/.local/state/khive/run/supervisor.sock"
    assert holder.candidates(None) == [default]
    first, second = holder.candidates("/c.toml")
    assert first != default
    assert second == default
    monkeypatch.setitem(paths.environ, b"KHIVE_SOCKET", b"/s.sock")
    assert holder.candidates("/c.toml") == ["/s.sock", default]
    assert len(holder.store_socket("/x.db")) == len(default)
