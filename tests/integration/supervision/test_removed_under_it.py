"""What the supervisor stands on is removed under it: it notices, and mends it or yields."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from support import DEADLINE, Installation, RawSession, alive, foreground, kill, wait_until

from khive_supervisor import exitcodes
from khive_supervisor.host import holder


def listens(khive: Installation, pid: int) -> bool:
    status = khive.status_or_none()
    return status is not None and status["pid"] == pid


def serves(khive: Installation) -> None:
    with RawSession(khive) as session:
        session.initialize()
        assert not session.tool("memory_remember", content="Here.").get("isError")
        assert session.close() == 0


@pytest.mark.parametrize(
    "what", ["run", *(pytest.param(one, marks=pytest.mark.long) for one in ("socket", "state"))]
)
def test_a_socket_that_is_removed_is_bound_again(khive: Installation, what: str) -> None:
    khive.configure('[session]\nenv_allow = ["MY_VARIABLE"]\n[http]\nenabled = true\nport = 0\n')
    khive.start()
    pid = khive.status()["pid"]
    token = Path(khive.status()["http"]["token_file"])
    secret = token.read_text()
    state = khive.home / ".local/state/khive"
    if what == "socket":
        os.unlink(khive.socket)
    else:
        shutil.rmtree(state / "run" if what == "run" else state)
    # At once, before it has noticed: the lock says who it is, and whoever comes waits for him.
    assert khive.json("status")["pid"] == pid
    serves(khive)
    assert (state / "run").stat().st_mode & 0o777 == 0o700
    assert Path(khive.socket).stat().st_mode & 0o777 == 0o600
    assert Path(khive.socket + ".env").read_text() == "MY_VARIABLE"
    assert token.read_text() == secret
    wait_until(lambda: Path(khive.socket).with_suffix(".embed").exists(), "the embedder is back")
    assert len(khive.events("supervisor.started")) <= 1
    stopped = khive.run("stop")
    assert stopped.stdout == f"Stopped (pid {pid}).\n"


@pytest.mark.long
def test_stop_finds_the_holder_of_the_lock_without_any_socket(khive: Installation) -> None:
    khive.start()
    pid = khive.status()["pid"]
    os.unlink(khive.socket)
    assert khive.run("stop").stdout == f"Stopped (pid {pid}).\n"
    assert not alive(pid)
    assert khive.run("stop").stdout == "No supervisor is running.\n"


def test_a_lock_that_is_removed_is_taken_again(khive: Installation) -> None:
    khive.start()
    pid = khive.status()["pid"]
    for _ in range(2):
        os.unlink(f"{khive.store}.lock")
        wait_until(lambda: holder.held(str(khive.store)), "the lock is held again")
        # Who holds it writes down who it is just after that.
        found = wait_until(lambda: holder.of(str(khive.store)), "its holder is known")
        assert (found.pid, found.socket) == (pid, khive.socket)
    assert khive.status()["pid"] == pid


@pytest.mark.long
def test_a_second_one_is_refused_while_the_first_can_be_found(khive: Installation) -> None:
    khive.start()
    pid = khive.status()["pid"]
    os.unlink(f"{khive.store}.lock")
    done = khive.run("start", code=exitcodes.ALREADY_RUNNING)
    assert f"pid {pid}" in done.stderr
    assert khive.run("start", "--background").stderr == "A supervisor is running already.\n"
    assert khive.status()["pid"] == pid


def test_of_two_on_one_store_the_one_without_the_lock_yields(
    khive: Installation, short: Path
) -> None:
    khive.start()
    first = khive.status()["pid"]
    with RawSession(khive) as session:
        session.initialize()
        # A second one that cannot find the first: its socket is another. The first one looks for
        # its lock only when the other has one.
        kill(first, signal.SIGSTOP)
        os.unlink(f"{khive.store}.lock")
        khive.env["KHIVE_SOCKET"] = str(short / "s.sock")
        with foreground(khive) as second:
            lock = Path(f"{khive.store}.lock")
            wait_until(lambda: lock.exists() and str(second.pid) in lock.read_text(), "it has it")
            kill(first, signal.SIGCONT)
            wait_until(lambda: not alive(first), "the first has yielded")
            assert not session.tool("memory_remember", content="Goes on.").get("isError")
            wait_until(lambda: listens(khive, second.pid), "the second serves")
            assert [e["to"] for e in khive.events("foothold.yields")] == [f"pid {second.pid}"]
            assert session.close() == 0
            khive.stop()


def test_a_file_that_another_holds_beside_the_socket_delays_nobody(
    khive: Installation, short: Path
) -> None:
    """In a shared directory anybody can make the file of the start, and lock it."""
    short.chmod(0o1777)
    khive.env["KHIVE_SOCKET"] = str(short / "s.sock")
    program = (
        "import fcntl, os, sys; fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT, 0o666); "
        "fcntl.flock(fd, fcntl.LOCK_EX); os.fchown(fd, 65534, 65534); print('locked', flush=True); "
        "sys.stdin.read()"
    )
    if os.getuid() != 0:
        program = program.replace("os.fchown(fd, 65534, 65534); ", "")
    other = subprocess.Popen(
        [khive.argv[0], "-c", program, str(short / "s.sock.starting")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert other.stdout is not None
    assert other.stdout.readline() == "locked\n"
    try:
        serves(khive)
    finally:
        other.communicate("", timeout=DEADLINE)
    khive.stop()


def test_a_socket_of_another_user_is_sent_nothing(khive: Installation, short: Path) -> None:
    if os.getuid() != 0:
        return  # only root can make one
    path = short / "s.sock"
    short.chmod(0o1777)
    program = (
        "import os, socket, sys; os.setuid(65534); s = socket.socket(socket.AF_UNIX); "
        "s.bind(sys.argv[1]); s.listen(); print('ready', flush=True); "
        "c, _ = s.accept(); print(c.recv(9999), flush=True)"
    )
    other = subprocess.Popen(
        ["/usr/bin/env", "python3", "-c", program, str(path)], stdout=subprocess.PIPE, text=True
    )
    assert other.stdout is not None
    try:
        assert other.stdout.readline() == "ready\n"
        khive.env["KHIVE_SOCKET"] = str(path)
        for words in (("recall", "x"), ("remember", "secret"), ("status",), ("attach",)):
            done = khive.run(*words, code=None)
            assert done.returncode != 0, words
            assert "another user" in done.stderr
    finally:
        other.send_signal(signal.SIGTERM)
        said = other.communicate(timeout=DEADLINE)[0]
    assert said == ""
