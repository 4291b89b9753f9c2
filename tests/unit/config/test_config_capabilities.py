"""Roles that name a capability: what it fills in, what a table overrides, and what is refused."""

from __future__ import annotations

import dataclasses
import tomllib
from pathlib import Path

import pytest

from khive_supervisor.config.all_capabilities import all_capabilities
from khive_supervisor.config.changes import diff
from khive_supervisor.config.load import LoadedConfig, from_dict, glance, load
from khive_supervisor.config.settings.budget import Budget
from khive_supervisor.config.settings.model import Config
from khive_supervisor.config.settings.roles import Handler, digest
from khive_supervisor.config.show import as_dict, as_toml, loaded_as_dict
from khive_supervisor.errors import ConfigError

REVIEWER = '[[roles]]\ncapability = "code-reviewer"\n'
MONITOR = '[[roles]]\ncapability = "pr-monitor"\n'
MINE = (
    'id = "mine"\nrole = "cook"\ndescription = "d"\ntask_types = ["t"]\nprompt = "one"\n'
    "workers = 3\npriority = 7\n"
)


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    found = tmp_path / ".config/khive/capabilities"
    found.mkdir(parents=True)
    return found


def read(tmp_path: Path, text: str) -> LoadedConfig:
    file = tmp_path / "khive.toml"
    file.write_text(text)
    return load(str(file), str(tmp_path), {})


def problems(tmp_path: Path, text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, text)
    return [p.removeprefix(str(tmp_path / "khive.toml")) for p in caught.value.problems]


def test_a_table_that_names_a_capability_needs_nothing_else(tmp_path: Path) -> None:
    (role,) = read(tmp_path, REVIEWER).config.roles
    built_in = all_capabilities("/nowhere", tuple).packages["code-reviewer"].capability
    assert role.handler == Handler(agent=("claude", "-p"))
    assert role.capability == "code-reviewer"
    assert {name: getattr(role, name) for name in built_in.for_role()} == built_in.for_role()


def test_a_table_overrides_key_by_key(tmp_path: Path) -> None:
    text = (
        REVIEWER + 'role = "strict"\nmodel = ""\nworkers = 2\npriority = -3\n'
        'handler = { command = ["cat"] }\n[agents]\ncommand = ["codex", "exec"]\n'
    )
    (plain,) = read(tmp_path, REVIEWER).config.roles
    (role,) = read(tmp_path, text).config.roles
    assert role == dataclasses.replace(
        plain, role="strict", model="", workers=2, priority=-3, handler=Handler(command=("cat",))
    )


def test_a_budget_is_overridden_as_a_whole_or_taken_away(tmp_path: Path, directory: Path) -> None:
    (directory / "m.toml").write_text(MINE + "[budget]\nweekly = 900\nunit = 'tokens'\n")
    mine = '[[roles]]\ncapability = "mine"\n'
    loaded = read(tmp_path, mine)
    (role,) = loaded.config.roles
    assert role.budget == Budget(weekly=900.0, unit="tokens")
    assert loaded.origins["roles[0].budget.weekly"] == f"capability mine, {directory}/m.toml:9"
    (whole,) = read(tmp_path, mine + "budget = { monthly = 5.0 }\n").config.roles
    assert whole.budget == Budget(monthly=5.0)
    loaded = read(tmp_path, mine + "budget = {}\n")
    assert loaded.config.roles[0].budget == Budget()
    assert "roles[0].budget.weekly" in loaded.origins
    for text in (mine, mine + "budget = {}\n", mine + "budget = { weekly = 1.5 }\n"):
        config = read(tmp_path, text).config
        assert from_dict(as_dict(config)) == config
        assert read(tmp_path, as_toml(config)).config == config


def test_the_command_may_stand_anywhere_in_the_file(tmp_path: Path) -> None:
    loaded = read(tmp_path, REVIEWER + '[agents]\ncommand = ["codex", "exec"]\n')
    assert loaded.config.roles[0].handler == Handler(agent=("codex", "exec"))
    assert loaded.origins["roles[0].handler.agent"] == f"agents.command, {tmp_path}/khive.toml:4"


def test_every_value_says_where_it_came_from(tmp_path: Path, directory: Path) -> None:
    (directory / "m.toml").write_text(MINE)
    loaded = read(tmp_path, REVIEWER + 'model = "sonnet"\n[[roles]]\ncapability = "mine"\n')
    shown = loaded_as_dict(loaded)["settings"]
    assert shown["roles[0].prompt"]["origin"] == "capability code-reviewer, built in"
    assert shown["roles[0].model"] == {"value": "sonnet", "origin": f"{tmp_path}/khive.toml:3"}
    assert shown["roles[0].handler.agent"]["origin"] == "agents.command, default"
    assert shown["roles[0].memory"]["origin"] == "default"
    assert shown["roles[1].role"]["origin"] == f"capability mine, {directory}/m.toml:2"
    assert shown["roles[1].workers"] == {
        "value": 3, "origin": f"capability mine, {directory}/m.toml:6",
    }  # fmt: skip


def test_what_children_get_is_complete_and_reads_no_files(tmp_path: Path, directory: Path) -> None:
    (directory / "m.toml").write_text(MINE)
    config = read(tmp_path, '[[roles]]\ncapability = "mine"\n').config
    (directory / "m.toml").unlink()
    assert from_dict(as_dict(config)) == config
    assert from_dict(tomllib.loads(as_toml(config))) == config


def test_another_directory_is_a_setting(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared/m.toml").write_text(MINE)
    text = '[agents]\ncapabilities = "shared"\n[[roles]]\ncapability = "mine"\n'
    assert read(tmp_path, text).config.role("cook")


def test_nothing_is_looked_for_unless_a_role_asks(
    tmp_path: Path, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (directory / "m.toml").write_text("broken")
    assert read(tmp_path, "[[roles]]\n" + TABLE).broken == ()
    (problem,) = read(tmp_path, REVIEWER).broken
    assert problem.startswith(f"{directory}/m.toml: is not valid TOML")


TABLE = 'role = "r"\ntask_types = ["t"]\nhandler = { command = ["cat"] }\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            '[[roles]]\ncapability = "code-review"\n',
            (
                ':2: roles[0].capability: there is no capability "code-review"; '
                "did you mean code-reviewer?"
            ),
        ),
        ("[[roles]]\ncapability = 3\n", ":2: roles[0].capability: found 3; allowed: a text"),
        (
            '[[roles]]\ncapability = "m"\n',
            ':2: roles[0].capability: the capability "m" is broken: ',
        ),
        (
            MONITOR + "workers = 2\n",
            (
                ":3: roles[0].workers: found 2; allowed: at most 1, as pr-monitor is not "
                "parallelizable"
            ),
        ),
        (
            REVIEWER + REVIEWER,
            ':3: roles[1].role: two roles of one name, "reviewer"; the other is roles[0].role',
        ),
        (REVIEWER + "model = 3\n", ":3: roles[0].model: found 3; allowed: a text"),
        ('[[roles]]\ncapability = ""\n' + TABLE[11:], ":1: roles[0].role: is missing"),
    ],
)
def test_what_is_refused_and_why(tmp_path: Path, directory: Path, text: str, said: str) -> None:
    (directory / "m.toml").write_text('id = "m"\n')
    (problem,) = problems(tmp_path, text)
    assert problem.startswith(said), problem


def test_a_monitor_may_have_one_worker_or_none(tmp_path: Path) -> None:
    assert read(tmp_path, MONITOR + "workers = 0\n").config.roles[0].workers == 0
    assert read(tmp_path, MONITOR).config.roles[0].workers == 1


def test_a_changed_file_is_a_change_of_its_role(tmp_path: Path, directory: Path) -> None:
    def config() -> Config:
        return read(tmp_path, '[[roles]]\ncapability = "mine"\n').config

    (directory / "m.toml").write_text(MINE)
    first = config()
    assert diff(first, config()).empty
    (directory / "m.toml").write_text(MINE.replace("priority = 7", "priority = 8"))
    (live,) = diff(first, config()).changed_roles
    assert (live.kind, [change.key for change in live.changes]) == ("live", ["priority"])
    (directory / "m.toml").write_text(MINE.replace('"one"', '"' + "two " * 200 + '"'))
    plan = diff(first, config())
    (rolling,) = plan.changed_roles
    assert (rolling.kind, [change.key for change in rolling.changes]) == ("rolling", ["prompt"])
    assert plan.describe().endswith("  prompt: another text, 5 -> 802 characters")
    assert digest(first.roles[0]) != digest(config().roles[0])


def test_a_glance_looks_past_what_is_wrong() -> None:
    text = (
        '[agents]\ncommand = 3\ncapabilities = "/c"\n[store]\nx = 1\n'
        f'{REVIEWER}{REVIEWER}[[roles]]\ncapability = 3\n[[roles]]\nrole = "r"\n'
    )
    found = glance(text, "/f")
    assert found.agents.capabilities == "/c"
    assert found.agents.command == ("claude", "-p")
    assert found.enabled == {"code-reviewer": ("/f:7", "/f:9")}
    assert glance("roles = 3", "/f").enabled == {}
    with pytest.raises(ConfigError):
        glance("[", "/f")
