from __future__ import annotations

import json
import os
import stat
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from khive_supervisor.cli.clients import clients
from khive_supervisor.cli.clients.clients import CLIENTS, ENVIRONMENT, McpClient
from khive_supervisor.cli.clients.connect import connect
from khive_supervisor.errors import InvalidInput, KhiveError

SCRIPT = "/opt/bin/khive-supervisor"
every_client = pytest.mark.parametrize("client", CLIENTS.values(), ids=list(CLIENTS))


@pytest.fixture(autouse=True)
def _isolated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    for name in (*ENVIRONMENT, "CLAUDE_CONFIG_DIR", "CODEX_HOME"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")


def wanted(client: McpClient, **env: str) -> dict[str, Any]:
    return clients.wanted_entry(client, [SCRIPT, "attach"], env)


def parsed(client: McpClient, file: Path | str) -> dict[str, Any]:
    text = Path(file).read_text(encoding="utf-8")
    return tomllib.loads(text) if client.name == "codex" else json.loads(text)


@every_client
def test_an_entry_is_added_once_and_removed_without_a_trace(
    client: McpClient, tmp_path: Path
) -> None:
    file = tmp_path / "config"
    before = "[mcp_servers.a]\nx = 1\n" if client.name == "codex" else '{"a": [1,\n 2]}\n'
    file.write_text(before)
    first = clients.connect(client, str(file), wanted(client))
    assert (first.action, first.backup) == ("added", f"{file}.khive-backup")
    added = file.read_text()
    assert parsed(client, file)[client.section]["khive"] == wanted(client)
    again = clients.connect(client, str(file), wanted(client))
    assert (again.action, again.backup, file.read_text()) == ("unchanged", None, added)
    assert clients.disconnect(client, str(file)).action == "removed"
    assert file.read_text() == before
    assert list(tmp_path.glob("config*")) == [file]
    assert clients.disconnect(client, str(file)).action == "absent"


@every_client
def test_a_file_that_was_not_there_is_gone_again(client: McpClient, tmp_path: Path) -> None:
    file = tmp_path / "made/config"
    clients.connect(client, str(file), wanted(client))
    clients.disconnect(client, str(file))
    assert not file.parent.exists()


@every_client
def test_what_others_added_meanwhile_stays(client: McpClient, tmp_path: Path) -> None:
    file = tmp_path / "config"
    file.write_text("[a]\nb = 1\n" if client.name == "codex" else '{"a": 1}\n')
    clients.connect(client, str(file), wanted(client))
    text = client.editor.set_member(file.read_text(), client.section, "other", {"command": "x"})
    file.write_text(text)
    clients.disconnect(client, str(file))
    assert parsed(client, file)[client.section] == {"other": {"command": "x"}}
    assert file.with_name("config.khive-backup").exists()


@pytest.mark.parametrize("name", [name for name in CLIENTS if name != "codex"])
def test_files_with_comments_are_edited_in_place(name: str, tmp_path: Path) -> None:
    client, file = CLIENTS[name], tmp_path / "config"
    text = f'{{\n  // mine\n  "{client.section}": {{\n    "a": {{}}, // b\n  }},\n}}\n'
    file.write_text(text)
    assert clients.connect(client, str(file), wanted(client)).action == "added"
    assert all(line in file.read_text() for line in text.splitlines())
    assert clients.present_entry(client, str(file)) == wanted(client)
    clients.disconnect(client, str(file))
    assert file.read_text() == text


def test_an_inline_table_of_servers_is_edited_in_place(tmp_path: Path) -> None:
    client, file = CLIENTS["codex"], tmp_path / "config"
    text = '# mine\nmcp_servers = {a = {command = "b"}} # two\nmodel = "m"\n'
    file.write_text(text)
    clients.connect(client, str(file), wanted(client))
    assert clients.present_entry(client, str(file)) == wanted(client)
    assert "# mine" in file.read_text()
    clients.disconnect(client, str(file))
    assert file.read_text() == text


def test_codex_can_be_told_not_to_ask(tmp_path: Path) -> None:
    output = " ".join(invoke("codex").output.split())
    assert "--approve" in output
    assert 'default_tools_approval_mode = "approve"' in output
    assert "--approve" not in invoke("codex", "--approve").output
    entry = clients.present_entry(CLIENTS["codex"], f"{tmp_path}/home/.codex/config.toml")
    assert isinstance(entry, dict)
    assert entry["default_tools_approval_mode"] == "approve"
    assert "--approve" not in invoke("codex").output
    with pytest.raises(InvalidInput, match="no such setting"):
        invoke("cursor", "--approve")


@every_client
def test_what_a_user_added_to_the_entry_stays(client: McpClient, tmp_path: Path) -> None:
    file = str(tmp_path / "config")
    clients.connect(client, file, wanted(client, KHIVE_SOCKET="/old"))
    variables = {"MINE": "1", "KHIVE_SOCKET": "/old"}
    entry = {**wanted(client), "timeout": 5, client.variables: variables}
    for name in client.once:
        del entry[name]
    text = client.editor.set_member(Path(file).read_text(), client.section, "khive", entry)
    Path(file).write_text(text)
    new = clients.wanted_entry(client, ["/new/khive-supervisor", "attach"], {})
    assert clients.connect(client, file, new).action == "updated"
    found = parsed(client, file)[client.section]["khive"]
    changed = {"command": new["command"], client.variables: {"MINE": "1"}}
    assert found == {**entry, **changed}


@every_client
def test_an_entry_of_another_program_is_replaced_and_said_so(
    client: McpClient, tmp_path: Path
) -> None:
    file = str(tmp_path / "config")
    other = client.editor.set_member("", client.section, "khive", {"url": "http://h"})
    Path(file).write_text(other)
    with pytest.raises(InvalidInput, match="left there"):
        clients.disconnect(client, file)
    outcome = clients.connect(client, file, wanted(client))
    assert outcome.action == "updated"
    assert outcome.notes
    assert parsed(client, file)[client.section]["khive"] == wanted(client)
    assert Path(outcome.backup or "").read_text() == other


@every_client
def test_a_file_that_cannot_be_edited_is_left_with_what_to_paste(
    client: McpClient, tmp_path: Path
) -> None:
    file = tmp_path / "config"
    text = "{\n  // a comment\n"
    file.write_text(text)
    with pytest.raises(KhiveError, match="left untouched") as caught:
        clients.connect(client, str(file), wanted(client))
    assert SCRIPT in caught.value.hint
    assert file.read_text() == text
    assert list(tmp_path.glob("config*")) == [file]


def test_files_are_where_the_clients_look(tmp_path: Path) -> None:
    home = str(tmp_path / "home")
    user = {
        name: clients.configuration_file(c, None, {"HOME": home}) for name, c in CLIENTS.items()
    }
    assert user["claude-code"] == f"{home}/.claude.json"
    assert user["codex"] == f"{home}/.codex/config.toml"
    assert user["cursor"] == f"{home}/.cursor/mcp.json"
    assert user["gemini"] == f"{home}/.gemini/settings.json"
    assert user["vscode"].endswith("/Code/User/mcp.json")
    moved = {"HOME": home, "CLAUDE_CONFIG_DIR": "/c", "CODEX_HOME": "/x"}
    assert clients.configuration_file(CLIENTS["claude-code"], None, moved) == "/c/.claude.json"
    assert clients.configuration_file(CLIENTS["codex"], None, moved) == "/x/config.toml"
    project = [clients.configuration_file(c, "/p", {}) for c in CLIENTS.values()]
    assert project == [
        "/p/.mcp.json", "/p/.codex/config.toml", "/p/.cursor/mcp.json", "/p/.vscode/mcp.json",
        "/p/.gemini/settings.json", "/p/opencode.json",
    ]  # fmt: skip


def test_vscode_on_a_remote_machine_is_found(tmp_path: Path) -> None:
    server = tmp_path / "home/.vscode-server/data/User"
    server.mkdir(parents=True)
    found = clients.configuration_file(CLIENTS["vscode"], None, {"HOME": str(tmp_path / "home")})
    assert found == str(server / "mcp.json")


def test_only_variables_that_matter_are_carried() -> None:
    environ = {
        "HOME": "/h", "KHIVE_CONFIG": "k.toml", "KHIVE_SOCKET": "", "XDG_STATE_HOME": "/s",
        "XDG_CONFIG_HOME": "/h/.config/", "TOKEN": "secret",
    }  # fmt: skip
    assert clients.environment(environ, "/p") == {
        "KHIVE_CONFIG": "/p/k.toml",
        "XDG_STATE_HOME": "/s",
    }


def test_the_command_is_the_script_that_runs(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    script = tmp_path / "bin/khive-supervisor"
    module = [sys.executable, "-P", "-m", "khive_supervisor", "attach"]
    assert clients.command(str(script)) == module
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    assert clients.command(str(script)) == [str(script), "attach"]
    assert clients.command("khive-supervisor") == [str(script), "attach"]
    assert clients.command(str(script), portable=True) == ["khive-supervisor", "attach"]
    assert clients.command("/x/khive_supervisor/__main__.py") == module


@pytest.mark.parametrize(
    ("entry", "ours"),
    [
        ({"command": "/a/khive-supervisor", "args": ["attach"]}, True),
        ({"command": "/py", "args": ["-P", "-m", "khive_supervisor", "attach"]}, True),
        ({"command": "uvx", "args": ["khive-supervisor", "attach"]}, True),
        ({"command": "khive", "args": 5}, False),
        ({"url": "http://h"}, False),
        (None, False),
        ([], False),
    ],
)
def test_our_entries_are_recognised(entry: object, ours: bool) -> None:
    assert clients.is_ours(entry) is ours


def invoke(*args: str) -> Result:
    return CliRunner().invoke(connect, args, catch_exceptions=False)


def test_connect_says_what_it_did(tmp_path: Path) -> None:
    result = invoke("cursor")
    assert result.output.startswith(f"Added to {tmp_path}/home/.cursor/mcp.json.\n")
    (outcome,) = json.loads(invoke("cursor", "--json").output)
    assert outcome["action"] == "unchanged"
    assert outcome["entry"]["args"][-1] == "attach"
    (outcome,) = json.loads(invoke("cursor", "--remove", "--json").output)
    assert outcome["action"] == "removed"


def test_connect_prints_without_changing(tmp_path: Path) -> None:
    result = invoke("codex", "--print")
    assert "khive" in tomllib.loads(result.stdout)["mcp_servers"]
    data = json.loads(invoke("codex", "--print", "--json").stdout)
    assert data["files"] == [f"{tmp_path}/home/.codex/config.toml"]
    assert not (tmp_path / "home").exists()


def test_connect_edits_the_files_that_are_named(tmp_path: Path) -> None:
    files = [tmp_path / "a.json", tmp_path / "b.json"]
    result = invoke("vscode", "--config", str(files[0]), "--config", str(files[1]), "--json")
    assert [outcome["file"] for outcome in json.loads(result.stdout)] == [str(f) for f in files]
    assert all("khive" in json.loads(file.read_text())["servers"] for file in files)


def test_a_project_file_is_for_others_too(tmp_path: Path) -> None:
    umask = os.umask(0o022)
    try:
        result = invoke("claude-code", "--project")
    finally:
        os.umask(umask)
    file = tmp_path / "project/.mcp.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o644
    assert "a path of this machine" in result.output
    assert "approve" in result.output
