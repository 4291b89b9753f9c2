"""How agents are called and what their output means; the samples have the shape of real ones."""

from __future__ import annotations

import json
import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khive_supervisor.agents import claude, codex, formats, plain
from khive_supervisor.agents.model import (
    TEXT_LIMIT,
    AgentAnswer,
    AgentOutput,
    Ask,
    Server,
    prompt_of,
)
from khive_supervisor.config.settings.handler import Handler
from khive_supervisor.config.settings.roles import Role
from khive_supervisor.tasks.model import TokenCounts, Usage

SERVER = Server(("/bin/khive", "attach"), {"KHIVE_ACTOR": "reviewer", "KHIVE_NAMESPACE": "a b"})
PROMPT = 'You "review".\nTwo \\ lines.'


def ask(*agent: str, resume: str = "", tools: tuple[str, ...] = (), **keys: Any) -> Ask:
    role = Role(
        role="reviewer", task_types=("review",), handler=Handler(agent=agent), tools=tools, **keys
    )
    return Ask(role, "Review it", SERVER, resume=resume, new_session="new-uuid")


# --- Claude Code ----------------------------------------------------------------------------------

#: What it printed after a tool call and an answer, without what nobody reads here.
RESULT: dict[str, Any] = {
    "type": "result",
    "subtype": "success",
    "is_error": False,
    "api_error_status": None,
    "num_turns": 2,
    "result": "Looks good.",
    "session_id": "5f1c",
    "total_cost_usd": 0.0012000000000000001,
    "usage": {
        "input_tokens": 200,
        "cache_creation_input_tokens": 5,
        "cache_read_input_tokens": 7,
        "output_tokens": 40,
        "server_tool_use": {"web_search_requests": 0},
    },
    "modelUsage": {},
    "permission_denials": [],
}


def claude_said(code: int = 0, errors: str = "", **changes: Any) -> AgentOutput:
    return AgentOutput(code, json.dumps({**RESULT, **changes}) + "\n", errors)


def test_claude_is_called_with_the_role_and_this_memory() -> None:
    asked = ask(
        "claude", "--max-turns", "9", model="sonnet", prompt=PROMPT, tools=("Read", "Bash(git *)")
    )
    call = claude.call(asked)
    assert call.stdin == b"Review it"
    assert call.session == "new-uuid"
    words = list(call.arguments)
    assert words[:5] == ["--max-turns", "9", "-p", "--output-format", "json"]
    config = json.loads(words[words.index("--mcp-config") + 1])
    assert config["mcpServers"]["khive"]["command"] == "/bin/khive"
    assert config["mcpServers"]["khive"]["args"] == ["attach"]
    assert config["mcpServers"]["khive"]["env"] == dict(SERVER.environment)
    assert words[words.index("--model") + 1] == "sonnet"
    assert words[words.index("--append-system-prompt") + 1] == PROMPT
    allowed = words.index("--allowedTools")
    assert words[allowed + 1 : allowed + 4] == ["mcp__khive", "Read", "Bash(git *)"]
    assert words[-2:] == ["--session-id", "new-uuid"]


def test_claude_resumes_and_is_told_to_print_once() -> None:
    words = claude.call(ask("claude", "-p", resume="old")).arguments
    assert words.count("-p") == 1
    assert words[-2:] == ("--resume", "old")
    assert "--model" not in words
    assert "--append-system-prompt" not in words


def test_what_claude_answers_costs_and_remembers() -> None:
    tokens = TokenCounts(205, 7, 40)
    wanted = AgentAnswer("Looks good.", session="5f1c", usage=Usage(1200, 252), tokens=tokens)
    assert claude.read(claude_said(), 0) == wanted
    # A line of a wrapper before it, and the list that --verbose makes of it.
    noise = AgentOutput(0, "warning: {x}\n" + json.dumps(RESULT) + "\n")
    assert claude.read(noise, 0) == wanted
    listed = AgentOutput(0, json.dumps([{"type": "system"}, RESULT]))
    assert claude.read(listed, 0) == wanted


def test_tokens_of_all_its_models_count() -> None:
    each = {"inputTokens": 1, "outputTokens": 2, "cacheReadInputTokens": 3, "costUSD": 1}
    said = claude_said(modelUsage={"a": each, "b": each, "c": None})
    assert claude.read(said, 0).usage == Usage(1200, 12)


@pytest.mark.parametrize(
    ("said", "text", "final"),
    [
        (
            claude_said(1, is_error=True, api_error_status=400, result="API Error: 400 no"),
            "Claude Code failed (success): API Error: 400 no",
            True,
        ),
        (
            claude_said(1, is_error=True, api_error_status=529, result="Overloaded"),
            "Claude Code failed (success): Overloaded",
            False,
        ),
        (
            AgentOutput(1, json.dumps({
                **{k: v for k, v in RESULT.items() if k != "result"}, "is_error": True,
                "subtype": "error_max_turns", "errors": ["Reached maximum number of turns (1)"],
            })),
            "Claude Code failed (error_max_turns): Reached maximum number of turns (1)",
            False,
        ),
    ],
)  # fmt: skip
def test_a_failure_of_claude_keeps_what_it_cost(said: AgentOutput, text: str, final: bool) -> None:
    answer = claude.read(said, 0)
    assert (answer.error, answer.final) == (text, final)
    assert (answer.session, answer.usage) == ("5f1c", Usage(1200, 252))


def test_a_session_that_is_gone_is_told_from_other_failures() -> None:
    errors = "No conversation found with session ID: 5f1c\n"
    assert claude.read(AgentOutput(1, "\n", errors), 0).lost
    assert not claude.read(AgentOutput(1, "", "Invalid API key"), 0).lost


@pytest.mark.parametrize("module", [claude, codex, plain])
def test_silence_garbage_and_a_kill_are_clear_errors(module: Any) -> None:
    silent = module.read(AgentOutput(0, ""), 0)
    assert silent.error.endswith("ended with exit code 0 and printed nothing.")
    killed = module.read(AgentOutput(-9, "", "one\ntwo"), 0)
    assert "ended with signal 9 and printed nothing.\none\ntwo" in killed.error
    if module is not plain:
        garbage = module.read(AgentOutput(0, "\x00{]\n[1]\nnull\n{}"), 0)
        assert "gave no answer that can be read" in garbage.error
        huge = module.read(AgentOutput(0, '{"type": "res', cut=5000), 0)
        assert "printed 5000 bytes more than are kept" in huge.error


def test_a_long_answer_is_cut_and_says_so() -> None:
    text = claude.read(claude_said(result="x" * (TEXT_LIMIT + 5)), 0).text
    assert text.endswith("\n[... 5 characters were left out here ...]")


# --- Codex ----------------------------------------------------------------------------------------


def events(*more: dict[str, Any], tokens: tuple[int, int] | None = (200, 40)) -> str:
    lines: list[dict[str, Any]] = [
        {"type": "thread.started", "thread_id": "01a1"},
        {"type": "item.completed", "item": {"id": "item_0", "type": "error", "message": "odd"}},
        {"type": "turn.started"},
        *more,
    ]
    if tokens is not None:
        usage = {"input_tokens": tokens[0], "cached_input_tokens": 80, "output_tokens": tokens[1]}
        lines.append({"type": "turn.completed", "usage": usage})
    return "".join(json.dumps(line) + "\n" for line in lines)


def message(text: str) -> dict[str, Any]:
    return {"type": "item.completed", "item": {"id": "i", "type": "agent_message", "text": text}}


def overrides(arguments: tuple[str, ...]) -> dict[str, Any]:
    """What the `-c` options set, as Codex reads them."""
    values = [arguments[n + 1] for n, word in enumerate(arguments) if word == "-c"]
    return {
        name: tomllib.loads(f"x = {text}")["x"] for name, text in (v.split("=", 1) for v in values)
    }


def test_codex_is_called_with_the_role_and_this_memory() -> None:
    call = codex.call(ask("codex", "-s", "read-only", model="gpt", prompt=PROMPT))
    words = call.arguments
    assert words[:6] == ("-s", "read-only", "exec", "--json", "--skip-git-repo-check", "-m")
    assert words[-1] == "-"
    assert call.session == ""
    found = overrides(words)
    assert found["developer_instructions"] == PROMPT
    assert found["mcp_servers.khive.command"] == "/bin/khive"
    assert found["mcp_servers.khive.args"] == ["attach"]
    assert found["mcp_servers.khive.env"] == dict(SERVER.environment)
    assert found["mcp_servers.khive.required"] is True


def test_codex_resumes() -> None:
    words = codex.call(ask("codex", "exec", resume="01a1")).arguments
    assert words[0] == "exec"
    assert words.count("exec") == 1
    assert words[-3:] == ("resume", "01a1", "-")


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
def test_any_prompt_survives_the_way_to_codex(text: str) -> None:
    words = codex.call(ask("codex", prompt=text or "x")).arguments
    assert overrides(words)["developer_instructions"] == (text or "x")


def test_the_last_message_of_codex_is_the_answer() -> None:
    output = "wrapper says hello\n" + events(message("first"), message("Looks good."))
    assert codex.read(AgentOutput(0, output), 0) == AgentAnswer(
        "Looks good.", session="01a1", usage=Usage(0, 240), counted=240,
        tokens=TokenCounts(120, 80, 40),
    )  # fmt: skip
    assert codex.thread_in(output[:120]) == "01a1"
    assert codex.thread_in("wrapper says hello\n") == ""


def test_codex_counts_a_whole_session_and_an_attempt_is_what_came_on_top() -> None:
    resumed = codex.read(AgentOutput(0, events(message("more"), tokens=(400, 80))), 240)
    assert (resumed.usage, resumed.counted) == (Usage(0, 240), 480)
    # It began to count anew: then this is all there was.
    anew = codex.read(AgentOutput(0, events(message("more"), tokens=(10, 2))), 240)
    assert (anew.usage, anew.counted) == (Usage(0, 12), 12)


@pytest.mark.parametrize(
    ("words", "final"),
    [("unexpected status 401 Unauthorized: no", True), ("unexpected status 503 x", False)],
)
def test_a_failure_of_codex_says_why(words: str, final: bool) -> None:
    failed = {"type": "turn.failed", "error": {"message": words}}
    retried = {"type": "error", "message": f"Reconnecting... 1/5 ({words})"}
    answer = codex.read(AgentOutput(1, events(retried, failed, tokens=None), "WARNING: x"), 7)
    assert (answer.error, answer.final) == (f"Codex failed: {words}", final)
    assert (answer.session, answer.usage, answer.counted) == ("01a1", None, 7)


def test_codex_without_a_session_or_a_word() -> None:
    errors = "Error: thread/resume: no rollout found for thread id 01a1 (code -32600)"
    assert codex.read(AgentOutput(1, "", errors), 9).lost
    silent = codex.read(AgentOutput(0, events()), 0)
    assert (silent.error, silent.usage) == ("Codex ended without a word.", Usage(0, 240))


# --- others, and what is common -------------------------------------------------------------------


def test_another_agent_gets_both_prompts_and_its_text_is_the_answer() -> None:
    call = plain.call(ask("aider", "--yes", prompt="You review."))
    assert call.arguments == ("--yes",)
    assert call.stdin == b"You review.\n\nReview it"
    assert plain.read(AgentOutput(0, "fine\n"), 0) == AgentAnswer("fine")
    assert plain.read(AgentOutput(2, "half", "broken"), 0).error == (
        "The agent ended with exit code 2 and gave no answer that can be read.\nbroken"
    )


def test_the_program_decides_unless_the_handler_says() -> None:
    assert formats.format_of(Handler(agent=("/opt/bin/claude",))) is claude
    assert formats.format_of(Handler(agent=("codex",))) is codex
    assert formats.format_of(Handler(agent=("wrapper",))) is plain
    assert formats.format_of(Handler(agent=("wrapper",), format="codex")) is codex


def test_the_memory_is_reached_with_what_finds_the_supervisor() -> None:
    environ = {"KHIVE_SOCKET": "/s", "XDG_STATE_HOME": "/x", "SECRET": "1", "KHIVE_STORE": ""}
    found = formats.server(environ, "reviewer", "ns")
    assert found.argv[-1] == "attach"
    assert found.environment == {
        "KHIVE_SOCKET": "/s", "XDG_STATE_HOME": "/x", "KHIVE_ACTOR": "reviewer",
        "KHIVE_NAMESPACE": "ns",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        (None, ""),
        ("text", "text"),
        ({"prompt": "do"}, "do"),
        ({"prompt": "do", "file": "é"}, 'do\n\n{\n  "file": "é"\n}'),
        ({"prompt": 3}, '{\n  "prompt": 3\n}'),
        ([1], "[\n  1\n]"),
    ],
)
def test_a_payload_becomes_words(payload: Any, words: str) -> None:
    assert prompt_of(payload) == words


@given(st.text(), st.integers(-20, 20))
def test_no_output_breaks_a_reader(output: str, code: int) -> None:
    for module in (claude, codex, plain):
        answer = module.read(AgentOutput(code, output), 0)
        assert answer.error or answer.text


@given(
    st.dictionaries(
        st.sampled_from([*RESULT, "errors"]),
        st.none() | st.integers() | st.floats() | st.text() | st.lists(st.none()) | st.booleans(),
    )
)
def test_no_document_breaks_the_reader_of_claude(changes: dict[str, Any]) -> None:
    claude.read(AgentOutput(0, json.dumps({**RESULT, **changes, "type": "result"})), 0)
