"""capabilities list, show, enable: what they say, and the one table that is written."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from khive_supervisor.cli.main import cli
from khive_supervisor.config.load import load
from khive_supervisor.errors import ConfigError, InvalidInput, KhiveError, NotFound

THEIRS = """# mine since years
[embedder]
kind = "none"  # no model

[[roles]]
role = "writer"
task_types = ["write"]
handler = { command = ["cat"] }  # for now
"""


@pytest.fixture(autouse=True)
def _isolated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("XDG_CONFIG_HOME", "KHIVE_CONFIG", "KHIVE_SOCKET"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / ".config/khive/khive.toml"


def invoke(*words: str) -> Result:
    result = CliRunner().invoke(cli, ["capabilities", *words])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def as_json(*words: str) -> Any:
    return json.loads(invoke(*words, "--json").stdout)


def write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def test_a_list_says_what_is_enabled_and_what_is_broken(file: Path) -> None:
    write(file, '[[roles]]\ncapability = "pr-monitor"\n')
    write(file.parent / "capabilities/mine.toml", 'id = "mine"\nrolle = "x"\n')
    rows = {row["id"]: row for row in as_json("list")}
    assert list(rows) == ["code-reviewer", "doc-generator", "pr-monitor", "mine"]
    assert rows["pr-monitor"]["enabled"] == [f"{file}:2"]
    assert rows["code-reviewer"]["enabled"] == []
    assert rows["code-reviewer"]["source"] == "built in"
    assert len(rows["mine"]["problems"]) == 5
    lines = invoke("list").stdout.splitlines()
    assert lines[1].split() == ["code-reviewer", "reviewer", "code-review", "no", "built", "in"]
    assert lines[4].split()[:4] == ["mine", "-", "-", "broken"]
    assert "rolle: there is no such key; did you mean role?" in "\n".join(lines)


def test_a_list_can_be_had_while_the_configuration_is_not_valid(file: Path) -> None:
    write(file, '[store]\nnothing = 1\n[[roles]]\ncapability = "mine"\n')
    write(file.parent / "capabilities/mine.toml", "[")
    with pytest.raises(ConfigError):
        load(None, str(file.parent), {})
    assert as_json("list")[-1]["id"] == "mine"


def test_all_of_one_is_shown_with_its_prompt() -> None:
    shown = as_json("show", "code-reviewer")
    assert shown["role"] == "reviewer"
    assert shown["source"] == "built in"
    text = invoke("show", "code-reviewer").stdout
    assert text.startswith('# source: built in\nid = "code-reviewer"\n')
    assert 'drain_deadline = "30m"' in text
    assert text.endswith(shown["prompt"].strip() + "\n")


def test_what_is_not_set_is_not_shown(file: Path) -> None:
    text = 'id = "{}"\nrole = "r"\ndescription = "d"\ntask_types = ["t"]\nprompt = "p"\n'
    write(file.parent / "capabilities/mine.toml", text.format("mine"))
    shown = invoke("show", "mine").stdout
    assert "memory" not in shown
    assert "model" not in shown
    assert "\npriority = 0\n" in shown  # a value like any other
    write(file.parent / "capabilities/mine.toml", text.format("mine") + 'memory = "64MiB"\n')
    assert '\nmemory = "64MiB"\n' in invoke("show", "mine").stdout


def test_a_budget_is_shown_as_a_file_says_it(file: Path) -> None:
    text = (
        'id = "mine"\nrole = "r"\ndescription = "d"\ntask_types = ["t"]\nprompt = "p"\n'
        "budget = { weekly = 5 }\n"
    )
    write(file.parent / "capabilities/mine.toml", text)
    assert "\nbudget.weekly = 5.0\n" in invoke("show", "mine").stdout
    assert as_json("show", "mine")["budget"] == {"weekly": 5.0}
    assert "budget" not in as_json("show", "code-reviewer")


def test_what_is_not_there_is_named_with_the_nearest() -> None:
    for words in (("show", "code-reviewr"), ("enable", "code-reviewr")):
        with pytest.raises(NotFound) as caught:
            invoke(*words)
        assert caught.value.message == (
            'There is no capability "code-reviewr"; did you mean code-reviewer?'
        )


def test_one_is_enabled_without_a_file(file: Path) -> None:
    answer = as_json("enable", "code-reviewer")
    assert answer["file"] == str(file)
    assert answer["role"] == "reviewer"
    assert answer["reload"] is None
    assert file.read_text() == '[[roles]]\ncapability = "code-reviewer"\n'
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert load(None, str(file.parent), {}).config.role("reviewer")


def test_nothing_else_in_the_file_changes(file: Path) -> None:
    write(file, THEIRS)
    said = invoke("enable", "doc-generator").stdout
    assert file.read_text() == f'{THEIRS}\n[[roles]]\ncapability = "doc-generator"\n'
    assert f"doc-generator is enabled in {file}: role documenter, for documentation." in said
    assert "`khive-supervisor reload` takes it over" in said
    roles = load(None, str(file.parent), {}).config.roles
    assert [role.role for role in roles] == ["writer", "documenter"]
    assert (file.parent / "khive.toml.khive-backup").read_text() == THEIRS


def test_what_the_machine_lacks_is_said(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(file.parent))
    assert "It cannot work here yet: there is no program" in invoke("enable", "pr-monitor").stdout


def test_a_file_that_lies_in_the_working_directory_is_never_written(
    tmp_path: Path, file: Path
) -> None:
    project = tmp_path / "here/khive.toml"
    write(project, "[log]\n")
    other = tmp_path / "other.toml"
    assert as_json("enable", "pr-monitor", "--config", str(other))["file"] == str(other)
    assert not file.exists()
    assert as_json("enable", "pr-monitor")["file"] == str(file)
    assert project.read_text() == "[log]\n"


def test_one_is_enabled_once(file: Path) -> None:
    invoke("enable", "pr-monitor")
    before = file.read_text()
    with pytest.raises(InvalidInput, match=r"is enabled already: .*khive\.toml:2"):
        invoke("enable", "pr-monitor")
    assert file.read_text() == before


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[store]\nnothing = 1\n", "store.nothing"),
        ('[[roles]]\nrole = "reviewer"\ntask_types = ["x"]\nhandler = {command = ["cat"]}\n',
         'two roles of one name, "reviewer"'),
        ("[log\n", "is not valid TOML"),
        ("roles = 3\n", "is not a list of tables"),
    ],
)  # fmt: skip
def test_a_file_that_would_not_be_valid_is_not_written(file: Path, text: str, said: str) -> None:
    write(file, text)
    with pytest.raises(KhiveError) as caught:
        invoke("enable", "code-reviewer")
    assert said in caught.value.message
    assert file.read_text() == text
    assert [path.name for path in file.parent.iterdir()] == ["khive.toml"]
