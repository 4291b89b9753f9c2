"""Profiles on the command line, with a supervisor: made here, taught there, followed meanwhile."""

from __future__ import annotations

import json
import select
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from support import DEADLINE, Installation, RawSession, kill, wait_until

from khive_supervisor.profiles.model import DEFAULT


@contextmanager
def followed(khive: Installation, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [*khive.argv, "profile", *words, "--watch"],
        env=khive.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        yield process
    finally:
        kill(process.pid)
        process.communicate()


def line(process: subprocess.Popen[bytes]) -> str:
    """The next line that is printed; lines come one at a time here."""
    assert process.stdout is not None
    ready, _, _ = select.select([process.stdout], [], [], DEADLINE)
    assert ready, f"nothing was printed within {DEADLINE:g} s"
    return process.stdout.readline().decode()


def test_one_session_s_feedback_is_shown_to_all(khive: Installation) -> None:
    # Before the sessions: what their client starts meanwhile is an agent's.
    khive.run("create-profile", "tea", "--description", "For tea")
    khive.run("bind", "tea", "--namespace", "default")
    with RawSession(khive) as one, RawSession(khive) as other:
        one.initialize()
        other.initialize()
        one.tool("memory_remember", content="the kettle is upstairs")
        with followed(khive, "tea") as lines, followed(khive, "tea", "--json") as documents:
            assert "tea active" in line(lines)
            assert json.loads(line(documents))["events"] == 0
            told = other.tool("brain_feedback", target="m1", signal="useful")
            assert told["structuredContent"]["profile"] == "tea"
            assert "events 1  bindings 1  m1=0.67" in line(lines)
            (target,) = json.loads(line(documents))["targets"]
            assert (target["id"], target["line"]) == ("m1", "the kettle is upstairs")
            for process in (lines, documents):
                process.send_signal(signal.SIGINT)
                out, err = process.communicate(timeout=DEADLINE)
                assert (process.returncode, out, err) == (0, b"", b"")
    listed = {one["name"]: one for one in khive.json("profiles")["profiles"]}
    assert listed["tea"]["events"] == 1
    assert listed["tea"]["bindings"] == 1
    assert "the kettle is upstairs" in khive.run("profile", "tea").stdout
    assert khive.run("replay").stdout == f"{DEFAULT}: equal\ntea: equal\n"
    wait_until(lambda: not khive.status()["sessions"], "every worker is gone")


def test_commands_are_one_voice_however_often_they_are_run(shared: Installation) -> None:
    name = shared.json("remember", "said again and again")["id"]
    counted = [shared.json("feedback", name, "explicit_positive")["counted"] for _ in range(3)]
    assert sum(counted) == pytest.approx(2.0, abs=0.01)


def test_names_are_completed_from_the_supervisor_that_runs(shared: Installation) -> None:
    shared.run("create-profile", "completed")
    done = shared.run(
        COMP_WORDS="khive-supervisor profile com",
        COMP_CWORD="2",
        _KHIVE_SUPERVISOR_COMPLETE="bash_complete",
    )
    assert done.stdout.splitlines() == ["plain,completed"]
