"""`khive-supervisor hook` with a supervisor: told once, passed over, started, many at once."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest
from support import Installation, RawSession, wait_until

PORT = "The database listens on port 5433."
ASKED = "which port does the database listen on?"


def hook(khive: Installation, name: str, client: str = "codex", **said: Any) -> str:
    done = khive.run("hook", name, "--client", client, stdin=json.dumps(said))
    assert done.stderr == ""
    return done.stdout


def told(printed: str) -> str:
    return str(json.loads(printed)["hookSpecificOutput"]["additionalContext"]) if printed else ""


@pytest.fixture(scope="module")
def started(shared: Installation) -> Installation:
    """A supervisor that all share: each test has sessions of its own names."""
    shared.call("memory.remember", content=PORT)
    return shared


def sessions(khive: Installation) -> list[str]:
    return [one["session"] for one in khive.json("sessions")["sessions"]]


def test_a_session_of_codex_from_its_start_to_its_end(started: Installation) -> None:
    said: dict[str, Any] = {"session_id": "c1", "cwd": "/elsewhere"}
    assert PORT in told(hook(started, "session-start", **said, source="startup"))
    assert hook(started, "user-prompt-submit", **said, prompt=ASKED) == ""
    assert hook(started, "user-prompt-submit", session_id="c2", prompt="continue") == ""
    shell = {"tool_name": "Bash", "tool_input": {"command": "make"}, "tool_response": "ok"}
    assert hook(started, "post-tool-use", **said, **shell) == ""
    assert hook(started, "stop", **said, last_assistant_message="It is 5433.") == ""
    assert hook(started, "session-end", **said) == ""

    def ended() -> bool:
        shown = started.json("sessions")["sessions"]
        return {one["session"]: one["state"] for one in shown}["c1"] == "ended"

    wait_until(ended, "the session has ended")
    (first,) = [one for one in started.json("sessions")["sessions"] if one["session"] == "c1"]
    assert first["last_prompt"] == ASKED
    assert first["cwd"] != "/elsewhere", "the directory is the process's"


def test_claude_code_reads_plain_text_at_its_start(started: Installation) -> None:
    assert hook(started, "session-start", "claude-code", session_id="plain").startswith("Memory")


def test_a_hook_may_be_called_as_clients_call_its_event(started: Installation) -> None:
    assert PORT in hook(started, "SessionStart", "claude-code", session_id="named")


def test_a_prompt_on_the_sessions_own_pipe(started: Installation) -> None:
    with RawSession(started, CLAUDE_CODE_SESSION_ID="piped") as session:
        session.initialize()
        tools = session.request("tools/list", {})["result"]["tools"]
        assert not [tool for tool in tools if "hooks" in tool["name"]]
        event = {"event": "UserPromptSubmit", "session_id": "piped", "prompt": ASKED}
        answer = session.tool("hooks_event", **event)
        assert PORT in answer["content"][0]["text"]
        assert json.loads(answer["content"][0]["text"])["hookSpecificOutput"]
        assert session.tool("hooks_event", **event)["content"][0]["text"] == "{}"
        refused = session.tool("khive_call", verb="hooks.event", args=event)
        assert refused["isError"]
        assert "for clients" in refused["content"][0]["text"]
        shown = session.tool("khive_help")["content"][0]["text"]
        assert "hooks.event" not in shown


def test_another_sessions_events_are_passed_over(started: Installation) -> None:
    said = {"session_id": "another", "prompt": ASKED}
    done = started.run("hook", "user-prompt-submit", "--client", "claude-code",
                       stdin=json.dumps(said), CLAUDE_CODE_SESSION_ID="own")  # fmt: skip
    assert done.stdout == ""
    assert not {"another", "own"} & set(sessions(started))


def test_without_a_supervisor_one_is_started_for_the_next_time(khive: Installation) -> None:
    assert hook(khive, "session-start", session_id="c1") == ""
    wait_until(khive.status_or_none, "a supervisor was started")
    assert "no supervisor was running" in (khive.log.parent / "hooks.log").read_text()
    khive.call("memory.remember", content=PORT)
    assert PORT in told(hook(khive, "session-start", session_id="c2"))


def test_ten_sessions_at_once_in_one_project(started: Installation) -> None:
    def begin(number: int) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [*started.argv, "hook", "user-prompt-submit", "--client", "codex"],
            env=started.env, cwd=started.home, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        assert process.stdin is not None
        process.stdin.write(json.dumps({"session_id": f"one of ten {number}", "prompt": ASKED}))
        process.stdin.close()
        process.stdin = None
        return process

    processes = [begin(number) for number in range(10)]
    ends = [process.communicate() for process in processes]
    assert [process.returncode for process in processes] == [0] * 10
    assert {errors for _, errors in ends} == {""}
    assert all(PORT in told(printed) for printed, _ in ends if printed)
    assert len([name for name in sessions(started) if name.startswith("one of ten")]) >= 8


def test_a_huge_prompt_and_binary_output_are_taken(started: Installation) -> None:
    assert hook(started, "user-prompt-submit", session_id="huge", prompt="word " * 200_000) == ""
    output = {"stdout": "\x00\x01\ufffd" * 10_000, "metadata": {"exit_code": 1}}
    hook(started, "post-tool-use", session_id="huge", tool_name="Bash",
         tool_input={"command": "cat /bin/ls"}, tool_response=output)  # fmt: skip
    assert "huge" in sessions(started)
