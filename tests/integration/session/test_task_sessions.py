"""Tasks through real sessions: waiting holds nothing up, ends when asked, and tells progress."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support import DEADLINE, Installation, RawSession, run, store_of, wait_until

from khive_supervisor import exitcodes
from khive_supervisor.store.tasks import TaskStore
from khive_supervisor.tasks import lease
from khive_supervisor.tasks.model import DONE, FAILED, Claim, Claimant, Outcome, RoleRow


@pytest.fixture
def tasks(khive: Installation) -> Iterator[TaskStore]:
    """The tasks of a running installation with a role that nobody serves but the test."""
    khive.start()
    with store_of(khive) as found:
        found.roles.set([RoleRow("reviewer", ("review",))])
        yield found.tasks


def take(tasks: TaskStore) -> Claim:
    claim: Claim = wait_until(
        lambda: tasks.claim(Claimant("reviewer", "w"), lease.now()), "there is a task"
    )
    return claim


def finish(tasks: TaskStore, claim: Claim, outcome: Outcome) -> None:
    assert tasks.finish(claim.id, claim.token, outcome, lease.now()).accepted


def test_a_wait_holds_up_no_other_call(khive: Installation, tasks: TaskStore) -> None:
    heard, halfway = asyncio.Event(), asyncio.Event()

    async def note(progress: float, total: float | None, message: str | None) -> None:
        heard.set()
        if message == "t1: halfway":
            halfway.set()

    async def main() -> None:
        async with khive.session() as client:
            assigned = await client.call_tool("agents_assign", {"task_type": "review"})
            assert assigned.structured_content is not None
            task = assigned.structured_content["task"]
            waiting = asyncio.create_task(
                client.call_tool("agents_wait", {"task": task}, progress_callback=note)
            )
            await heard.wait()
            for number in range(5):
                text = f"while it waits {number}"
                stored = await client.call_tool("memory_remember", {"content": text})
                assert not stored.is_error
            assert not waiting.done()
            claim = take(tasks)
            tasks.progress(claim.id, claim.token, "halfway")
            await halfway.wait()
            finish(tasks, claim, Outcome(DONE, {"ok": True}))
            answer = (await waiting).structured_content
            assert answer is not None
            assert answer["ended"] is True
            assert answer["tasks"][0]["result"] == {"ok": True}

    run(main())


def test_a_wait_ends_when_it_is_cancelled(khive: Installation, tasks: TaskStore) -> None:
    with RawSession(khive) as session:
        session.initialize()
        task = session.tool("agents_assign", role="reviewer")["structuredContent"]["task"]
        for number in range(20):  # more than may wait at once: each makes room for the next
            call = {
                "name": "agents_wait",
                "arguments": {"task": task, "timeout": 600},
                "_meta": {"progressToken": number},
            }
            request = {"jsonrpc": "2.0", "id": f"w{number}", "method": "tools/call", "params": call}
            session.send(json.dumps(request).encode() + b"\n")
            while session.read().get("method") != "notifications/progress":
                pass
            cancel = {"method": "notifications/cancelled", "params": {"requestId": f"w{number}"}}
            session.send(json.dumps({"jsonrpc": "2.0", **cancel}).encode() + b"\n")
        assert not session.tool("system_status").get("isError")
        assert session.close() == 0


def test_too_many_waits_are_refused(khive: Installation, tasks: TaskStore) -> None:
    async def main() -> None:
        async with khive.session() as client:
            await client.call_tool("agents_assign", {"role": "reviewer"})
            calls = [
                asyncio.create_task(client.call_tool("agents_wait", {"task": "t1"}))
                for _ in range(9)
            ]
            done, _ = await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
            (refused,) = [call.result() for call in done]
            assert refused.is_error
            assert "wait already" in refused.content[0].text
            finish(tasks, take(tasks), Outcome(DONE))
            answers = [await call for call in calls]
            assert sum(answer.is_error for answer in answers) == 1

    run(main())


def test_a_command_that_waits_ends_with_its_client(khive: Installation, tasks: TaskStore) -> None:
    before = khive.status()["sessions"]
    command = subprocess.Popen(
        [*khive.argv, "assign", "--role", "reviewer", "--wait"],
        env=khive.env, cwd=khive.home, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    wait_until(tasks.queue_depths, "the task is queued")
    wait_until(lambda: len(khive.status()["sessions"]) > len(before), "the command has a worker")
    command.send_signal(signal.SIGKILL)
    command.communicate(timeout=DEADLINE)
    wait_until(lambda: len(khive.status()["sessions"]) == len(before), "its worker has ended")


def test_tasks_from_the_shell(khive: Installation, tasks: TaskStore, tmp_path: Path) -> None:
    followed = tmp_path / "followed"
    with followed.open("wb") as file:
        follow = subprocess.Popen(
            [*khive.argv, "tasks", "--follow", "--json"],
            env=khive.env, cwd=khive.home, stdout=file, stderr=subprocess.DEVNULL,
        )  # fmt: skip
    try:
        wait_until(lambda: khive.status()["sessions"], "it follows")
        done = khive.run("assign", '{"pr": 7}', "--type", "review", "--key", "k")
        assert done.stdout == "t1 queued for reviewer\n"
        assert (
            khive.json("assign", '{"pr": 7}', "--role", "reviewer", "--key", "k")["created"]
            is False
        )
        said = khive.run("assign", "-", "--role", "reviewer", stdin="text")
        assert said.stdout == "t2 queued for reviewer\n"
        assert khive.run("cancel", "t2").stdout == "t2 cancelled: It is cancelled.\n"
        assert khive.run("retry", "t2").stdout == "t2 queued for reviewer\n"

        waiting = subprocess.Popen(
            [*khive.argv, "assign", "--role", "reviewer", "--wait", "--priority", "9"],
            env=khive.env,
            cwd=khive.home,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        finish(tasks, (first := take(tasks)), Outcome(DONE, {"by": first.id}))
        for _ in range(2):
            finish(tasks, take(tasks), Outcome(DONE, "text"))
        out, err = waiting.communicate(timeout=DEADLINE)
        assert waiting.returncode == 0, err
        assert out in ("text\n", '{\n  "by": 3\n}\n')

        shown = khive.run("task", "t1").stdout
        assert '{"pr": 7}' in shown
        assert "enqueued" in shown
        table = khive.run("tasks", "--state", "done").stdout.splitlines()
        assert table[0].split() == ["TASK", "STATE", "ROLE", "TYPE", "ATTEMPTS", "CREATED", "WHAT"]
        assert len(table) == 4
        assert "reviewer  in       1        0       0       review" in khive.run("roles").stdout

        wait_until(
            lambda: followed.read_text().count('"done"') == 3, "it has told of all that were done"
        )
    finally:
        follow.send_signal(signal.SIGINT)
        follow.wait(DEADLINE)
    first_line: dict[str, Any] = json.loads(followed.read_text().splitlines()[0])
    assert (first_line["task"], first_line["what"]) == ("t1", "enqueued")
    assert follow.returncode == exitcodes.FAILURE


def test_a_task_that_fails_is_a_command_that_fails(khive: Installation, tasks: TaskStore) -> None:
    waiting = subprocess.Popen(
        [*khive.argv, "assign", "--role", "reviewer", "--wait"],
        env=khive.env, cwd=khive.home, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    finish(tasks, take(tasks), Outcome(FAILED, error="it broke", final=True))
    out, _ = waiting.communicate(timeout=DEADLINE)
    assert (waiting.returncode, out) == (exitcodes.FAILURE, "t1 failed: it broke\n")


def test_a_session_without_a_supervisor_waits_too(khive: Installation) -> None:
    with RawSession(khive, KHIVE_NO_DAEMON="1") as session:
        session.initialize()
        assert session.tool("khive_call", verb="agents.roles")["structuredContent"] == {"roles": []}
        with store_of(khive) as store:
            store.roles.set([RoleRow("reviewer")])
            session.tool("agents_assign", role="reviewer")
            finish(store.tasks, take(store.tasks), Outcome(DONE, "result"))
        answer = session.tool("agents_wait", task="t1")["structuredContent"]
        assert answer["tasks"][0]["result"] == "result"
        assert session.close() == 0
