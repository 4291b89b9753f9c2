"""Everything but the clients is killed, and then what they start, at every moment of its start."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import signal
import time
from collections.abc import Iterator

import pytest
from support import DEADLINE, Installation, RawSession, kill, wait_until

#: Seconds from the appearance of a starting process to its end: imports, lock, socket, children.
MOMENTS = (0.0, 0.1, 0.3, 0.6, 0.9)
SESSIONS = 4


@contextlib.contextmanager
def sessions_of(khive: Installation) -> Iterator[list[RawSession]]:
    with contextlib.ExitStack() as stack:
        found = [stack.enter_context(RawSession(khive)) for _ in range(SESSIONS)]
        for session in found:
            session.initialize()
        yield found


def spared(sessions: list[RawSession]) -> set[int]:
    return {session.process.pid for session in sessions}


def kill_all_but(khive: Installation, clients: set[int]) -> None:
    for pid in khive.processes():
        if pid not in clients:
            kill(pid)


def asks(sessions: list[RawSession], turn: int) -> None:
    """A call of each session; what was lost with a worker is answered as an error, and repeated."""
    for number, session in enumerate(sessions):
        for attempt in range(20):
            content = f"Turn {turn} of session {number}, attempt {attempt}."
            answer = session.request(
                "tools/call", {"name": "memory_remember", "arguments": {"content": content}}
            )
            if "result" in answer and not answer["result"].get("isError"):
                break
            # A supervisor that was stopped while it writes keeps all others from writing: it is
            # the user's to end, and the answer says how.
            for pid in re.findall(r"kill -9 (\d+)", str(answer)):
                kill(int(pid))
        else:
            raise AssertionError(f"session {number} was never served: {answer}")


@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP], ids=["kill", "stop"])
def test_sessions_go_on_whatever_is_killed_of_a_start(
    khive: Installation, number: signal.Signals
) -> None:
    khive.start()
    with sessions_of(khive) as sessions:
        clients = spared(sessions)
        for turn, moment in enumerate(MOMENTS):
            kill_all_but(khive, clients)
            hit: set[int] = set()
            for _ in range(3 if number is signal.SIGKILL else 1):
                hit |= hit_a_start(khive, clients, moment, number)
            # Whatever is stopped stays so meanwhile: they go on without it.
            asks(sessions, turn)
            for pid in hit:
                kill(pid)
        for session in sessions:
            assert session.close() == 0


def hit_a_start(
    khive: Installation, clients: set[int], moment: float, number: signal.Signals
) -> set[int]:
    """Wait for what clients start, let it go on for a moment, and hit all of it."""
    wait_until(lambda: set(khive.processes()) - clients, "a start")
    wait_for_moment(moment)
    found = set(khive.processes()) - clients
    for pid in found:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
    return found


def wait_for_moment(seconds: float) -> None:
    """Let a start go on for so long: the moment is what is tested."""
    end = time.monotonic() + seconds
    wait_until(lambda: time.monotonic() >= end, "the moment", DEADLINE)


@pytest.mark.long
def test_a_session_serves_itself_while_no_supervisor_can_start_and_comes_over(
    khive: Installation,
) -> None:
    # Nothing can be made in its directory: there is no socket to be had.
    khive.env["KHIVE_SOCKET"] = "/proc/khive/s.sock"
    with RawSession(khive) as session:
        session.initialize()
        session.tool("memory_remember", content="Alone.")
        del khive.env["KHIVE_SOCKET"]
        khive.start()
        attach = session.process.pid
        wait_until(
            lambda: any(s.get("client_pid") == attach for s in khive.status()["sessions"]),
            "it comes over",
        )
        assert "Alone." in str(session.tool("memory_recall", query="Alone"))
        for turn in itertools.islice(itertools.count(), 3):
            session.tool("memory_remember", content=f"Together {turn}.")
        assert session.close() == 0
