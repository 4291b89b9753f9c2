"""What clients' hooks say, in the forms of Claude Code and of Codex, and what is none of them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from khive_supervisor.packs.hooks.events import HookEvent, journalled, of_fields, of_text


def event(name: str, client: str = "claude-code", **said: Any) -> HookEvent:
    return of_text(client, name, json.dumps({"session_id": "s", **said}))


def kinds(one: HookEvent) -> list[tuple[str, str, str, int | None]]:
    found = journalled(one, "s", 1, "default", 5.0)
    return [(e.kind, e.speaker, e.text or e.path, e.exit_code) for e in found]


def test_a_prompt_is_its_users() -> None:
    one = event("UserPromptSubmit", prompt="fix it", cwd="/p")
    assert (one.session, one.cwd) == ("s", "/p")
    assert kinds(one) == [("prompt", "user", "fix it", None)]


def test_half_a_pair_in_what_is_said_is_text() -> None:
    inner = json.dumps({"command": "echo \ud83d"})
    one = of_text("codex", "PostToolUse", json.dumps({"session_id": "s\ud800", "tool_name": "shell",
                  "tool_input": inner, "cwd": "/p\udfff"}))  # fmt: skip
    assert (one.session, one.cwd) == ("s\ufffd", "/p\ufffd")
    assert all(text.encode() for kind, _, text, _ in kinds(one) if kind == "command")


def test_a_command_of_claude_code() -> None:
    given = {"command": "make test"}
    good = event("PostToolUse", tool_name="Bash", tool_input=given, tool_response={"stdout": "ok"})
    assert kinds(good) == [("command", "agent", "make test", 0)]
    bad = event("PostToolUseFailure", tool_name="Bash", tool_input=given,
                error="Exit code 2\nmake: *** no rule")  # fmt: skip
    assert kinds(bad) == [
        ("command", "agent", "make test", 2),
        ("error", "tool", "Exit code 2\nmake: *** no rule", None),
    ]


@pytest.mark.parametrize(
    ("response", "code"),
    [
        ("Exit code: 1\nWall time: 0.1 seconds\nOutput:\nboom", 1),
        ({"output": "boom", "metadata": {"exit_code": 3}}, 3),
        ({"exit_code": 0, "output": "fine"}, 0),
        # Of what it says alone, no exit code can be told; only that it has failed.
        ("all is well", None),
        ("the log says: exit code 1, error: none\nand so on\n1\n2\n3\n4\n5", None),
    ],
)
def test_a_command_of_codex(response: Any, code: int | None) -> None:
    one = event("PostToolUse", "codex", tool_name="shell", tool_response=response,
                tool_input={"command": ["bash", "-lc", "make"]})  # fmt: skip
    assert kinds(one)[0] == ("command", "agent", "make", code)
    assert one.failed == bool(code)
    assert len(kinds(one)) == 1 + one.failed


@pytest.mark.parametrize(
    ("output", "failed"),
    [
        ("Traceback (most recent call last):\n  File\nKeyError: 'tax'", True),
        ("app.errors.NotThere: no", False),
        ("java.lang.IllegalStateException: bad", True),
        ("bash: khivve: command not found", True),
        ("error[E0382]: borrow of moved value", True),
        ("fatal: not a git repository", True),
        ("make: *** [all] Error 2", True),
        ("===== 1 failed, 3 passed in 0.1s =====", True),
        ("def error(): pass\nfatal = False\nraise KeyError", False),
        ("===== 3 passed in 0.1s =====", False),
        ("KeyError: x\n" + "fine\n" * 6, False),
        ("", False),
    ],
)
def test_an_output_without_an_exit_code_looks_as_if_it_failed(output: str, failed: bool) -> None:
    one = event("PostToolUse", "codex", tool_name="Bash", tool_response=output,
                tool_input={"command": "make"})  # fmt: skip
    assert (one.failed, one.exit_code) == (failed, None)


def test_edits_of_both() -> None:
    one = event("PostToolUse", tool_name="Edit", tool_input={"file_path": "/p/a.py"})
    assert kinds(one) == [("edit", "agent", "/p/a.py", None)]
    patch = "*** Begin Patch\n*** Update File: a.py\n@@\n*** Add File: b.py\n*** End Patch"
    one = event("PostToolUse", "codex", tool_name="apply_patch", tool_input={"command": patch})
    assert one.paths == ("a.py", "b.py")
    failed = event("PostToolUseFailure", tool_name="Edit", tool_input={"file_path": "/p/a.py"},
                   error="String to replace not found")  # fmt: skip
    assert [kind for kind, *_ in kinds(failed)] == ["error"]


def test_what_a_tool_call_is_given_as_json_is_read() -> None:
    said = {"tool_name": "Bash", "tool_input": '{"command": "ls"}'}
    assert of_fields("claude-code", "PostToolUse", said).command == "ls"


def test_starts_ends_and_answers() -> None:
    assert kinds(event("SessionStart", source="startup"))[0][0] == "start"
    assert kinds(event("SessionStart", source="compact"))[0][0] == "compact"
    assert kinds(event("SessionEnd"))[0][0] == "end"
    assert kinds(event("Stop", last_assistant_message="done")) == [
        ("answer", "agent", "done", None)
    ]
    assert kinds(event("Stop")) == []
    assert kinds(event("PreCompact", trigger="auto")) == []


@pytest.mark.parametrize("said", ["", "[]", "null", "{", '{"prompt": 5}', "[" * 100_000, "\0"])
def test_anything_is_an_event(said: str) -> None:
    one = of_text("codex", "UserPromptSubmit", said)
    assert (one.session, one.prompt) == ("", "")
    assert journalled(one, "s", None, "default", 0.0) == []


def test_what_is_huge_is_cut() -> None:
    assert len(event("UserPromptSubmit", prompt="x" * 1_000_000).prompt) == 200_000
