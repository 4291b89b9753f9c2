"""The hook verbs on a store: what is noted, what is told, once, and to whom."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from khive_supervisor.access.grant import OPERATOR
from khive_supervisor.briefing import tokens
from khive_supervisor.config.load import from_dict
from khive_supervisor.errors import StoreUnavailable
from khive_supervisor.packs.loading import load
from khive_supervisor.projects.identity import ProjectIdentity
from khive_supervisor.store.journal.model import JournalFilter
from khive_supervisor.verbs.context import Context, SessionInfo

REGISTRY = load()
NOW = 1_800_000_000.0
Make = Callable[..., Context]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    made: list[Context] = []

    def context(session: str = "s1", project: str = "billing", **settings: Any) -> Context:
        config = from_dict({"store": {"path": str(tmp_path / "khive.db")}, **settings})
        info = SessionInfo(
            id=session, cwd=f"/work/{project}", kind="attach",
            environment={"CLAUDE_CODE_SESSION_ID": session},
            project=ProjectIdentity(project, f"git:/{project}", f"git:/{project}", branch="main"),
        )  # fmt: skip
        found = Context(config, info, socket_path=None, make_embedder=lambda: None,
                        wall_clock=lambda: NOW + len(made))  # fmt: skip
        made.append(found)
        return found

    yield context
    for one in made:
        one.close()


def tell(context: Context, event: str, **said: Any) -> str:
    answer: Any = REGISTRY.call(context, "hooks.event", {"event": event, **said})
    found = answer.get("hookSpecificOutput", {})
    assert found.get("hookEventName", event) == event
    return str(found.get("additionalContext", ""))


def remember(context: Context, text: str, **more: Any) -> str:
    answer: Any = REGISTRY.call(context, "memory.remember", {"content": text, **more})
    return str(answer["id"])


def journal(context: Context) -> list[tuple[str, str]]:
    session = context.session.id
    return [
        (e.kind, e.text or e.path) for e in context.store.journal.of_session("claude-code", session)
    ]


PORT = "The database listens on port 5433."
ASKED = "which port does the database listen on?"


def test_a_prompt_is_told_what_fits_and_none_twice(make: Make) -> None:
    context = make()
    name = remember(context, PORT)
    told = tell(context, "UserPromptSubmit", prompt=ASKED)
    assert PORT in told
    assert name in told
    assert tell(context, "UserPromptSubmit", prompt=ASKED) == ""
    assert tell(make("s2"), "UserPromptSubmit", prompt=ASKED) == told


def test_most_prompts_are_told_nothing(make: Make) -> None:
    context = make()
    remember(context, PORT)
    for prompt in ("continue", "yes please", "thanks, looks good", "how tall is the Eiffel tower?"):
        assert tell(context, "UserPromptSubmit", prompt=prompt) == ""


def test_the_brief_comes_again_after_a_compaction(make: Make) -> None:
    context = make()
    remember(context, PORT)
    command = {"client": "claude-code", "event": "SessionStart"}
    context.session = replace(context.session, kind="verbs")
    for source in ("startup", "compact", "clear"):
        said = json.dumps({"session_id": "s1", "source": source})
        answer: Any = REGISTRY.call(context, "hooks.command", {**command, "said": said})
        assert PORT in answer["print"]
        assert tell(context, "UserPromptSubmit", prompt=ASKED) == "", "the brief has it"
    assert [kind for kind, _ in journal(context) if kind in ("start", "compact")] == [
        "start", "compact", "start",
    ]  # fmt: skip


def test_another_project_is_told_nothing(make: Make) -> None:
    remember(make(), PORT)
    assert tell(make("s2", "site"), "UserPromptSubmit", prompt=ASKED) == ""
    assert tell(make("s3", "site"), "SessionStart") == ""


def test_exit_codes_of_codex_are_read_in_its_own_transcript(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "codex" / "sessions" / "2026" / "11" / "30"
    folder.mkdir(parents=True)
    monkeypatch.setenv("CODEX_HOME", str(tmp_path / "codex"))
    for session, code in (("c1", 3), ("xc1", 4)):
        lines = [
            {"type": "session_meta", "payload": {"id": session, "cwd": "/elsewhere"}},
            {"type": "event_msg", "payload": {"type": "item_completed", "item": {
                "type": "CommandExecution", "command": ["bash", "-lc", "make"],
                "exit_code": code, "aggregated_output": "boom"}}},
        ]  # fmt: skip
        text = "".join(json.dumps(one) + "\n" for one in lines)
        (folder / f"rollout-2026-11-30T04-41-46-{session}.jsonl").write_text(text)
    context = make()
    context.session = replace(context.session, kind="verbs", process="1:1", environment={})
    ran = {"tool_name": "Bash", "tool_input": {"command": "make"}, "tool_response": "boom"}
    for name, said in (("SessionStart", {}), ("PostToolUse", ran), ("Stop", {})):
        command = {"client": "codex", "event": name}
        said_as_text = json.dumps({"session_id": "c1", **said})
        REGISTRY.call(context, "hooks.command", {**command, "said": said_as_text})
    (command_run,) = context.store.journal.search(["make"])
    assert (command_run.exit_code, command_run.session) == (3, "c1")
    assert command_run.project == context.store_project(), "the hook's, not the transcript's"


def test_an_error_is_told_what_is_known(make: Make) -> None:
    context = make()
    fix = "KeyError 'tax' in parse_row: the importer needs --with-tax."
    remember(context, fix)
    failed = {"tool_name": "Bash", "tool_input": '{"command": "make import"}'}
    told = tell(context, "PostToolUseFailure", **failed, error="KeyError: 'tax' in parse_row")
    assert fix in told
    assert tokens.bound(told) <= 150
    assert journal(context)[0] == ("command", "make import")


def test_what_a_session_says_of_another_one_is_passed_over(make: Make) -> None:
    context = make()
    remember(context, PORT)
    assert tell(context, "UserPromptSubmit", prompt=ASKED, session_id="s9") == ""
    assert journal(context) == []
    assert context.store.journal.count(JournalFilter(session="s9")) == 0


def test_without_a_connection_that_is_known_nothing_is_believed(make: Make) -> None:
    context = make("")
    assert tell(context, "UserPromptSubmit", prompt=ASKED, session_id="s9") == ""
    assert context.store.journal.count() == 0


def test_budgets_are_hard_and_switch_it_off(make: Make) -> None:
    long = "Always use port 5433 for the database. " + "It is on the large host. " * 200
    remember(make(), long)
    told = tell(make("s2"), "UserPromptSubmit", prompt=ASKED)
    assert 0 < tokens.bound(told) <= 300
    assert "5433" in told
    off = make("s3", hooks={"prompt_tokens": 0, "start_tokens": 0})
    assert tell(off, "UserPromptSubmit", prompt=ASKED) == ""
    assert tell(off, "SessionStart") == ""


def test_capture_off_keeps_nothing_that_was_said(make: Make) -> None:
    context = make()
    remember(context, PORT)
    context.store.capture.switch(None, False)
    assert PORT in tell(context, "UserPromptSubmit", prompt=ASKED)
    assert journal(context) == []
    (found,) = context.store.client_sessions.page()
    assert found.last_prompt == ""


def test_a_full_disk_does_not_silence_it(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    context = make()
    remember(context, PORT)

    def full(*_: object) -> None:
        raise StoreUnavailable("The disk is full.")

    monkeypatch.setattr(type(context.store.journal), "append", full)
    assert PORT in tell(context, "UserPromptSubmit", prompt=ASKED)


def test_secrets_and_private_words_are_not_kept(make: Make) -> None:
    context = make()
    secret = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"
    tell(context, "UserPromptSubmit", prompt=f"use {secret} <private>my salary</private> now")
    kept = str(journal(context)) + str(context.store.client_sessions.page())
    assert secret not in kept
    assert "salary" not in kept


def test_use_and_neglect_are_learned(make: Make) -> None:
    context = make()
    remember(context, PORT)
    remember(context, "The database of invoices lives on host pelican.")
    tell(context, "UserPromptSubmit", prompt=f"{ASKED} and on which host are invoices?")
    tell(context, "Stop")
    answer = {"event": "PostToolUse", "tool_name": "Bash",
              "tool_input": '{"command": "psql -p 5433"}'}  # fmt: skip
    REGISTRY.call(context, "hooks.event", answer)
    tell(context, "Stop")
    tell(context, "SessionEnd")
    used = {one.entry: one.used for one in context.store.injections.of_session("claude-code", "s1")}
    assert used == {1: True, 2: False}
    told: Any = REGISTRY.call(context, "sessions.told", {"id": "m1"})
    assert [(one["session"], one["event"], one["used"]) for one in told["told"]] == [
        ("s1", "prompt", True)
    ]


def test_sessions_are_listed_with_what_they_do(make: Make) -> None:
    context = make()
    tell(context, "UserPromptSubmit", prompt="add the tax id")
    tell(make("s2", "site"), "Stop")
    context.grant = OPERATOR
    answer: Any = REGISTRY.call(context, "sessions.list", {})
    shown = {one["session"]: (one["state"], one["project"]) for one in answer["sessions"]}
    assert shown == {"s1": ("working", "billing"), "s2": ("waiting", "site")}
    agent: Any = REGISTRY.call(make("s1"), "sessions.list", {})
    assert [one["session"] for one in agent["sessions"]] == ["s1"], "of its own project"


def test_a_session_works_after_a_prompt_and_waits_for_a_permission(make: Make) -> None:
    context = make()

    def state(event: str, **said: Any) -> str:
        tell(context, event, **said)
        found = context.store.client_sessions.find("claude-code", "s1")
        return found.state if found is not None else ""

    assert state("SessionStart") == "waiting"
    assert state("UserPromptSubmit", prompt="add the tax id") == "working"
    asked = {"tool_name": "Bash", "tool_input": '{"command": "make install"}'}
    before = len(journal(context))
    assert state("PermissionRequest", **asked) == "waiting"
    assert len(journal(context)) == before, "what was not run is not noted as run"
    assert state("PostToolUse", **asked) == "working"
    assert state("Notification") == "waiting"
    assert state("PreCompact") == "waiting"
    assert state("UserPromptSubmit", prompt="go on") == "working"
    assert state("Stop") == "waiting"


def test_it_is_known_since_when_a_session_does_what_it_does(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = make()
    at = [1000.0]
    monkeypatch.setattr(context, "now", lambda: at[0])

    def since(event: str, later: float, **said: Any) -> tuple[float, float]:
        at[0] += later
        tell(context, event, **said)
        found = context.store.client_sessions.find("claude-code", "s1")
        assert found is not None
        return found.since, found.seen_at

    assert since("UserPromptSubmit", 0.0, prompt="add the tax id") == (1000.0, 1000.0)
    assert since("PostToolUse", 5.0, tool_name="Read") == (1000.0, 1005.0), "it still works"
    assert since("UserPromptSubmit", 5.0, prompt="go on") == (1010.0, 1010.0), "at something else"
    assert since("Notification", 5.0) == (1015.0, 1015.0)
    assert since("Stop", 5.0) == (1015.0, 1020.0), "it has waited since it asked"


def test_an_event_may_be_spelt_as_on_the_command_line(make: Make) -> None:
    context = make()
    said = json.dumps({"session_id": "s1", "prompt": "add the tax id"})
    told = {"client": "claude-code", "event": "user-prompt-submit", "said": said}
    REGISTRY.call(context, "hooks.command", told)
    found = context.store.client_sessions.find("claude-code", "s1")
    assert found is not None
    assert found.state == "working"
    assert journal(context) == [("prompt", "add the tax id")]


def test_a_session_whose_client_is_not_known_is_listed_as_one_without_hooks(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = make()
    tell(context, "UserPromptSubmit", prompt="add the tax id")  # its process is not known either
    context.grant = OPERATOR
    served = {"kind": "session", "client": "codex", "cwd": "/p", "client_pid": 1, "calls": 3}
    monkeypatch.setattr(context, "ask_supervisor", lambda _name: {"sessions": [served]})
    answer: Any = REGISTRY.call(context, "sessions.list", {})
    assert [(one["client"], one["calls"]) for one in answer["without_hooks"]] == [("codex", 3)]
    assert "calls" not in answer["sessions"][0]
