"""Sessions that serve themselves: one loads what that takes, forks for the others; all go on."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from support import Installation, RawSession, kill, wait_until

from khive_supervisor.host import holder

SESSIONS = 4


@pytest.fixture
def stopped(khive: Installation) -> Iterator[Installation]:
    """A supervisor that is stopped while it holds the store."""
    khive.start()
    pid = khive.status()["pid"]
    os.kill(pid, signal.SIGSTOP)
    yield khive
    os.kill(pid, signal.SIGCONT)


def reserves(khive: Installation) -> list[int]:
    return [pid for pid in khive.processes() if name_of(pid) == "khive-reserve"]


def holder_of(khive: Installation) -> int:
    named = holder.named_by(str(khive.store))
    assert named is not None
    return named.pid


def name_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def children_of(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def writes(session: RawSession, content: str) -> None:
    """Write; a call that was lost with a worker is answered as an error, and repeated."""
    params = {"name": "memory_remember", "arguments": {"content": content}}
    answer = session.request("tools/call", params)
    if "error" in answer:
        answer = session.request("tools/call", params)
    assert not answer["result"].get("isError"), answer


def test_one_interpreter_serves_all_and_they_come_over(stopped: Installation) -> None:
    with ExitStack() as stack:
        sessions = [stack.enter_context(RawSession(stopped)) for _ in range(SESSIONS)]
        for session in sessions:
            session.initialize()
        (reserve,) = reserves(stopped)
        assert reserve in {session.process.pid for session in sessions}
        for number, session in enumerate(sessions):
            writes(session, f"Session {number} served itself.")
        first, second, *_ = children_of(reserve)
        kill(first)
        os.kill(second, signal.SIGSTOP)  # nobody continues it, and its supervisor cannot look
        for number, session in enumerate(sessions):
            writes(session, f"Session {number} went on.")
        os.kill(holder_of(stopped), signal.SIGCONT)
        clients = {session.process.pid for session in sessions}
        wait_until(
            lambda: clients <= {one.get("client_pid") for one in stopped.status()["sessions"]},
            "all came over",
        )
        assert not reserves(stopped)
        found = json.dumps(sessions[0].tool("memory_recall", query="went on", limit=20))
        assert all(f"Session {number} went on." in found for number in range(SESSIONS))
        for session in sessions:
            assert session.close() == 0


def test_each_goes_by_its_own_environment_and_directory(stopped: Installation) -> None:
    place = stopped.home / "place"
    place.mkdir()
    with (
        RawSession(stopped) as first,
        RawSession(stopped, cwd=place, KHIVE_NAMESPACE="other") as named,
    ):
        for session in (first, named):
            session.initialize()
        assert reserves(stopped)
        writes(first, "Of the first.")
        writes(named, "Of the other.")
        assert "Of the first." not in json.dumps(named.tool("memory_recall", query="first"))
        assert "Of the other." not in json.dumps(first.tool("memory_recall", query="other"))
        assert "other" in json.dumps(named.tool("system_status"))


def test_it_goes_with_its_client_and_another_follows(stopped: Installation) -> None:
    with ExitStack() as stack:
        sessions = [stack.enter_context(RawSession(stopped)) for _ in range(3)]
        for session in sessions:
            session.initialize()
        (reserve,) = reserves(stopped)
        leaver = next(one for one in sessions if one.process.pid == reserve)
        assert leaver.close() == 0
        stay = [one for one in sessions if one is not leaver]
        for session in stay:
            writes(session, "Without the one that has forked.")
        with RawSession(stopped) as newcomer:
            newcomer.initialize()
            writes(newcomer, "After it.")
            assert reserves(stopped)
            assert newcomer.close() == 0
        for session in stay:
            assert session.close() == 0
