"""Whom a supervisor serves: what of their environment it lets through, and other releases."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from support import (
    DEADLINE,
    ROOT,
    Installation,
    RawSession,
    kill,
    wait_until,
    write_distribution,
)

from khive_supervisor import exitcodes
from khive_supervisor.control import protocol
from khive_supervisor.control.client import ControlClient
from khive_supervisor.errors import VersionMismatch

# --- the environment -----------------------------------------------------------------------------

PROBE = """
import os
from khive_supervisor.verbs.registry import Pack, Verb
def environ(context, args):
    return {"environ": dict(os.environ), "cwd": os.getcwd(), "args": dict(args)}
def pack():
    return Pack("probe", "For tests.", (Verb("probe.environ", "Show it.", environ),))
"""


@pytest.fixture
def probed(khive: Installation) -> Installation:
    """An installation with a foreign pack that shows a worker's environment."""
    directory = khive.home / "packs"
    write_distribution(directory, "khive_probe", PROBE)
    khive.env["PYTHONPATH"] = os.pathsep.join((khive.env["PYTHONPATH"], str(directory)))
    return khive


def environment_of(khive: Installation, **variables: str) -> dict[str, str]:
    with RawSession(khive, **variables) as session:
        session.initialize()
        called = session.tool("khive_call", verb="probe.environ")
        assert session.close() == 0
    seen: dict[str, str] = called["structuredContent"]["environ"]
    return seen


@pytest.mark.parametrize("how", ["fork", "exec"])
def test_only_what_is_allowed_reaches_a_worker(probed: Installation, how: str) -> None:
    probed.configure(f'[supervisor]\nworker_start = "{how}"\n')
    secrets = {"ANTHROPIC_API_KEY": "secret", "GITHUB_TOKEN": "secret", "A_NAME": "secret"}
    known = {"CLAUDE_CODE_SESSION_ID": "one", "KHIVE_NAMESPACE": "mine"}
    # The first client starts the supervisor, and its environment must not become everybody's.
    first = environment_of(probed, **secrets, **known)
    assert known.items() <= first.items()
    assert "secret" not in first.values()
    assert first["HOME"] == str(probed.home)
    second = environment_of(probed, **secrets)
    assert "secret" not in second.values()
    assert not set(known) & set(second)
    assert probed.call("system.status")["session"]["namespace"] == "default"


def test_a_configured_allow_list_replaces_the_default(probed: Installation) -> None:
    probed.configure('[session]\nenv_allow = ["A_NAME"]\n')
    probed.start()
    seen = environment_of(probed, A_NAME="let through", CLAUDE_CODE_SESSION_ID="one", B="no")
    assert seen["A_NAME"] == "let through"
    assert not {"CLAUDE_CODE_SESSION_ID", "B"} & set(seen)


def test_what_a_client_sends_on_its_own_is_filtered_again(probed: Installation) -> None:
    probed.start()
    env = {"LD_PRELOAD": "/evil.so", "KHIVE_ACTOR": "me"}
    with ControlClient(probed.socket, "verbs", pid=1, cwd="/", env=env) as client:
        session = client.request("system.status")["session"]
        assert session["namespace"] == "default"
        assert "LD_PRELOAD" not in client.request("probe.environ")["environ"]


def test_a_broken_pack_keeps_nobody_from_working(khive: Installation) -> None:
    directory = khive.home / "packs"
    write_distribution(directory, "khive_broken", "raise SystemError('broken pack')")
    khive.env["PYTHONPATH"] = os.pathsep.join((khive.env["PYTHONPATH"], str(directory)))
    khive.start()
    assert khive.call("memory.remember", content="all the same")["status"] == "stored"
    said = [event["text"] for event in khive.events("child.stderr")]
    assert any("pack.broken" in text and "broken pack" in text for text in said)


# --- versions ------------------------------------------------------------------------------------


@pytest.fixture
def newer(tmp_path: Path) -> dict[str, str]:
    """The environment of another release of the same code."""
    package = tmp_path / "newer" / "khive_supervisor"
    package.mkdir(parents=True)
    text = f'__version__ = "99.0.0"\n__path__.append({str(ROOT / "khive_supervisor")!r})\n'
    (package / "__init__.py").write_text(text)
    path = os.pathsep.join((str(package.parent), str(ROOT / "workers")))
    return {"PYTHONPATH": path}


def test_releases_of_one_protocol_serve_each_other(
    khive: Installation, newer: dict[str, str]
) -> None:
    khive.start()
    assert khive.json("remember", "by the newer release", **newer)["status"] == "stored"
    with RawSession(khive, **newer) as session:
        session.initialize()
        assert session.tool("memory_recall", query="release")["structuredContent"]["results"]
        assert session.close() == 0
    with RawSession(khive) as session:
        session.initialize()
        assert khive.run("stop", **newer).stdout.startswith("Stopped")
        session.tool("memory_remember", content="the old release's session goes on")
        khive.run("start", "--background", "--quiet", **newer)
        # The worker comes back to a supervisor of another release, and a new one takes its place.
        worker = khive.events("session.registered")[-1]["worker"]
        wait_until(
            lambda: {s["pid"] for s in khive.status()["sessions"]} - {worker},
            "the session has a worker of the release that runs",
        )
        assert session.tool("memory_recall", query="release")["structuredContent"]["results"]
        assert session.close() == 0
    khive.run("stop", **newer)


@pytest.mark.parametrize("kind", ["attach", "verbs", "control", "worker", "nonsense"])
def test_another_protocol_is_refused_in_the_form_of_each_kind(
    shared: Installation, kind: str
) -> None:
    body = {"v": protocol.PROTOCOL + 1, "kind": kind, "release": "?", "session": "s", "pid": 1}
    data = json.dumps(body).encode()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(DEADLINE)
        sock.connect(shared.socket)
        sock.sendall(len(data).to_bytes(4, "big") + data)
        answer = b"".join(iter(lambda: sock.recv(65536), b""))
    if kind == "attach":
        assert answer.startswith(f"E {exitcodes.VERSION_MISMATCH} ".encode())
        assert b"khive-supervisor upgrade" in answer
    else:
        (message,) = protocol.FrameDecoder().feed(answer)
        assert message["error"]["code"] == "version_mismatch"


def test_the_reason_of_a_refusal_is_never_lost_to_a_broken_pipe(
    shared: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "PROTOCOL", 99)
    for _ in range(50):
        with (
            pytest.raises(VersionMismatch),
            ControlClient(shared.socket, "verbs", pid=1, cwd="/", env={}) as client,
        ):
            client.request("system.status", {"text": "x" * 10**6})


OTHER_PROTOCOL = """
import os, signal, socket, sys
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen()
def end(*_):
    os.unlink(sys.argv[1])
    os._exit(0)
signal.signal(signal.SIGTERM, end)
print("ready", flush=True)
body = b'{"v":2,"error":{"code":"version_mismatch","message":"speak 2"}}'
while True:
    conn, _ = listener.accept()
    try:
        conn.sendall(len(body).to_bytes(4, "big") + body)
    except OSError:
        pass
    conn.close()
"""


def test_a_supervisor_of_another_protocol_can_be_stopped(khive: Installation, short: Path) -> None:
    khive.env["KHIVE_SOCKET"] = str(short / "s.sock")
    other = subprocess.Popen(
        [sys.executable, "-c", OTHER_PROTOCOL, khive.socket], stdout=subprocess.PIPE, text=True
    )
    try:
        assert other.stdout is not None
        assert other.stdout.readline() == "ready\n"
        refused = khive.run("status", code=exitcodes.VERSION_MISMATCH)
        assert "protocol 2" in refused.stderr
        with contextlib.closing(other.stdout):
            waiting = subprocess.Popen(
                [*khive.argv, "stop"], env=khive.env, stdout=subprocess.PIPE, text=True
            )
            assert other.wait(DEADLINE) == 0
            assert waiting.communicate(timeout=DEADLINE)[0] == f"Stopped (pid {other.pid}).\n"
    finally:
        kill(other.pid)
        other.wait(DEADLINE)
