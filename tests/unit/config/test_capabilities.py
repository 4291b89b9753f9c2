"""Capabilities: what is read, what is broken, and what the built-in ones ask for."""

from __future__ import annotations

import dataclasses
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from khive_supervisor.config import capability
from khive_supervisor.config.all_capabilities import all_capabilities
from khive_supervisor.config.capability import Broken, Capabilities, Capability, Package
from khive_supervisor.config.offers import Offer
from khive_supervisor.config.settings import values
from khive_supervisor.config.settings.budget import Budget
from khive_supervisor.config.settings.notes import Notes
from khive_supervisor.config.settings.roles import Role
from khive_supervisor.packs import loading

BUILT_IN = ["code-reviewer", "doc-generator", "pr-monitor"]
MINE = '''id = "mine"
role = "cook"
description = "Cooks."
task_types = ["dinner"]
prompt = """
You cook.
Nothing burns."""
'''


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))


def find(directory: Path, *offered: Offer) -> Capabilities:
    return all_capabilities(str(directory), lambda: offered)


def read(data: dict[str, Any]) -> Package | Broken:
    return capability.read(data, Notes("f.toml"), "somebody")


# --- reading --------------------------------------------------------------------------------------


def test_a_file_is_a_capability_with_the_defaults_of_roles(tmp_path: Path) -> None:
    (tmp_path / "any-name.toml").write_text(MINE)
    found = find(tmp_path)
    assert [*found.packages] == [*BUILT_IN, "mine"]
    assert found.broken == ()
    mine = found.packages["mine"]
    assert mine.source == str(tmp_path / "any-name.toml")
    assert mine.origins["prompt"] == f"{mine.source}:5"
    assert mine.capability.prompt == "You cook.\nNothing burns."
    role = Role("cook", ("dinner",), None, prompt="p", description="d")  # type: ignore[arg-type]  # none
    for name, value in mine.capability.for_role().items():
        if name not in ("prompt", "description"):
            assert value == getattr(role, name), name


def test_the_keys_that_roles_have_are_declared_there() -> None:
    declared = {item.name: item.metadata["setting"] for item in dataclasses.fields(Role)}
    own = values.declared(capability.Capability)
    shared = {name: one for name, one in own.items() if name in declared}
    assert own.keys() - shared.keys() == {"id", "parallelizable"}
    for name, setting in shared.items():
        assert setting.bounds[1] == declared[name].bounds[1]
        assert dataclasses.replace(setting, bounds=(), optional=False) == dataclasses.replace(
            declared[name], bounds=(), optional=False
        )


def test_what_it_gives_survives_being_plain_data() -> None:
    for package in all_capabilities("/nowhere", tuple).packages.values():
        again = read(package.capability.as_dict())
        assert isinstance(again, Package)
        assert again.capability == package.capability


def test_a_budget_survives_being_plain_data() -> None:
    limits = Budget(weekly=5.0, unit="tokens", reserve=1.0)
    data = {"id": "x", "role": "r", "description": "d", "task_types": ["t"], "prompt": "p"}
    found = read({**data, "budget": limits.as_dict()})
    assert isinstance(found, Package)
    assert found.capability.budget == limits
    assert found.capability.as_dict()["budget"] == {"weekly": 5.0, "unit": "tokens", "reserve": 1.0}
    assert found.capability.for_role()["budget"] == limits


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("task_types", "task_type", ":4: task_type: there is no such key; did you mean task_types"),
        ('id = "mine"', 'id = "My Own"', ':1: id: found "My Own"; allowed: a text (lower-case'),
        ('role = "cook"\n', "", ": role: is missing; allowed"),
        ('"dinner"', "", ":4: task_types: found a list; allowed"),
        ("You cook.\nNothing burns.", "", ':5: prompt: found ""; allowed: a text of any lines'),
        ('"Cooks."', "3", ":3: description: found 3; allowed"),
        (
            "prompt = ",
            'workdir = "attic"\nprompt = ',
            ':5: workdir: found "attic"; allowed: "role"',
        ),
        ("prompt = ", "priority = 1001\nprompt = ", ":5: priority: found 1001; allowed: a whole"),
        ("prompt = ", "handler = 1\nprompt = ", ":5: handler: there is no such key; allowed: id"),
        ("prompt = ", 'env_allow = ["A"]\nprompt = ', ":5: env_allow: there is no such key"),
        (
            "prompt = ",
            "parallelizable = false\nworkers = 2\nprompt = ",
            ":6: workers: found 2; allowed: at most 1, as mine is not parallelizable",
        ),
        (
            "prompt = ",
            'budget = { weekly = 5.0, fallback = ["sh"] }\nprompt = ',
            ":5: budget.fallback: is a program, which no capability names; allowed: in the role",
        ),
        (
            "prompt = ",
            "budget = { near = 0.5 }\nprompt = ",
            ":5: budget: has neither weekly nor monthly; allowed",
        ),
        (
            "prompt = ",
            'budget = { weekly = "x" }\nprompt = ',
            ':5: budget.weekly: found "x"; allowed: a number',
        ),
        ("id = ", "id == ", ": is not valid TOML: "),
        ("Cooks", "C\udcffoks", ":3: is not UTF-8"),
        ("Cooks", "x" * capability.MAX_BYTES, ": cannot be read: it is larger than"),
    ],
)
def test_a_broken_file_is_told_of_and_leaves_the_others(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    file = tmp_path / "mine.toml"
    assert old in MINE
    file.write_bytes(MINE.replace(old, new).encode("utf-8", "surrogateescape"))
    (tmp_path / "other.toml").write_text(MINE.replace("mine", "other"))
    found = find(tmp_path)
    assert [*found.packages] == [*BUILT_IN, "other"]
    (broken,) = found.broken
    assert broken.problems[0].startswith(f"{file}{said}"), broken.problems
    assert broken.id == "mine"
    assert "is broken: " in found.why_not("mine")


def test_all_that_is_wrong_with_one_is_told_at_once() -> None:
    found = read({"id": "x", "timeout": -1, "rolle": "r"})
    assert isinstance(found, Broken)
    assert [problem.split(":")[1].strip() for problem in found.problems] == [
        "timeout", "rolle", "role", "description", "task_types", "prompt",
    ]  # fmt: skip


def test_the_first_of_two_with_one_id_has_it(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(MINE)
    (tmp_path / "b.toml").write_text(MINE.replace("cook", "baker"))
    (tmp_path / "c.toml").write_text(MINE.replace('"mine"', '"pr-monitor"'))
    data = {**find(tmp_path).packages["mine"].capability.as_dict(), "role": "eater"}
    found = find(tmp_path, Offer("dist 1", data=data))
    assert found.packages["mine"].capability.role == "cook"
    assert found.packages["pr-monitor"].source == "built in"
    other = f"is that of another one ({tmp_path}/a.toml); choose another id"
    assert [broken.problems[0] for broken in found.broken] == [
        f'{tmp_path}/b.toml:1: id: "mine" {other}',
        f'{tmp_path}/c.toml:1: id: "pr-monitor" {other.replace(f"{tmp_path}/a.toml", "built in")}',
        f'dist 1: id: "mine" {other}',
    ]


def test_a_directory_that_is_none_is_told_of(tmp_path: Path) -> None:
    assert find(tmp_path / "absent").broken == ()
    (tmp_path / "file").touch()
    (broken,) = find(tmp_path / "file").broken
    assert broken.problems == (f"{tmp_path}/file: cannot be read: Not a directory",)


def test_only_files_of_the_right_name_count_and_none_hangs(tmp_path: Path) -> None:
    (tmp_path / "notes.md").write_text("not TOML at all")
    (tmp_path / ".hidden.toml").write_text("[")
    os.mkfifo(tmp_path / "pipe.toml")
    (broken,) = find(tmp_path).broken
    assert broken.problems == (f"{tmp_path}/pipe.toml: cannot be read: it is not a regular file",)


def test_offers_are_data_paths_or_errors(tmp_path: Path) -> None:
    (tmp_path / "shipped.toml").write_text(MINE)
    found = find(
        tmp_path / "absent",
        Offer("one 1", path=str(tmp_path / "shipped.toml")),
        Offer("two 2", data={"id": "two"}),
        Offer("three 3", error="it does not import"),
        Offer("four 4", path=str(tmp_path / "gone.toml")),
    )
    assert found.packages["mine"].source == "one 1"
    assert [broken.problems[0] for broken in found.broken] == [
        "two 2: role: is missing; allowed: a text (letters, digits, - and _; 1 to 64 of them)",
        "three 3: it does not import",
        f"{tmp_path}/gone.toml: cannot be read: No such file or directory",
    ]


def test_an_unknown_name_is_answered_with_the_nearest(tmp_path: Path) -> None:
    found = find(tmp_path)
    assert found.why_not("code-reviewr") == (
        'there is no capability "code-reviewr"; did you mean code-reviewer?'
    )
    assert found.why_not("zzz").endswith(f"there are: {', '.join(BUILT_IN)}")


# --- the built-in ones ----------------------------------------------------------------------------


def built_in(name: str) -> Capability:
    return all_capabilities("/nowhere", tuple).packages[name].capability


def answer_of(prompt: str) -> dict[str, Any]:
    """The answer that a prompt asks for; it must be JSON itself to be understood as that."""
    found = re.search(r"^\{\n.*?^\}$", prompt, re.MULTILINE | re.DOTALL)
    assert found is not None
    return dict(json.loads(found[0]))


def test_nothing_that_is_built_in_is_broken() -> None:
    found = all_capabilities("/nowhere", tuple)
    assert [*found.packages] == BUILT_IN
    assert found.broken == ()
    assert len({package.capability.role for package in found.packages.values()}) == 3


@pytest.mark.parametrize("name", BUILT_IN)
def test_a_prompt_names_only_tools_that_exist_and_asks_the_memory_first(name: str) -> None:
    prompt = built_in(name).prompt
    tools = {verb.tool_name for verb in loading.load() if verb.tool}
    named = re.findall(r"\b(?:memory|knowledge|agents|brain|system)_[a-z]+\b", prompt)
    assert set(named) <= tools
    assert {"memory_recall", "memory_remember", "memory_supersede"} <= {*named}
    assert 'in = "knowledge"' in prompt
    assert named[0] == "memory_recall"
    order = ["# What you are given", "# How you work", "# Your answer", "# What you remember"]
    order.append("# What you never do")
    places = [prompt.index(heading) for heading in order]
    assert places == sorted(places)


def test_the_reviewer_answers_with_severities_and_whether_to_merge() -> None:
    reviewer = built_in("code-reviewer")
    answer = answer_of(reviewer.prompt)
    assert answer["merge_ready"] is False
    (finding,) = answer["findings"]
    assert finding["severity"] == "critical | major | minor | note"
    assert reviewer.task_types == ("code-review",)
    assert reviewer.workdir == "worktree"
    assert not {"Edit", "Write"} & set(reviewer.tools)


def test_the_writer_of_documents_may_write_in_a_worktree() -> None:
    writer = built_in("doc-generator")
    assert set(answer_of(writer.prompt)) == {"summary", "files", "checked", "problems", "open"}
    assert writer.workdir == "worktree"
    assert {"Edit", "Write"} <= set(writer.tools)


def test_the_monitor_is_alone_and_only_looks() -> None:
    monitor = built_in("pr-monitor")
    assert answer_of(monitor.prompt)["status"] == "READY | NEEDS_REVIEW | BLOCKED"
    assert not monitor.parallelizable
    assert not {"Edit", "Write"} & set(monitor.tools)
    assert all(":*)" in tool for tool in monitor.tools if tool.startswith("Bash"))
