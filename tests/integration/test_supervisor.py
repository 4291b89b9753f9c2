"""The supervisor: who may start, what it refuses, how it ends, what it lets through."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support import (
    DEADLINE,
    ROOT,
    Installation,
    RawSession,
    alive,
    installed,
    kill,
    limited,
    wait_until,
    write_distribution,
)

from khive_supervisor import exitcodes, protocol
from khive_supervisor.client import ControlClient
from khive_supervisor.errors import KhiveError, VersionMismatch


@contextlib.contextmanager
def foreground(khive: Installation, *words: str) -> Iterator[subprocess.Popen[str]]:
    """A supervisor in the foreground; killed at the end if it is still there."""
    process = subprocess.Popen(
        [*khive.argv, "start", *words],
        env=khive.env,
        cwd=khive.home,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        kill(process.pid)
        process.communicate(timeout=DEADLINE)


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    _, complaint = process.communicate(timeout=DEADLINE)
    return process.returncode, complaint


@pytest.fixture
def short(tmp_path: Path) -> Iterator[Path]:
    """A directory whose path leaves room for a socket's name."""
    with tempfile.TemporaryDirectory(prefix="k", dir="/tmp") as name:
        yield Path(name)


# --- one at a time -------------------------------------------------------------------------------


def test_of_two_starts_at_once_one_wins_and_the_other_says_so(khive: Installation) -> None:
    with foreground(khive) as first, foreground(khive) as second:
        both = {first.pid: first, second.pid: second}
        wait_until(lambda: [p for p in both.values() if p.poll() is not None], "one has given up")
        status = wait_until(khive.status_or_none, "the other one serves")
        winner = both.pop(status["pid"])
        (loser,) = both.values()
        code, complaint = ended(loser)
        assert code == exitcodes.ALREADY_RUNNING
        assert f"(pid {winner.pid}) already owns the store" in complaint
        assert khive.run("start", "--background").stderr == "A supervisor is running already.\n"
        khive.stop()
        assert ended(winner) == (0, "")


def test_ten_background_starts_at_once_all_find_the_one(khive: Installation) -> None:
    argv = [*khive.argv, "start", "--background", "--json"]
    starts = [
        subprocess.Popen(
            argv, env=khive.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(10)
    ]
    answers = [start.communicate(timeout=DEADLINE) for start in starts]
    assert [start.returncode for start in starts] == [0] * 10
    assert {json.loads(out)["pid"] for out, _ in answers} == {khive.status()["pid"]}
    assert len(khive.events("supervisor.started")) == 1


def test_another_store_may_not_take_the_socket_nor_what_lies_beside_it(
    khive: Installation,
) -> None:
    khive.configure('[session]\nenv_allow = ["MY_VARIABLE"]\n')
    khive.start()
    beside = Path(khive.socket + ".env")
    assert beside.read_text() == "MY_VARIABLE"
    done = khive.run(
        "start", code=exitcodes.ALREADY_RUNNING, KHIVE_STORE=str(khive.home / "other.db")
    )
    assert "It serves another store" in done.stderr
    assert beside.read_text() == "MY_VARIABLE"
    assert khive.status()["state"] == "ready"
    khive.stop()
    assert not beside.exists()


def test_a_stale_socket_is_replaced(khive: Installation) -> None:
    khive.start()
    for _ in range(2):
        kill(khive.status()["pid"])
        wait_until(lambda: khive.status_or_none() is None, "the supervisor is gone")
        assert Path(khive.socket).is_socket()
        khive.start()
    assert khive.status()["state"] == "ready"


# --- the socket's path ---------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["file", "directory", "link", "fifo"])
def test_what_is_no_socket_is_left_alone(khive: Installation, short: Path, what: str) -> None:
    path = short / "s.sock"
    make = {
        "file": lambda: path.write_text("mine"),
        "directory": path.mkdir,
        "link": lambda: path.symlink_to(short / "elsewhere"),
        "fifo": lambda: os.mkfifo(path),
    }
    make[what]()
    before = path.lstat()
    done = khive.run("start", code=exitcodes.BOOT_FAILURE, KHIVE_SOCKET=str(path))
    assert "no socket; it was left alone" in done.stderr
    assert (path.lstat().st_ino, path.lstat().st_mode) == (before.st_ino, before.st_mode)
    assert [entry.name for entry in short.iterdir()] == ["s.sock"]


@pytest.mark.parametrize(
    "words", [("start",), ("status",), ("attach",), ("recall", "x")], ids=" ".join
)
def test_a_path_that_is_too_long_is_said_before_anything_is_made(
    khive: Installation, words: tuple[str, ...]
) -> None:
    path = f"/tmp/{'long' * 30}/s.sock"
    done = khive.run(*words, code=None, KHIVE_SOCKET=path)
    assert done.returncode in (exitcodes.FAILURE, exitcodes.PERMANENT)
    assert "103" in done.stderr
    assert "Set KHIVE_SOCKET to a shorter path" in done.stderr
    assert not os.path.exists(os.path.dirname(path))


@pytest.mark.parametrize("mode", [0o777, 0o775, 0o720])
def test_a_directory_that_others_can_write_is_refused_and_left_as_it_is(
    khive: Installation, short: Path, mode: int
) -> None:
    directory = short / "d"
    directory.mkdir()
    directory.chmod(mode)
    done = khive.run("start", code=exitcodes.BOOT_FAILURE, KHIVE_SOCKET=str(directory / "s.sock"))
    assert f"with mode {mode:04o}: others could replace the socket" in done.stderr
    assert directory.stat().st_mode & 0o7777 == mode
    assert list(directory.iterdir()) == []
    attached = khive.run("attach", code=None, KHIVE_SOCKET=str(directory / "s.sock"))
    assert attached.returncode == exitcodes.BOOT_FAILURE
    assert "others could replace the socket" in attached.stderr
    assert directory.stat().st_mode & 0o7777 == mode
    assert list(directory.iterdir()) == []


def test_a_sticky_directory_is_shared_safely(khive: Installation, short: Path) -> None:
    short.chmod(0o1777)
    khive.env["KHIVE_SOCKET"] = str(short / "s.sock")
    with RawSession(khive) as session:
        session.initialize()
        assert session.close() == 0
    assert (short / "s.sock").stat().st_mode & 0o777 == 0o600
    assert short.stat().st_mode & 0o7777 == 0o1777
    khive.stop()
    wait_until(lambda: list(short.iterdir()) == [], "nothing is left in the directory")


# --- signals -------------------------------------------------------------------------------------

#: Moments of a start, by what can be seen of them.
MOMENTS = {
    "locked": lambda khive: (khive.store.with_name("khive.db.lock")).exists(),
    "bound": lambda khive: os.path.exists(khive.socket),
    "children": lambda khive: len(khive.events("child.started")) == 2,
    "ready": lambda khive: (khive.status_or_none() or {}).get("state") == "ready",
}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_signal_ends_it_at_any_moment_and_leaves_nothing(
    khive: Installation, moment: str, number: signal.Signals
) -> None:
    with foreground(khive, "--quiet") as process:
        wait_until(lambda: MOMENTS[moment](khive), moment)
        kill(process.pid, number)
        assert ended(process) == (0, "")
    assert khive.gone()
    assert not os.path.exists(khive.socket)
    khive.start()


def test_a_second_signal_while_it_stops_changes_nothing(khive: Installation) -> None:
    with foreground(khive, "--quiet") as process:
        wait_until(lambda: MOMENTS["ready"](khive), "ready")
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
            kill(process.pid, number)
        assert ended(process) == (0, "")
    assert khive.gone()


def test_a_hangup_is_noted_and_changes_nothing(shared: Installation) -> None:
    before = shared.status()
    for _ in range(3):
        kill(before["pid"], signal.SIGHUP)
    wait_until(lambda: shared.events("reload.done"), "it was answered")
    after = shared.status()
    assert after["reload"]["generation"] == 1
    assert after["pid"] == before["pid"]
    assert [c["pid"] for c in after["children"]] == [c["pid"] for c in before["children"]]


# --- ending --------------------------------------------------------------------------------------


def test_stop_leaves_sessions_running(khive: Installation) -> None:
    khive.start()
    with RawSession(khive) as session:
        session.initialize()
        session.tool("memory_remember", content="before the stop")
        khive.run("stop")
        stored = session.tool("memory_remember", content="after the stop")
        assert stored["structuredContent"]["status"] == "stored"
        found = session.tool("memory_recall", query="stop")
        assert len(found["structuredContent"]["results"]) == 2
        assert session.process.poll() is None
        khive.start()
        wait_until(lambda: khive.status()["sessions"], "the session is registered again")
        assert session.close() == 0


def test_stop_sessions_ends_them(khive: Installation) -> None:
    khive.start()
    with RawSession(khive) as first, RawSession(khive) as second:
        for session in (first, second):
            session.initialize()
        wait_until(lambda: len(khive.status()["sessions"]) == 2, "both are registered")
        khive.run("stop", "--sessions")
        for session in (first, second):
            assert session.process.wait(DEADLINE) == 0
            assert session.stdout.read() == b""
    wait_until(khive.gone, "every process is gone")


@pytest.mark.parametrize("name", ["zygote", "embedder"])
def test_a_child_that_dies_is_seen_in_the_status_and_comes_back(
    khive: Installation, name: str
) -> None:
    khive.configure("[supervisor]\nrestart_backoff = 0.1\n")
    khive.start()
    old = khive.child(name)["pid"]
    kill(old)
    wait_until(lambda: khive.child(name)["last_exit"] == "signal SIGKILL", "it was noticed")
    back = wait_until(
        lambda: (c := khive.child(name))["state"] == "ready" and c, "it is ready again"
    )
    assert back["restarts"] == 1
    assert back["pid"] != old
    assert khive.call("memory.remember", content="all is well")["status"] == "stored"


def test_a_zygote_that_is_given_up_leaves_nobody_waiting(khive: Installation) -> None:
    khive.configure("[supervisor]\nrestart_backoff = 2\nrestart_limit = 1\n")
    khive.start()
    kill(khive.child("zygote")["pid"])
    wait_until(lambda: khive.child("zygote")["state"] == "backoff", "it waits for its restart")
    assert khive.status()["state"] == "degraded"
    with RawSession(khive) as session:
        session.send(b'{"jsonrpc":"2.0","id":0,"method":"ping"}\n')
        wait_until(lambda: khive.child("zygote")["pid"], "it was started again")
        kill(khive.child("zygote")["pid"])
        wait_until(lambda: khive.child("zygote")["state"] == "fatal", "it was given up")
        session.initialize()
        assert session.tool("memory_remember", content="served by exec")["structuredContent"]
        assert session.close() == 0
    assert khive.call("memory.recall", query="exec")["results"]


def test_out_of_descriptors_it_waits_and_goes_on(khive: Installation) -> None:
    khive.configure("[supervisor]\nrestart_backoff = 0.1\nrestart_backoff_max = 0.2\n")
    khive.argv = limited(khive.argv, "RLIMIT_NOFILE", 64)
    khive.start()
    embedder = khive.child("embedder")["pid"]
    clients = [socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) for _ in range(80)]
    with contextlib.ExitStack() as stack:
        for client in clients:
            stack.enter_context(client)
            client.connect(khive.socket)
        wait_until(lambda: khive.events("control.accept_failed"), "it ran out")
        kill(embedder)
        wait_until(lambda: khive.events("child.not_started"), "its child could not be started")
    wait_until(lambda: (khive.status_or_none() or {}).get("state") == "ready", "all is well again")
    # It asked now and then, and did not spin: ten seconds are fifty times at most.
    assert len(khive.events("control.accept_failed")) < 60


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


def test_another_release_is_told_so_and_can_stop_the_old_one(
    khive: Installation, newer: dict[str, str]
) -> None:
    khive.start()
    attached = khive.run("attach", code=exitcodes.VERSION_MISMATCH, **newer)
    recalled = khive.run("recall", "x", code=exitcodes.VERSION_MISMATCH, **newer)
    for said in (attached.stderr, recalled.stderr):
        assert "99.0.0" in said
        assert "khive-supervisor stop" in said
        assert "Traceback" not in said
    assert khive.run("status", "--json", **newer).returncode == 0
    with RawSession(khive) as session:
        session.initialize()
        assert khive.run("stop", **newer).stdout.startswith("Stopped")
        session.tool("memory_remember", content="the old release's session goes on")
        khive.run("start", "--background", "--quiet", **newer)
        # The old worker comes back to a supervisor of another release, is told so, and serves on.
        wait_until(
            lambda: [e for e in khive.events("control.refused") if e["kind"] == "worker"],
            "the old worker was refused",
        )
        assert session.tool("memory_recall", query="release")["structuredContent"]["results"]
        assert session.close() == 0
    assert khive.json("recall", "release", **newer)["results"]
    khive.run("stop", **newer)


@pytest.mark.parametrize("kind", ["attach", "verbs", "control", "worker", "nonsense"])
@pytest.mark.parametrize(("field", "value"), [("v", 2), ("release", "0.0.1")])
def test_every_kind_of_hello_is_refused_in_its_own_form(
    shared: Installation, kind: str, field: str, value: Any
) -> None:
    if (kind, field) == ("control", "release"):
        return  # the status and the stop of any release; tested above
    body = {"v": protocol.PROTOCOL, "kind": kind, "release": "?", "session": "s", "pid": 1}
    data = json.dumps({**body, field: value}).encode()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(DEADLINE)
        sock.connect(shared.socket)
        sock.sendall(len(data).to_bytes(4, "big") + data)
        answer = b"".join(iter(lambda: sock.recv(65536), b""))
    if kind == "attach":
        assert answer.startswith(f"E {exitcodes.VERSION_MISMATCH} ".encode())
        assert b"khive-supervisor stop" in answer
    else:
        (message,) = protocol.FrameDecoder().feed(answer)
        assert message["error"]["code"] == "version_mismatch"


def test_the_reason_of_a_refusal_is_never_lost_to_a_broken_pipe(
    shared: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "__version__", "0.0.1")
    for _ in range(50):
        with (
            ControlClient(shared.socket, "verbs", pid=1, cwd="/", env={}) as client,
            pytest.raises(VersionMismatch),
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


# --- what is refused before anything is touched --------------------------------------------------


def test_a_start_in_the_background_says_why_it_failed(tmp_path: Path) -> None:
    with installed(tmp_path / "h") as khive:
        khive.configure("[supervisor]\nno_such_key = 1\n[log]\nlevel = 'loud'\n")
        for words in (("start",), ("start", "--background"), ("attach",), ("recall", "x")):
            done = khive.run(*words, code=None)
            assert done.returncode in (exitcodes.CONFIG, exitcodes.BOOT_FAILURE)
            assert "no_such_key" in done.stderr
            assert "log.level" in done.stderr
        assert not (khive.home / ".local").exists() or khive.status_or_none() is None


def test_a_foreign_store_is_refused_and_untouched(khive: Installation) -> None:
    khive.store.parent.mkdir(parents=True)
    khive.store.write_bytes(b"somebody else's file, not a database at all" * 100)
    before = khive.store.read_bytes()
    done = khive.run("start", code=exitcodes.STORE_REFUSED)
    assert "Traceback" not in done.stderr
    assert khive.store.read_bytes() == before
    assert not os.path.exists(khive.socket)


def test_control_answers_bad_requests_and_goes_on(shared: Installation) -> None:
    with ControlClient(shared.socket) as client:
        for operation, args in (("nonsense", {}), ("", {}), ("stop.not", {})):
            with pytest.raises(KhiveError, match="has no operation"):
                client.request(operation, args)
        with pytest.raises(KhiveError, match="no object"):
            client.request("status", [1])  # type: ignore[arg-type]  # wrong on purpose
        assert client.request("status")["state"] == "ready"
    assert alive(shared.status()["pid"])
