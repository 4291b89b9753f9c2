"""Reloading a real supervisor: what changes, what never does, and signals at any moment."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import tempfile
from pathlib import Path

import pytest
from support import DEADLINE, Installation, RawSession, alive, kill, wait_until

from khive_supervisor import exitcodes

TEN_WRONG = "[session]\n" + "".join(f"wrong{n} = {n}\n" for n in range(10))


def last(khive: Installation) -> dict[str, object]:
    found = khive.status()["reload"]["last_reload"]
    return dict(found) if found else {}


def hang_up(khive: Installation) -> dict[str, object]:
    """Send SIGHUP and wait for what comes of it."""
    before = len(khive.events("reload.started"))
    kill(khive.status()["pid"], signal.SIGHUP)
    wait_until(lambda: len(khive.events("reload.started")) > before, "a reload begins")
    wait_until(lambda: khive.status()["reload"]["phase"] in ("done", "failed"), "it is over")
    return last(khive)


def pids(khive: Installation) -> list[int]:
    status = khive.status()
    return [status["pid"], *(child["pid"] for child in status["children"])]


def test_a_broken_file_keeps_everything_and_names_all_that_is_wrong(khive: Installation) -> None:
    khive.configure('[log]\nlevel = "debug"\n')
    khive.start()
    before = pids(khive)
    khive.configure(TEN_WRONG)
    result = hang_up(khive)
    assert (result["state"], result["generation"]) == ("failed", 1)
    errors = result["errors"]
    assert isinstance(errors, list)
    assert len(errors) == 10
    assert all(f"khive.toml:{n + 2}: session.wrong{n}:" in e for n, e in enumerate(errors))
    done = khive.run("reload", code=exitcodes.FAILURE)
    assert "Nothing was changed:" in done.stdout
    assert done.stdout.count("session.wrong") == 10
    assert khive.run("reload", "--dry-run", code=1).stdout.count("session.wrong") == 10
    khive.configure("[log")
    assert hang_up(khive)["state"] == "failed"
    assert pids(khive) == before
    assert khive.events("reload.failed")[-1]["errors"]


def test_a_change_is_seen_by_new_sessions_and_not_by_open_ones(khive: Installation) -> None:
    khive.start()
    before = pids(khive)
    with RawSession(khive) as old:
        old.initialize()
        khive.configure('[session]\nnamespace = "fresh"\nenv_allow = ["MY_VARIABLE"]\n')
        dry = khive.run("reload", "--dry-run", code=2)
        assert 'session.namespace: "default" -> "fresh"' in dry.stdout
        digest = json.loads(khive.run("reload", "--dry-run", "--json", code=2).stdout)["digest"]
        khive.run("reload", "--if-digest", "0" * 16, code=1)
        result = khive.json("reload", "--if-digest", digest)
        assert (result["state"], result["generation"]) == ("done", 2)
        assert result["applied"] == ["session.namespace", "session.env_allow"]
        assert khive.run("reload", "--dry-run").stdout == "Nothing has changed.\n"
        assert Path(khive.socket + ".env").read_text() == "MY_VARIABLE"
        with RawSession(khive) as new:
            new.initialize()
            old.tool("memory_remember", content="from the old one")
            new.tool("memory_remember", content="from the new one")
            wait_until(lambda: len(khive.status()["sessions"]) == 2, "both are registered")
            assert {s["namespace"] for s in khive.status()["sessions"]} == {"default", "fresh"}
    assert pids(khive) == before


@pytest.mark.parametrize("how", ["fork", "exec"])
def test_the_next_session_has_what_was_reloaded(khive: Installation, how: str) -> None:
    text = f'[supervisor]\nworker_start = "{how}"\n[embedder]\nkind = "none"\n'
    khive.configure(text)
    khive.start()
    for namespace in ("one", "two", "three"):
        khive.configure(f'{text}[session]\nnamespace = "{namespace}"\n')
        khive.run("reload")
        assert khive.call("system.status")["session"]["namespace"] == namespace


def test_what_waits_for_a_restart_is_named_and_stops_nothing_else(khive: Installation) -> None:
    khive.start()
    khive.configure('[store]\npath = "other.db"\n[log]\nlevel = "debug"\n')
    result = khive.json("reload")
    assert result["waits_for_restart"] == ["store.path"]
    assert result["applied"] == ["log.level"]
    assert khive.call("system.status")
    assert khive.status()["store"] == str(khive.store)
    assert khive.events("reload.phase")  # which only the new level shows


def test_a_reload_without_a_change_is_none(khive: Installation) -> None:
    khive.configure('[log]\nlevel = "info"\n')
    khive.start()
    before = pids(khive)
    for _ in range(3):
        result = hang_up(khive)
        assert (result["state"], result["changed"], result["generation"]) == ("done", False, 1)
    assert khive.run("reload").stdout == "Nothing has changed.\n"
    assert pids(khive) == before


def test_hangups_during_hangups_end_with_the_last_file(khive: Installation) -> None:
    khive.start()
    pid = khive.status()["pid"]
    for number in range(30):
        khive.configure(f"[index]\ntrees = {number + 1}\n")
        kill(pid, signal.SIGHUP)
    wait_until(lambda: khive.status()["reload"]["phase"] == "done", "they are over")
    wait_until(
        lambda: khive.run("reload", "--dry-run", code=None).returncode == 0, "the last file is in"
    )
    assert khive.status()["pid"] == pid


def test_a_stop_during_a_reload_is_a_stop(khive: Installation) -> None:
    khive.start()
    pid = khive.status()["pid"]
    khive.configure('[log]\nlevel = "debug"\n')
    for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGHUP):
        kill(pid, number)
    wait_until(lambda: not alive(pid), "it has ended")
    assert khive.events("supervisor.stopped")


def hups_blocked(pid: int) -> bool:
    """Whether a process blocks or catches SIGHUP."""
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
    masks = [int(line.split()[1], 16) for line in text.splitlines() if line[:6] in MASKS]
    return any(mask & 1 for mask in masks)


MASKS = ("SigBlk", "SigCgt")


@pytest.mark.parametrize("moments", [1, 3, 10, 40])
def test_a_hangup_while_it_starts_never_kills_and_is_honoured(
    khive: Installation, moments: int
) -> None:
    process = subprocess.Popen(
        [*khive.argv, "start", "--quiet"], env=khive.env, cwd=khive.home, stderr=subprocess.PIPE
    )
    try:
        wait_until(lambda: hups_blocked(process.pid), "its first line has run")
        for _ in range(moments):
            kill(process.pid, signal.SIGHUP)
            wait_until(
                lambda: khive.status_or_none() or process.poll() is not None or True, "a moment"
            )
        assert process.poll() is None
        wait_until(khive.status_or_none, "it serves")
        wait_until(lambda: khive.events("reload.done"), "a reload was made")
        assert khive.status()["pid"] == process.pid
    finally:
        kill(process.pid, signal.SIGTERM)
        _, complaint = process.communicate(timeout=DEADLINE)
    assert (process.returncode, complaint) == (0, b"")


def supervisors(khive: Installation) -> list[int]:
    """Background starts' own processes, from their first instant."""
    found = []
    for pid in khive.processes():
        try:
            if b"--ready-fd" in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.append(pid)
        except OSError:
            continue
    return found


def test_a_hangup_at_the_first_instant_of_a_background_start_is_honoured(
    khive: Installation,
) -> None:
    starter = subprocess.Popen([*khive.argv, "start", "--background", "--quiet"], env=khive.env)
    (pid,) = wait_until(lambda: supervisors(khive), "its process is there")
    kill(pid, signal.SIGHUP)
    assert starter.wait(DEADLINE) == 0
    assert khive.status()["pid"] == pid
    wait_until(lambda: khive.events("reload.done"), "a reload was made")


def test_systemd_hears_of_start_reload_and_stop(khive: Installation) -> None:
    with (
        tempfile.TemporaryDirectory(prefix="k") as directory,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager,
    ):
        manager.bind(f"{directory}/notify")
        manager.settimeout(DEADLINE)
        process = subprocess.Popen(
            [*khive.argv, "start", "--quiet"],
            env={**khive.env, "NOTIFY_SOCKET": f"{directory}/notify"},
            cwd=khive.home,
        )
        try:
            assert manager.recv(4096) == b"READY=1"
            for child in khive.status()["children"]:
                assert b"NOTIFY_SOCKET" not in Path(f"/proc/{child['pid']}/environ").read_bytes()
            kill(process.pid, signal.SIGHUP)
            reloading = manager.recv(4096).decode().splitlines()
            assert reloading[0] == "RELOADING=1"
            assert reloading[1].startswith("MONOTONIC_USEC=")
            assert manager.recv(4096) == b"READY=1"
            kill(process.pid, signal.SIGTERM)
            assert manager.recv(4096) == b"STOPPING=1"
        finally:
            kill(process.pid, signal.SIGTERM)
            process.wait(DEADLINE)


def test_there_is_no_role_to_drain_where_none_is_configured(khive: Installation) -> None:
    khive.start()
    for command in ("drain-role", "resume-role"):
        assert "There is no role 'nobody'." in khive.run(command, "nobody", code=1).stderr


def test_doctor_prints_a_unit_and_checks_roles(khive: Installation) -> None:
    assert "Type=notify-reload" in khive.run("doctor", "--systemd-unit").stdout
    khive.configure(
        '[[roles]]\nrole = "a"\ntask_types = ["t"]\nhandler = { command = ["no-such-program"] }\n'
    )
    found = khive.run("doctor", code=exitcodes.UNHEALTHY).stdout
    assert 'there is no program "no-such-program"' in found
