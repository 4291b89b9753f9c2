"""The listening socket and the token's file, before any worker."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from unittest.mock import Mock

import pytest
from khive_workers.http.server import read_token

from khive_supervisor.config.settings.http import HttpSettings
from khive_supervisor.errors import BootFailure
from khive_supervisor.host.paths import http_token_file
from khive_supervisor.supervision.processes.child import Child
from khive_supervisor.supervision.processes.http_listener import (
    HttpFront,
    ensure_token,
    listen,
    url_of,
)
from khive_supervisor.supervision.processes.restart import RestartPolicy
from khive_supervisor.supervision.processes.states import ProcessState


def test_a_token_is_made_once_and_is_its_owner_s_alone(tmp_path: Path) -> None:
    file = tmp_path / "t"
    ensure_token(str(file))
    token = file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert len(token.strip()) >= 40
    ensure_token(str(file))
    assert file.read_text() == token
    assert read_token(str(file)) == token.strip()
    assert os.listdir(tmp_path) == ["t"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
def test_a_token_that_others_could_read_is_not_used(tmp_path: Path, mode: int) -> None:
    file = tmp_path / "t"
    ensure_token(str(file))
    file.chmod(mode)
    with pytest.raises(PermissionError, match="Remove the file"):
        ensure_token(str(file))


def test_neither_a_link_nor_an_empty_file_is_a_token(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("x")
    (tmp_path / "real").chmod(0o600)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (tmp_path / "empty").touch(0o600)
    for name in ("link", "empty"):
        with pytest.raises(PermissionError):
            ensure_token(str(tmp_path / name))
    with pytest.raises(BootFailure):
        read_token(str(tmp_path / "empty"))
    with pytest.raises(BootFailure):
        read_token(str(tmp_path / "none"))


def test_the_token_lies_beside_the_socket_that_it_belongs_to() -> None:
    assert http_token_file("/run/a.sock") == "/run/a.http-token"


def test_a_port_that_is_taken_is_said_to_be() -> None:
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        assert url_of(taken) == f"http://127.0.0.1:{port}"
        with pytest.raises(OSError, match=f"Port {port} of 127.0.0.1 is in use.*http.port"):
            listen("127.0.0.1", port)


def test_a_url_of_ipv6_has_brackets() -> None:
    listener = Mock()
    listener.getsockname.return_value = ("::1", 8766, 0, 0)
    assert url_of(listener) == "http://[::1]:8766"


def test_every_worker_gets_the_same_port(tmp_path: Path) -> None:
    front = HttpFront(HttpSettings(port=0), str(tmp_path / "s.sock"))
    child = Child("http", "m", RestartPolicy())
    assert front.describe(child)["url"] is None
    first = front.open_channels()["listen"]
    url = front.url
    first.close()
    with front.open_channels()["listen"] as second:
        assert url_of(second) == url == front.url
    child.state, child.last_words = ProcessState.BACKOFF, "it said this"
    assert front.describe(child)["problem"] == "it said this"
    child.state = ProcessState.READY
    assert front.describe(child)["problem"] == ""
    front.close()
    front.close()
    assert front.url is None
