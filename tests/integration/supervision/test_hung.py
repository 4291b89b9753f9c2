"""Processes that are there and do nothing: found by their silence, said, and replaced."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest
from role_support import bench
from support import DEADLINE, Installation, RawSession, alive, kill, spare, wait_until

#: Starts in no time: what hangs here has nothing to do with meaning.
WITHOUT_MODEL = '[embedder]\nkind = "none"\n'


def _stop(pid: int) -> None:
    os.kill(pid, signal.SIGSTOP)


def _replaced(khive: Installation, name: str, old: int) -> dict[str, Any] | None:
    child = khive.child(name)
    return child if child["state"] == "ready" and child["pid"] != old else None


def _worker(khive: Installation) -> int:
    """The one session's worker, once it is registered."""
    (found,) = wait_until(lambda: khive.status()["sessions"], "the session is registered")
    return int(found["pid"])


def _text(path: str) -> str:
    return Path(path).read_text() if Path(path).exists() else ""


def test_children_that_do_not_answer_are_named_and_replaced(khive: Installation) -> None:
    khive.configure("[http]\nenabled = true\nport = 0\n")
    khive.start()
    old = {name: khive.child(name)["pid"] for name in ("zygote", "embedder", "http")}
    for pid in old.values():
        _stop(pid)
    wait_until(lambda: all(khive.child(name)["state"] == "hung" for name in old), "all are named")
    assert khive.status()["state"] == "degraded"
    for name, pid in old.items():
        new = wait_until(lambda n=name, p=pid: _replaced(khive, n, p), f"{name} is replaced")
        assert (new["hung"], new["restarts"]) == (1, 1)
    assert {event["child"] for event in khive.events("child.hung")} == set(old)
    wait_until(lambda: khive.status()["state"] == "ready", "all is well again")


@pytest.mark.long
def test_clients_that_come_to_a_hung_zygote_are_told_and_served(khive: Installation) -> None:
    khive.configure(WITHOUT_MODEL)
    khive.start()
    zygote = khive.child("zygote")["pid"]
    _stop(zygote)
    with RawSession(khive) as session:
        session.initialize()  # by the next zygote, which gets what the hung one had not read
        assert session.tool("memory_remember", content="A stopped zygote delays, and no more.")
        assert khive.call("memory.recall", query="zygote")["results"]
    assert khive.child("zygote")["hung"] == 1


def test_a_call_in_a_stopped_session_worker_is_answered_by_another(khive: Installation) -> None:
    khive.configure(WITHOUT_MODEL)
    khive.start()
    with RawSession(khive) as session:
        session.initialize()
        assert session.tool("memory_remember", content="Kept before the worker was stopped.")
        old = _worker(khive)
        _stop(old)
        answer = session.request(
            "tools/call", {"name": "memory_recall", "arguments": {"query": "stopped"}}
        )
        if "error" in answer:  # it had been taken up: answered, not lost, and not done twice
            answer = session.request(
                "tools/call", {"name": "memory_recall", "arguments": {"query": "stopped"}}
            )
        assert len(answer["result"]["structuredContent"]["results"]) == 1
        assert _worker(khive) != old
        assert not alive(old)
        assert [event["worker"] for event in khive.events("session.hung")] == [old]
        assert session.close() == 0


@pytest.mark.long
def test_workers_that_were_stopped_before_their_supervisor_ended_are_found(
    khive: Installation,
) -> None:
    khive.configure(WITHOUT_MODEL)
    khive.start()
    with RawSession(khive) as session:
        session.initialize()
        assert session.tool("memory_remember", content="Kept before the worker was stopped.")
        left = [_worker(khive), khive.child("zygote")["pid"], spare(khive)]
        for pid in left:
            _stop(pid)
        kill(khive.status()["pid"])
        wait_until(lambda: khive.status_or_none() is None, "the supervisor is gone")
        khive.start()
        answer = session.request("tools/list", {})
        assert "error" in answer or answer["result"]["tools"]
        wait_until(lambda: not any(alive(pid) for pid in left), "they are gone")
        assert session.tool("memory_recall", query="stopped")["structuredContent"]["results"]
        assert session.close() == 0


@pytest.mark.long
def test_a_stopped_worker_ends_with_all_sessions(khive: Installation) -> None:
    khive.configure(WITHOUT_MODEL)
    khive.start()
    with RawSession(khive) as hung, RawSession(khive) as well:
        hung.initialize()
        _stop(worker := _worker(khive))
        well.initialize()
        khive.run("stop", "--sessions")
        hung.process.wait(DEADLINE)
        assert well.process.wait(DEADLINE) == 0
        wait_until(lambda: not alive(worker), "the stopped worker is gone")


@pytest.mark.long
def test_a_stopped_spare_delays_one_client(khive: Installation) -> None:
    khive.configure(WITHOUT_MODEL)
    khive.start()
    _stop(spare(khive))
    with RawSession(khive) as session:
        session.initialize()
        assert session.tool("memory_recall", query="anything")
        assert len(khive.events("session.hung")) == 1


def test_a_task_of_a_stopped_worker_is_done_by_another_once(khive: Installation) -> None:
    with bench(khive) as roles:
        roles.configure(roles.python("py", "until"))
        khive.start()
        gate = roles.gate("one")
        number = roles.assign("py", gate, attempts=2)
        old = roles.began(gate)
        _stop(old)
        wait_until(lambda: _text(gate["began"]) not in ("", str(old)), "another one is at work")
        assert not alive(old)
        roles.open(gate)
        assert roles.ended(number).result == 2
        assert [event["worker_pid"] for event in khive.events("role.hung")] == [old]
        assert len(khive.events("role.hung")) == 1
