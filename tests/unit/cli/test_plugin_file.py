"""The plugin of OpenCode: a file of ours alone, written once, brought up to date, taken out."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from khive_supervisor.cli.clients import clients
from khive_supervisor.cli.clients.connect import connect
from khive_supervisor.cli.clients.plugin_file import (
    MARK,
    PLUGIN_CLIENTS,
    command_in,
    present_plugin,
    wanted_plugin,
)
from khive_supervisor.cli.doctor.hooks import check_hooks

OPENCODE = PLUGIN_CLIENTS["opencode"]
ODD = ['/opt/a "b" \\1/khive-supervisor', "hook"]


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the plugin is, in a home of the test's own."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("XDG_CONFIG_HOME", "KHIVE_SOCKET", "KHIVE_STORE", "KHIVE_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path / ".config/opencode/plugins/khive.js"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(connect, ["opencode", *arguments])


def test_it_is_written_once_and_taken_out_without_a_trace(file: Path, tmp_path: Path) -> None:
    first = run("--hooks")
    assert f"Added to {file}" in first.output
    assert "Kept from now on" in first.output
    assert command_in(file.read_text()) == clients.command(sys.argv[0], "hook")
    assert "unchanged" in run("--hooks", "--json").output
    run("--no-hooks")
    assert not file.exists()
    assert (tmp_path / ".config/opencode/opencode.json").exists()
    run("--hooks")
    run("--remove")
    assert not file.exists()


def test_an_older_one_is_brought_up_to_date_by_any_connect(file: Path) -> None:
    run("--hooks")
    file.write_text(wanted_plugin(OPENCODE, ODD, {}))
    assert "Updated" in run().output
    assert command_in(file.read_text()) == clients.command(sys.argv[0], "hook")


def test_another_s_plugin_of_that_name_stays(file: Path) -> None:
    file.parent.mkdir(parents=True)
    file.write_text("export const Mine = 1\n")
    assert run("--hooks").exit_code != 0
    run("--no-hooks")
    assert file.read_text() == "export const Mine = 1\n"
    assert present_plugin(str(file)) == ""


def test_words_of_a_command_are_quoted_for_the_language(tmp_path: Path) -> None:
    variables = {"KHIVE_STORE": 'a"b\\n\n</script>'}
    text = wanted_plugin(OPENCODE, ODD, variables)
    assert text.startswith(MARK)
    assert command_in(text) == ODD
    assert json.dumps(variables) in text
    if node := shutil.which("node"):
        program = tmp_path / "khive.mjs"
        program.write_text(text)
        subprocess.run([node, "--check", str(program)], check=True)


def test_doctor_says_what_is_wrong_with_it(file: Path, tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path), "KHIVE_NO_DAEMON": "1"}

    def found() -> dict[str, str]:
        said = [(one.status, f"{one.what} {one.fix}") for one in check_hooks("/", environ)]
        return dict(reversed(said))  # of two warnings, the first

    assert found() == {}
    run("--hooks")
    assert list(found()) == ["warn"], "no supervisor is reached"
    file.write_text(wanted_plugin(OPENCODE, ["/gone/khive-supervisor", "hook"], {}))
    assert "/gone/khive-supervisor" in found()["fail"]
    file.write_text(wanted_plugin(OPENCODE, [sys.executable, "hook"], {}))
    assert "not of this installation connect opencode --hooks" in found()["warn"].replace(
        "khive-supervisor ", ""
    )
