"""A supervisor's start: one at a time, its socket's path, and what it refuses."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from support import (
    DEADLINE,
    Installation,
    RawSession,
    alive,
    ended,
    foreground,
    installed,
    kill,
    wait_until,
)

from khive_supervisor import exitcodes
from khive_supervisor.control.client import ControlClient
from khive_supervisor.errors import KhiveError

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


def test_another_store_gets_a_socket_of_its_own_and_leaves_what_lies_beside_the_first(
    khive: Installation,
) -> None:
    khive.configure('[session]\nenv_allow = ["MY_VARIABLE"]\n')
    khive.start()
    beside = Path(khive.socket + ".env")
    assert beside.read_text() == "MY_VARIABLE"
    other = str(khive.home / "other.db")
    khive.run("start", "--background", "--quiet", KHIVE_STORE=other)
    second = khive.json("status", KHIVE_STORE=other)
    assert second["store"] == other
    assert second["socket"] != khive.socket
    assert khive.status()["state"] == "ready"
    khive.run("stop", KHIVE_STORE=other)
    assert beside.read_text() == "MY_VARIABLE"
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


@pytest.mark.parametrize("mode", [0o775, 0o720, pytest.param(0o777, marks=pytest.mark.long)])
def test_a_directory_that_others_can_write_is_refused_and_left_as_it_is(
    khive: Installation, short: Path, mode: int
) -> None:
    directory = short / "d"
    directory.mkdir()
    directory.chmod(mode)
    done = khive.run("start", code=exitcodes.BOOT_FAILURE, KHIVE_SOCKET=str(directory / "s.sock"))
    assert f"mode {mode:04o}" in done.stderr
    assert "others could replace" in done.stderr
    assert directory.stat().st_mode & 0o7777 == mode
    assert list(directory.iterdir()) == []
    # The session is served all the same, without a socket.
    attached = khive.run("attach", KHIVE_SOCKET=str(directory / "s.sock"))
    assert "others could replace" in attached.stderr
    assert "This session serves itself" in attached.stderr
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
