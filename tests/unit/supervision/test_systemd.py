"""What systemd is told, on a socket that stands for its own."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import DEADLINE

from khive_supervisor.supervision.processes.environment import for_children
from khive_supervisor.supervision.systemd import Notifier, from_environment, unit


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest) -> Iterator[tuple[socket.socket, str]]:
    with (
        tempfile.TemporaryDirectory(prefix="k") as directory,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock,
    ):
        abstract = request.param == "abstract"
        name = f"@khive-{os.getpid()}" if abstract else f"{directory}/notify"
        sock.bind("\0" + name[1:] if abstract else name)
        sock.setblocking(False)
        yield sock, name


def test_each_state_is_one_datagram(manager: tuple[socket.socket, str]) -> None:
    sock, name = manager
    notifier = Notifier(name, clock=lambda: 5_000_999)
    notifier.ready()
    notifier.reloading()
    notifier.ready("all\nwell")
    notifier.stopping()
    assert [sock.recv(4096).decode() for _ in range(4)] == [
        "READY=1",
        "RELOADING=1\nMONOTONIC_USEC=5000\nSTATUS=Reloading.",
        "READY=1\nSTATUS=all well",
        "STOPPING=1",
    ]


def test_the_name_is_taken_out_of_the_environment() -> None:
    environ = {"NOTIFY_SOCKET": "@x", "PATH": "/bin"}
    assert from_environment(environ).address == "@x"
    assert environ == {"PATH": "/bin"}
    assert from_environment(environ).address == ""


def test_children_never_get_it() -> None:
    from khive_supervisor.config.settings.model import Config

    assert for_children({"NOTIFY_SOCKET": "@x"}, Config()) == {}


def test_a_manager_that_does_not_listen_is_no_error() -> None:
    Notifier("/nowhere/notify").ready()
    Notifier("").ready()
    assert from_environment({"NOTIFY_SOCKET": "vsock:2:1"}).address == ""


def test_the_unit_starts_this_installation() -> None:
    text = unit("/a/100%/python")
    assert "Type=notify-reload\n" in text
    assert "ExecStart=/a/100%%/python -P -m khive_supervisor start\n" in text


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not here")
def test_systemd_takes_the_unit_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "khive-supervisor.service"
    file.write_text(unit(sys.executable))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--user", str(file)],
        env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=DEADLINE,
    )
    lines = (done.stdout + done.stderr).splitlines()
    # systemd before 253 goes by the type above it.
    assert [one for one in lines if file.name in one and "notify-reload" not in one] == []
