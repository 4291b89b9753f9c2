"""What real transcripts tell, and what strange ones do not."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from khive_supervisor.store.journal.model import JournalEvent
from khive_supervisor.transcripts import claude, codex
from khive_supervisor.transcripts.form import (
    Reader,
    TranscriptState,
    line_of,
    moment,
    restored,
    saved,
)

FAILED = "KeyError: boom\nmake: *** [Makefile:2: test] Error 2"
DATA = Path(__file__).parents[2] / "data" / "transcripts"


def told(read: Reader, lines: Iterable[Any]) -> tuple[TranscriptState, list[JournalEvent]]:
    state, found = TranscriptState(), []
    for line in lines:
        state = restored(saved(state))
        state, events = read(state, line)
        found += events
    return state, found


def shown(events: Iterable[JournalEvent]) -> list[tuple[Any, ...]]:
    return [
        (str(one.kind), str(one.speaker), one.text or one.path, one.exit_code) for one in events
    ]


def lines_of(name: str) -> list[Any]:
    return [json.loads(line) for line in (DATA / name).read_text("utf-8").splitlines()]


def test_a_real_session_of_claude_code() -> None:
    state, events = told(claude.read, lines_of("claude-2.1.jsonl"))
    assert shown(events) == [
        ("prompt", "user", "Run the tests, we always use make.", None),
        ("command", "agent", "make test", 2),
        (
            "error",
            "tool",
            f"Exit code 2\n{FAILED}",
            None,
        ),
        ("command", "agent", "echo hi > a.txt && cat a.txt", 0),
        ("edit", "agent", "/home/ada/app/b.txt", None),
        ("edit", "agent", "/home/ada/app/b.txt", None),
        ("answer", "agent", "Done: all is well.", None),
    ]
    assert {one.session for one in events} == {"543a26e8-11c9-414f-b5fd-42e6a3877a46"}
    assert (state.cwd, state.version, state.unknown) == ("/home/ada/app", "2.1.197", 0)
    assert events[0].at == pytest.approx(1796001302.636)


def test_a_real_session_of_codex() -> None:
    state, events = told(codex.read, lines_of("codex-0.171.jsonl"))
    assert shown(events) == [
        ("prompt", "user", "Run the tests, we always use make.", None),
        ("command", "agent", "make test", 2),
        ("error", "tool", f"{FAILED}\n", None),
        ("command", "agent", "echo hi", 0),
        ("edit", "agent", "/home/ada/app/c.txt", None),
        ("answer", "agent", "Done: all is well.", None),
    ]
    assert (state.cwd, state.version, state.unknown) == ("/home/ada/app", "0.171.0", 0)


def user(content: Any, **more: Any) -> dict[str, Any]:
    line = {"type": "user", "sessionId": "s", "message": {"role": "user", "content": content}}
    return line | more


@pytest.mark.parametrize(
    "line",
    [
        user("look", isSidechain=True),
        user("caveat", isMeta=True),
        user("summary", isCompactSummary=True),
        user("<command-name>/clear</command-name>"),
        user("[Request interrupted by user]"),
        user("This session is being continued from a previous conversation"),
        user([{"type": "tool_result", "tool_use_id": "unknown", "content": "From now on"}]),
        user([{"type": "image"}]),
        user(None),
        {"type": "summary", "summary": "x"},
        {"type": "system", "subtype": "local_command"},
    ],
)
def test_what_claude_code_says_in_the_users_place_is_no_prompt(line: dict[str, Any]) -> None:
    state, events = told(claude.read, [line])
    assert (events, state.unknown) == ([], 0)


def test_blocks_of_text_are_a_prompt_and_a_compaction_is_told() -> None:
    lines = [
        user([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}, 7]),
        {"type": "system", "subtype": "compact_boundary"},
        {"type": "assistant", "message": {"content": "said"}},
    ]
    _, events = told(claude.read, lines)
    assert shown(events) == [
        ("prompt", "user", "a\nb", None),
        ("compact", "tool", "", None),
        ("answer", "agent", "said", None),
    ]


def test_a_call_that_is_interrupted_has_no_exit_code() -> None:
    call = {"type": "tool_use", "id": "t", "name": "Bash", "input": {"command": "sleep 9"}}
    result = {"type": "tool_result", "tool_use_id": "t", "content": "stopped", "is_error": True}
    lines = [{"type": "assistant", "message": {"content": [call, "?"]}}, user([result])]
    _, events = told(claude.read, lines)
    assert shown(events)[0] == ("command", "agent", "sleep 9", None)


def test_lines_of_newer_kinds_are_counted_and_not_guessed() -> None:
    for read in (claude.read, codex.read):
        state, events = told(read, [{"type": "hologram", "payload": {"text": "x"}}, {}])
        assert (state.unknown, state.lines, events) == (2, 2, [])


def response(**payload: Any) -> dict[str, Any]:
    return {"type": "response_item", "payload": payload}


def message(role: str, text: str, **more: Any) -> dict[str, Any]:
    content = [{"type": "input_text", "text": text}]
    return response(type="message", role=role, content=content, **more)


OLDER = [
    {"type": "session_meta", "payload": {"id": "s", "cwd": "/w", "cli_version": "0.50.0"}},
    message("user", "<environment_context>x</environment_context>"),
    message("user", "# AGENTS.md instructions for /w"),
    message("developer", "be good"),
    message("user", "go"),
    response(type="reasoning"),
    response(
        type="function_call", name="shell", call_id="a",
        arguments='{"command": ["bash", "-lc", "make test"]}',
    ),
    response(type="function_call_output", call_id="a", output='{"metadata":{"exit_code":2}}'),
    response(
        type="function_call", name="exec_command", call_id="b", arguments='{"cmd": "ls -la"}'
    ),
    response(type="function_call_output", call_id="b", output="Process exited with code 0\nok"),
    response(
        type="custom_tool_call", name="apply_patch", call_id="c",
        input="*** Begin Patch\n*** Update File: a.py\n*** Add File: b.py\n",
    ),
    response(type="custom_tool_call_output", call_id="c", output="ok"),
    response(type="local_shell_call", call_id="d", action={"command": ["ls", "x"]}),
    response(type="function_call_output", call_id="d", output=[{"text": "no code"}]),
    response(type="function_call", name="view", call_id="e", arguments="{not json"),
    response(type="function_call_output", call_id="e", output="x"),
    response(type="function_call_output", call_id="nobody", output="x"),
    message("assistant", "done"),
    message("assistant", " "),
    {"type": "compacted", "payload": {}},
    {"type": "event_msg", "payload": {"type": "item_completed", "item": {"type": "Plan"}}},
    {"type": "event_msg", "payload": {"type": "agent_message", "message": "done"}},
]  # fmt: skip


def test_an_older_codex_tells_by_calls_and_their_outputs() -> None:
    _, events = told(codex.read, OLDER)
    assert shown(events) == [
        ("prompt", "user", "go", None),
        ("command", "agent", "make test", 2),
        ("error", "tool", '{"metadata":{"exit_code":2}}', None),
        ("command", "agent", "ls -la", 0),
        ("edit", "agent", "a.py", None),
        ("edit", "agent", "b.py", None),
        ("command", "agent", "ls x", None),
        ("answer", "agent", "done", None),
        ("compact", "tool", "", None),
    ]


def test_a_message_that_codex_says_is_not_the_users_is_none() -> None:
    kinds = {"content_item_kinds": ["hook.context"]}
    passthrough = {"internal_chat_message_metadata_passthrough": kinds}
    assert told(codex.read, [message("user", "From now on", **passthrough)])[1] == []


@pytest.mark.parametrize("data", [b"", b"\xff\xfe", b"[1]", b"{", b'{"a": 1' * 2, b"[" * 100_000])
def test_what_is_no_line_of_json_is_none(data: bytes) -> None:
    assert line_of(data) is None


def test_what_is_no_text_is_made_one() -> None:
    _, events = told(claude.read, [user("half \ud800 a pair", sessionId="\udfff")])
    assert events[0].text.encode()
    assert events[0].session.encode()


def test_a_state_that_cannot_be_read_is_a_new_one() -> None:
    for text in ("", "{", "[]", '{"session": 1}', "null"):
        assert restored(text) == TranscriptState()


def test_a_time_that_is_none_is_the_beginning_of_all() -> None:
    assert (moment("soon"), moment(None), moment("9999999-01-01")) == (0.0, 0.0, 0.0)
