"""`connect --hooks`: written into the user's settings beside others' hooks, and taken out again."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from khive_supervisor.cli.clients import hooks, json_items
from khive_supervisor.cli.clients.connect import connect
from khive_supervisor.cli.clients.hooks import HOOK_CLIENTS, HookClient, is_our_hook

ARGV = ["/opt/bin/khive-supervisor", "hook"]
every_client = pytest.mark.parametrize("client", HOOK_CLIENTS.values(), ids=list(HOOK_CLIENTS))
#: Settings as people write them, with hooks of their own.
SETTINGS = (
    "",
    "{}",
    '{\n  "model": "opus"\n}\n',
    '{"hooks": {}}',
    '{"hooks":{"Stop":[{"hooks":[{"type":"command","command":"say done"}]}]},"a":1}',
    '{\n\t"hooks": {\n\t\t"SessionStart": [\n\t\t\t{"hooks": []}\n\t\t]\n\t},\n\t"z": [1,\n 2]\n}',
    '{\r\n  // mine\r\n  "hooks": {\r\n    "Stop": [\r\n      {"hooks": []}, // 1\r\n    ],\r\n},}',
)


@pytest.fixture(autouse=True)
def _isolated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("CLAUDE_CONFIG_DIR", "CODEX_HOME", "KHIVE_SOCKET", "KHIVE_STORE", "KHIVE_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def write(client: HookClient, file: Path, argv: list[str] = ARGV) -> str:
    return hooks.write_hooks(client, str(file), hooks.wanted_hooks(client, argv, {})).action


def run(*arguments: str) -> Result:
    return CliRunner().invoke(connect, arguments)


def told(file: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return found


@every_client
@pytest.mark.parametrize("before", SETTINGS)
def test_hooks_are_added_once_and_removed_without_a_trace(
    client: HookClient, before: str, tmp_path: Path
) -> None:
    file = tmp_path / "settings"
    file.write_bytes(before.encode())
    assert write(client, file) == "added"
    added = file.read_bytes()
    assert write(client, file) == "unchanged"
    assert file.read_bytes() == added
    assert hooks.remove_hooks(client, str(file)).action == "removed"
    assert file.read_bytes() == before.encode()
    assert hooks.remove_hooks(client, str(file)).action == "absent"


@every_client
@pytest.mark.parametrize("before", SETTINGS[2:])
def test_what_others_wrote_meanwhile_stays(client: HookClient, before: str, tmp_path: Path) -> None:
    file = tmp_path / "settings"
    file.write_bytes(before.encode())
    write(client, file)
    theirs = {"hooks": [{"type": "command", "command": "say hello"}]}
    text = json_items.append_item(file.read_bytes().decode(), "hooks", "Stop", theirs)
    file.write_bytes(text.encode())
    hooks.remove_hooks(client, str(file))
    left = json_items.items(file.read_bytes().decode(), "hooks", "Stop")
    assert left[-1] == theirs
    assert not any(map(is_our_hook, left))
    assert (b"// mine" in file.read_bytes()) == ("// mine" in before)


@every_client
def test_hooks_of_another_installation_are_brought_up_to_date(
    client: HookClient, tmp_path: Path
) -> None:
    file = tmp_path / "settings"
    write(client, file, ["/old/bin/khive-supervisor", "hook"])
    assert write(client, file) == "updated"
    assert "/old/bin" not in file.read_text()
    assert all(len(groups) == 1 for groups in told(file)["hooks"].values())


def test_a_file_that_was_not_there_is_gone_again(tmp_path: Path) -> None:
    client = HOOK_CLIENTS["codex"]
    file = tmp_path / "made/hooks.json"
    write(client, file)
    hooks.remove_hooks(client, str(file))
    assert not file.parent.exists()


def test_claude_code_calls_the_tool_where_it_can() -> None:
    wanted = hooks.wanted_hooks(HOOK_CLIENTS["claude-code"], ARGV, {})
    kinds = {event: group["hooks"][0]["type"] for event, group in wanted.items()}
    assert kinds["SessionStart"] == kinds["SessionEnd"] == "command"
    assert kinds["UserPromptSubmit"] == kinds["PostToolUse"] == "mcp_tool"
    call = wanted["UserPromptSubmit"]["hooks"][0]
    assert (call["server"], call["tool"]) == ("khive", "hooks_event")
    assert call["input"]["prompt"] == "${prompt}"


def test_a_command_is_absolute_and_carries_what_finds_the_supervisor() -> None:
    wanted = hooks.wanted_hooks(HOOK_CLIENTS["codex"], ARGV, {"KHIVE_STORE": "/a b"})
    command = wanted["SessionStart"]["hooks"][0]["command"]
    assert command == (
        "KHIVE_STORE='/a b' /opt/bin/khive-supervisor hook session-start --client codex"
    )


@every_client
def test_connect_says_what_is_kept_and_how_to_switch_it_off(client: HookClient) -> None:
    shown = run(client.name, "--hooks").output
    for word in ("90 days", "capture off", "--no-hooks", "this machine", "400 tokens"):
        assert word in shown
    assert ("trust" in shown) == (client.name == "codex")


@every_client
def test_connect_removes_hooks_alone_or_with_the_entry(client: HookClient) -> None:
    file = Path(client.file(os.environ))
    run(client.name, "--hooks")
    assert "SessionStart" in told(file)["hooks"]
    assert run(client.name).exit_code == 0
    assert file.exists(), "without the option they stay"
    assert "Removed from" in run(client.name, "--no-hooks").output
    assert not file.exists()
    run(client.name, "--hooks")
    run(client.name, "--remove")
    assert not file.exists()


def test_hooks_are_never_a_repositorys() -> None:
    assert "never to a project" in str(run("claude-code", "--hooks", "--project").exception)
    assert "not known of cursor" in str(run("cursor", "--hooks").exception)


def test_a_file_that_cannot_be_edited_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "settings"
    file.write_text('{"hooks": {"Stop": 1}, "hooks": {}}')
    client = HOOK_CLIENTS["codex"]
    with pytest.raises(Exception, match="cannot be edited safely"):
        write(client, file)
    assert file.read_text() == '{"hooks": {"Stop": 1}, "hooks": {}}'
