"""The command line itself: help, usage errors, completion; no supervisor is needed for these."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result
from support import ROOT

from khive_supervisor import __version__, exitcodes
from khive_supervisor.cli.commands.memory import COMMANDS as MEMORY
from khive_supervisor.cli.main import cli
from khive_supervisor.cli.verbs import parse_arguments
from khive_supervisor.errors import ConfigError, InvalidInput, KhiveError


def commands(group: click.Group, *path: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    for name, command in group.commands.items():
        yield (*path, name), command
        if isinstance(command, click.Group):
            yield from commands(command, *path, name)


ALL = list(commands(cli))
#: What can be asked of it without anything running; the rest has integration tests.
NO_JSON = {
    "attach",
    "hook",
    "audit",
    "call",
    "capabilities",
    "channels",
    "completion",
    "config",
    "http",
    "index",
    "projects",
    "secrets",
    "team",
    "workflow",
}


def invoke(*words: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(cli, words, input=stdin)


def process(home: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", "-m", "khive_supervisor", *words],
        env={
            "HOME": str(home),
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "workers"))),
            "PYTHONWARNINGS": "error",
            **environment,
        },
        cwd=home,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=60,
    )


@pytest.mark.parametrize("path", [path for path, _ in ALL], ids=" ".join)
def test_every_command_has_help_that_says_what_it_does(path: tuple[str, ...]) -> None:
    for flag in ("--help", "-h"):
        done = invoke(*path, flag)
        assert done.exit_code == 0
        lines = done.output.splitlines()
        assert lines[0].startswith("Usage: ")
        assert lines[2].strip().endswith((".", ":")) or len(lines[2]) > 40
        assert max(map(len, lines)) <= 100


@pytest.mark.parametrize(("path", "command"), ALL, ids=str)
def test_every_option_is_explained(path: tuple[str, ...], command: click.Command) -> None:
    for option in command.params:
        if isinstance(option, click.Option) and not option.hidden:
            assert option.help, f"{path} {option.name}"


def test_json_is_offered_everywhere() -> None:
    without = {
        path[0]
        for path, command in ALL
        if not any(param.name == "as_json" for param in command.params)
    }
    assert without == NO_JSON


def test_the_group_s_help_leads_a_newcomer_on() -> None:
    output = invoke("--help").output
    for word in ("start --background", "connect", "doctor", "memory"):
        assert word in output


def test_version() -> None:
    assert invoke("--version").output == f"khive-supervisor, version {__version__}\n"


@pytest.mark.parametrize(
    "words",
    [
        ("nonsense",),
        ("recall", "x", "--limit", "0"),
        ("recall", "x", "--limit", "many"),
        ("search", "x", "--in", "nowhere"),
        ("remember", "x", "--salience", "much"),
        ("get",),
        ("learn",),
        ("learn", "x", "--format", "pdf"),
        ("completion", "csh"),
        ("start", "--no-such-option"),
    ],
    ids=" ".join,
)
def test_a_wrong_command_line_is_a_usage_error(words: tuple[str, ...]) -> None:
    done = invoke(*words)
    assert done.exit_code == exitcodes.USAGE
    assert "Usage:" in done.output


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_are_valid_for_their_shell(shell: str, tmp_path: Path) -> None:
    script = invoke("completion", shell).output
    assert "_KHIVE_SUPERVISOR_COMPLETE" in script
    for program in filter(None, [shutil.which(shell)]):
        file = tmp_path / "script"
        file.write_text(script)
        subprocess.run([program, "-n", str(file)], check=True)


def test_completion_completes(tmp_path: Path) -> None:
    done = process(
        tmp_path,
        COMP_WORDS="khive-supervisor re",
        COMP_CWORD="1",
        _KHIVE_SUPERVISOR_COMPLETE="bash_complete",
    )
    assert {"remember", "recall", "restore"} <= {
        line.partition(",")[2] for line in done.stdout.splitlines()
    }


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("status",), exitcodes.NOT_RUNNING),
        (("logs",), exitcodes.FAILURE),
        (("stop",), exitcodes.OK),
        (("verbs", "no.such"), exitcodes.FAILURE),
        (("start", "--config", "missing.toml"), exitcodes.CONFIG),
        (("config", "show", "--config", "missing.toml"), exitcodes.CONFIG),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_exit_codes_and_errors_where_nothing_runs(
    tmp_path: Path, words: tuple[str, ...], code: int
) -> None:
    plain, as_json = process(tmp_path, *words), process(tmp_path, *words, "--json")
    assert plain.returncode == as_json.returncode == code
    assert "Traceback" not in plain.stderr + as_json.stderr
    if code:
        assert plain.stderr
        assert json.loads(as_json.stderr)["error"]["message"]
        assert as_json.stdout == ""
    else:
        assert json.loads(as_json.stdout) == {"stopped": False}
    assert list(tmp_path.iterdir()) == []


def test_verbs_can_be_listed_without_a_supervisor(tmp_path: Path) -> None:
    listed = json.loads(process(tmp_path, "verbs", "--json").stdout)
    assert "memory.remember" in listed
    shown = json.loads(process(tmp_path, "verbs", "memory.recall", "--json").stdout)
    assert shown["arguments"]["required"] == ["query"]
    assert list(tmp_path.iterdir()) == []


def test_config_show_is_valid_json_with_origins(tmp_path: Path) -> None:
    shown = json.loads(process(tmp_path, "config", "show", "--json", KHIVE_NAMESPACE="n").stdout)
    assert "environment KHIVE_NAMESPACE" in json.dumps(shown)


def test_arguments_of_call_are_json_or_text() -> None:
    words = ("limit=3", 'tags=["a","b"]', "query=a=b", "empty=", "flag=true", "text=nul")
    assert parse_arguments(words) == {
        "limit": 3,
        "tags": ["a", "b"],
        "query": "a=b",
        "empty": "",
        "flag": True,
        "text": "nul",
    }


@pytest.mark.parametrize("word", ["limit", "", "=3"])
def test_what_is_no_argument_is_refused(word: str) -> None:
    with pytest.raises(InvalidInput, match="is not key=value"):
        parse_arguments((word,))


def test_a_value_that_nests_too_deeply_is_text() -> None:
    assert parse_arguments(("deep=" + "[" * 100_000,)) == {"deep": "[" * 100_000}


def test_errors_of_every_kind_cross_process_borders() -> None:
    from khive_supervisor.errors import from_dict

    kinds = [k for k in KhiveError.__subclasses__() if k is not ConfigError]
    for kind in kinds:
        back = from_dict(kind("what", hint="then").as_dict())
        assert (type(back), back.message, back.hint) == (kind, "what", "then")
    for problems in (["f:1: a: b"], ["f:1: a: b\nc", "g: d"]):
        invalid = ConfigError(problems, hint="then")
        back = from_dict(invalid.as_dict())
        assert isinstance(back, ConfigError)
        assert (back.problems, back.exit_code) == (tuple(problems), exitcodes.CONFIG)
        assert back.as_dict() == invalid.as_dict()
    assert type(from_dict({"code": "of the future"})) is KhiveError


def test_the_short_commands_cover_the_memory_pack() -> None:
    assert {command.name for command in MEMORY} >= {
        "remember", "recall", "get", "forget", "supersede", "search", "suggest",
    }  # fmt: skip
