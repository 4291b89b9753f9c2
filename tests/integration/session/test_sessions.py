"""Sessions: attach, share, survive; with the official client in both eras of the protocol."""

from __future__ import annotations

import json
import os
import signal

import pytest
from support import Installation, RawSession, alive, kill, run, wait_until


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_two_sessions_share_a_memory_by_meaning(shared: Installation, mode: str) -> None:
    async def main() -> None:
        async with shared.session(mode) as first, shared.session(mode) as second:
            stored = await first.call_tool(
                "memory_remember",
                {"content": f"The deploy credential for staging is in the vault ({mode})"},
            )
            assert stored.structured_content is not None
            assert stored.structured_content["status"] == "stored"
            found = await second.call_tool(
                "memory_recall", {"query": f"which password opens the test environment {mode}"}
            )
            assert found.structured_content is not None
            ids = [result["id"] for result in found.structured_content["results"]]
            assert stored.structured_content["id"] in ids

    run(main())


def test_a_session_starts_a_supervisor_if_none_runs(khive: Installation) -> None:
    with RawSession(khive) as session:
        answer = session.initialize()
        assert answer["result"]["serverInfo"]["name"] == "khive"
        assert session.close() == 0
    assert khive.status()["state"] == "ready"


def test_fifty_sessions_at_once_start_one_supervisor(khive: Installation) -> None:
    sessions = [RawSession(khive) for _ in range(50)]
    try:
        for session in sessions:
            session.initialize()
        wait_until(lambda: len(khive.status()["sessions"]) == 50, "50 sessions are registered")
        assert [session.close() for session in sessions] == [0] * 50
    finally:
        for session in sessions:
            session.__exit__()
    assert len(khive.events("supervisor.started")) == 1
    wait_until(lambda: not khive.status()["sessions"], "every worker is gone")


def test_a_killed_worker_is_replaced_and_the_call_in_flight_answered(shared: Installation) -> None:
    with RawSession(shared) as session:
        session.initialize()
        session.tool("memory_remember", content="before the worker died")
        (worker,) = wait_until(
            lambda: [
                s for s in shared.status()["sessions"] if s["client_pid"] == session.process.pid
            ],
            "the worker is registered",
        )
        kill(worker["pid"], signal.SIGSTOP)
        request = {"jsonrpc": "2.0", "id": "x", "method": "tools/list", "params": {}}
        session.send(json.dumps(request).encode() + b"\n")
        kill(worker["pid"])
        # The stopped worker may never have read the request: then its successor answers it.
        # And the answer before may come once more, if it died before it noted that it had answered.
        wait_until(lambda: session.read()["id"] == "x", "the request is answered")
        found = session.tool("memory_recall", query="before the worker died")
        assert found["structuredContent"]["results"]
        assert session.close() == 0


def test_a_session_outlives_its_supervisor_and_registers_with_the_next(
    khive: Installation,
) -> None:
    khive.start()
    with RawSession(khive) as session:
        session.initialize()
        session.tool("memory_remember", content="the kettle is in the left cupboard")
        kill(khive.status()["pid"])
        wait_until(lambda: khive.status_or_none() is None, "the supervisor is gone")
        found = session.tool("memory_recall", query="kettle cupboard")
        assert found["structuredContent"]["results"]
        khive.start()
        wait_until(
            lambda: [
                s for s in khive.status()["sessions"] if s["client_pid"] == session.process.pid
            ],
            "the session is registered again",
        )
        assert session.close() == 0


def test_attach_killed_ends_its_worker(shared: Installation) -> None:
    with RawSession(shared) as session:
        session.initialize()
        (worker,) = wait_until(
            lambda: [
                s for s in shared.status()["sessions"] if s["client_pid"] == session.process.pid
            ],
            "the worker is registered",
        )
        kill(session.process.pid)
        assert session.stdout.read() == b""
        wait_until(lambda: not alive(worker["pid"]), "the worker is gone")


def test_without_a_daemon_a_session_serves_itself(khive: Installation) -> None:
    with RawSession(khive, KHIVE_NO_DAEMON="1") as session:
        session.initialize()
        stored = session.tool("memory_remember", content="alone in the dark")
        assert stored["structuredContent"]["status"] == "stored"
        found = session.tool("memory_recall", query="by myself at night")
        assert [r["id"] for r in found["structuredContent"]["results"]] == ["m1"]
        assert session.close() == 0
    assert khive.status_or_none() is None
    assert not os.path.exists(khive.socket)


def test_workers_started_by_exec_serve_the_same(khive: Installation) -> None:
    khive.configure('[supervisor]\nworker_start = "exec"\n')
    khive.start()
    assert khive.status()["worker_start"] == "exec"
    with RawSession(khive) as session:
        session.initialize()
        session.tool("memory_remember", content="started by exec")
        found = session.tool("memory_recall", query="exec")
        assert found["structuredContent"]["results"]
        assert session.close() == 0


def test_answers_still_come_after_the_client_closed_its_stdin(shared: Installation) -> None:
    with RawSession(shared) as session:
        session.initialize()
        call = {"name": "memory_remember", "arguments": {"content": "written and closed at once"}}
        request = {"jsonrpc": "2.0", "id": 9, "method": "tools/call", "params": call}
        session.send(json.dumps(request).encode() + b"\n")
        session.stdin.close()
        assert session.read()["id"] == 9
        assert session.process.wait(60) == 0
