"""How a supervisor ends, and how it goes on when what it needs dies or runs out."""

from __future__ import annotations

import contextlib
import os
import signal
import socket

import pytest
from support import (
    DEADLINE,
    Installation,
    RawSession,
    ended,
    foreground,
    kill,
    limited,
    spare,
    wait_until,
)

# --- signals -------------------------------------------------------------------------------------

#: Moments of a start, by what can be seen of them.
MOMENTS = {
    "locked": lambda khive: (khive.store.with_name("khive.db.lock")).exists(),
    "bound": lambda khive: os.path.exists(khive.socket),
    "children": lambda khive: len(khive.events("child.started")) == 2,
    "ready": lambda khive: (khive.status_or_none() or {}).get("state") == "ready",
}


#: Each moment once, each signal twice; all of both before a release.
ENDS = [
    (moment, number)
    if (turn + number) % 2
    else pytest.param(moment, number, marks=pytest.mark.long)
    for turn, moment in enumerate(MOMENTS)
    for number in (signal.SIGTERM, signal.SIGINT)
]


@pytest.mark.parametrize(("moment", "number"), ENDS)
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


def test_what_was_stopped_as_its_zygote_was_killed_ends_with_the_supervisor(
    khive: Installation,
) -> None:
    khive.start()
    waits, zygote = spare(khive), khive.child("zygote")["pid"]
    kill(waits, signal.SIGSTOP)
    kill(zygote, signal.SIGKILL)  # nobody is its parent now who would look at it
    wait_until(lambda: khive.child("zygote")["pid"] not in (None, zygote), "another zygote")
    assert waits in khive.processes()
    khive.stop()
    assert khive.gone()


def test_stop_ends_what_is_stopped_when_there_is_no_supervisor_either(khive: Installation) -> None:
    khive.start()
    waits, zygote = spare(khive), khive.child("zygote")["pid"]
    supervisor = khive.status()["pid"]
    kill(waits, signal.SIGSTOP)
    kill(zygote, signal.SIGKILL)
    kill(supervisor, signal.SIGKILL)
    wait_until(lambda: supervisor not in khive.processes(), "it is gone")
    khive.stop()
    assert khive.gone()


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
        found = session.tool("memory_recall", query="stop", floor=0)
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


@pytest.mark.long
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
