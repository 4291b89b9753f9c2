"""The table of commands: it says what the modules say, and a command loads what it needs."""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys

import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner
from support import ROOT

from khive_supervisor.cli.command_table import MODULES, SECTIONS, SUMMARIES
from khive_supervisor.cli.main import cli

#: What takes long to import, and only some commands need.
HEAVY = {
    "annoy", "apsw", "asyncio", "concurrent", "email", "http", "jsonschema", "mcp",
    "multiprocessing", "numpy", "pydantic", "ssl", "starlette", "tomlkit", "urllib.request", "yaml",
}  # fmt: skip
#: Commands that ask a supervisor, or nobody.
QUICK = sorted(
    {
        *("stop", "status", "logs", "config", "http", "call", "completion"),
        *("remember", "recall", "search", "suggest", "get", "forget", "supersede"),
        *("assign", "tasks", "task", "cancel", "retry", "roles", "budget"),
        *("reload", "drain-role", "resume-role", "index"),
        *(name for name, module in MODULES.items() if module == "commands.profiles"),
    }
)
#: Prints what of a list the commands of another one have loaded.
LOADED = """
import json, sys
from khive_supervisor.cli.main import cli
for name in json.loads(sys.argv[1]):
    cli.commands[name]
print(json.dumps([name for name in json.loads(sys.argv[2]) if name in sys.modules]))
"""


@pytest.mark.parametrize("name", MODULES)
def test_the_table_says_what_a_command_says_of_itself(name: str) -> None:
    assert cli.commands[name].name == name
    assert SUMMARIES[name] == cli.commands[name].get_short_help_str(limit=1000)


def test_every_command_of_a_module_is_in_the_table() -> None:
    for module in set(MODULES.values()):
        commands = importlib.import_module(f"khive_supervisor.cli.{module}").COMMANDS
        assert {one.name for one in commands} == {n for n, m in MODULES.items() if m == module}


def test_every_module_with_commands_is_in_the_table() -> None:
    place = ROOT / "khive_supervisor" / "cli"
    found = {
        ".".join(file.relative_to(place).with_suffix("").parts)
        for file in place.rglob("*.py")
        if re.search(r"^COMMANDS\b", file.read_text(encoding="utf-8"), re.MULTILINE)
        and file.parent != place / "render"
    }
    named = set(MODULES.values())
    assert found == named


def test_a_name_is_under_one_heading() -> None:
    assert sum(map(len, SECTIONS.values())) == len(MODULES)


def loaded_by(commands: list[str]) -> list[str]:
    argv = [sys.executable, "-P", "-c", LOADED, json.dumps(commands), json.dumps(sorted(HEAVY))]
    done = subprocess.run(argv, check=True, capture_output=True, text=True)
    found: list[str] = json.loads(done.stdout)
    return found


def test_the_help_loads_no_command() -> None:
    code = (
        "import sys; from khive_supervisor.cli.main import cli; "
        "cli.main(['--help'], standalone_mode=False); "
        "print([n for n in sys.modules if n.startswith('khive_supervisor.c')], file=sys.stderr)"
    )
    argv = [sys.executable, "-P", "-c", code]
    done = subprocess.run(argv, check=True, capture_output=True, text=True)
    assert "Show the supervisor" in done.stdout
    assert "khive_supervisor.config" not in done.stderr
    assert "khive_supervisor.cli.commands" not in done.stderr
    assert "khive_supervisor.cli.service" not in done.stderr


def test_commands_that_ask_a_supervisor_load_nothing_heavy() -> None:
    assert loaded_by(QUICK) == []


def test_what_is_heavy_would_be_seen() -> None:
    assert {"apsw", "numpy"} <= set(loaded_by(["doctor"]))


def test_a_name_that_is_none_is_an_error() -> None:
    done = CliRunner().invoke(cli, ("nothing",))
    assert done.exit_code == 2
    assert "No such command 'nothing'" in done.output


def test_the_shell_completes_names_with_their_summaries() -> None:
    completion = ShellComplete(cli, {}, "khive-supervisor", "_KHIVE_SUPERVISOR_COMPLETE")
    found = {item.value: item.help for item in completion.get_completions([], "re")}
    expected = [name for name in sorted(MODULES) if name.startswith("re")]
    assert list(found) == expected
    assert found == {name: cli.commands[name].get_short_help_str() for name in expected}
    assert [item.value for item in completion.get_completions([], "--v")] == ["--version"]


def test_completion_is_for_the_whole_program() -> None:
    output = CliRunner().invoke(cli, ("completion", "bash")).output
    assert "_KHIVE_SUPERVISOR_COMPLETE" in output
