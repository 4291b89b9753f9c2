"""Roles in the configuration: what is read, what is refused, and how it is written again."""

from __future__ import annotations

import dataclasses
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khive_supervisor.config.handlers import check_handlers
from khive_supervisor.config.load import from_dict, load
from khive_supervisor.config.settings.budget import Budget
from khive_supervisor.config.settings.handler import Handler, RoleCandidate
from khive_supervisor.config.settings.model import Config
from khive_supervisor.config.settings.roles import (
    MAX_ROLES,
    NESTED,
    PRIORITY_LIMIT,
    WORKDIRS,
    Role,
    digest,
    every_key,
)
from khive_supervisor.config.show import as_dict, as_toml, loaded_as_dict
from khive_supervisor.config.snapshot import MAX_LENGTH, dumps
from khive_supervisor.errors import ConfigError

ONE = '[[roles]]\nrole = "one"\ntask_types = ["a"]\nhandler = { python = "json:loads" }\n'


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))


def read(tmp_path: Path, text: str) -> Config:
    file = tmp_path / "khive.toml"
    file.write_text(text)
    return load(str(file), str(tmp_path), {}).config


def problems(tmp_path: Path, text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, text)
    prefix = str(tmp_path / "khive.toml")
    assert all(problem.startswith(prefix) for problem in caught.value.problems)
    return [problem.removeprefix(prefix) for problem in caught.value.problems]


def test_a_role_has_defaults_for_all_but_three_keys(tmp_path: Path) -> None:
    (role,) = read(tmp_path, ONE).roles
    assert role == Role(role="one", task_types=("a",), handler=Handler(python="json:loads"))
    assert (role.workers, role.timeout, role.attempts) == (1, 900, 3)
    assert (role.drain_deadline, role.memory, role.variables) == (60, 0, ())


def test_every_key_is_read(tmp_path: Path) -> None:
    text = (
        '[[roles]]\nrole = "r"\ntask_types = ["a", "b.c"]\nworkers = 0\ntimeout = "1h"\n'
        'memory = "1GiB"\ndrain_deadline = 5\nattempts = 7\nenv_allow = ["A", "B"]\n'
        'env_require = ["B"]\ncwd = "~/x"\ndescription = "d"\n'
        '[roles.handler]\ncommand = ["sh", "-c", "", "two\\nlines"]\n'
    )
    (role,) = read(tmp_path, text).roles
    assert role == Role(
        role="r", task_types=("a", "b.c"), workers=0, timeout=3600, memory=1 << 30,
        drain_deadline=5, attempts=7, env_allow=("A", "B"), env_require=("B",),
        cwd=str(tmp_path / "x"), description="d",
        handler=Handler(command=("sh", "-c", "", "two\nlines")),
    )  # fmt: skip
    assert role.variables == ("B", "A")


def test_all_problems_of_all_roles_are_named_at_once(tmp_path: Path) -> None:
    text = (
        '[[roles]]\nrole = "no spaces"\ntask_type = ["a"]\nhandler = { comand = ["x"] }\n'
        '[[roles]]\nrole = "b"\ntask_types = []\nworkers = 65\n'
        'handler = { python = "a:b", command = ["x"] }\n'
        '[[roles]]\nrole = "b"\ntask_types = ["x"]\nhandler = {command = [""]}\nattempts = 0\n'
        "[store]\npaht = 1\n"
    )
    found = "\n".join(problems(tmp_path, text))
    for expected in (
        ':2: roles[0].role: found "no spaces"; allowed: a text (letters',
        ":3: roles[0].task_type: there is no such key; did you mean task_types?",
        ":4: roles[0].handler.comand: there is no such key; did you mean command?",
        ":4: roles[0].handler: has none of python, command and agent; allowed: {",
        ":1: roles[0].task_types: is missing; allowed: a list of texts",
        ":7: roles[1].task_types: found a list; allowed",
        ":8: roles[1].workers: found 65; allowed: a whole number from 0 to 64",
        ":9: roles[1].handler: has python and command; allowed: {",
        ':11: roles[2].role: two roles of one name, "b"; the other is roles[1].role (',
        ":13: roles[2].handler.command: found a list; allowed: a list of texts: a program",
        ":14: roles[2].attempts: found 0",
        ":16: store.paht: there is no such setting; did you mean store.path?",
    ):
        assert expected in found
    assert found.count("\n") == 11


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("roles = 3", ": roles: found 3; allowed: [[roles]]"),
        ("roles = [3]", ": roles[0]: found 3; allowed: a table"),
        ("[roles]\nrole = 'x'", ": roles: found a table; allowed: [[roles]]"),
        ("[[role]]\nrole = 'x'", ": role: there is no such setting; did you mean [[roles]]?"),
        (ONE.replace('{ python = "json:loads" }', "3"), "roles[0].handler: found 3; allowed: {"),
        (ONE.replace("json:loads", "json.loads"), 'roles[0].handler.python: found "json.loads"'),
        (ONE * (MAX_ROLES + 1), f"there are {MAX_ROLES + 1} tables"),
    ],
)
def test_what_is_no_role_is_refused(tmp_path: Path, text: str, expected: str) -> None:
    (problem,) = problems(tmp_path, text)
    assert expected in problem


def test_a_budget_is_read(tmp_path: Path) -> None:
    text = ONE + "budget = { weekly = 0, monthly = 150.5, reserve = 1, fallback = ['sh', ''] }\n"
    (role,) = read(tmp_path, text).roles
    assert role.budget == Budget(weekly=0, monthly=150.5, reserve=1, fallback=("sh", ""))
    assert (role.budget.unit, role.budget.near, role.budget.limited) == ("usd", 0.8, True)
    (role,) = read(tmp_path, ONE).roles
    assert role.budget == Budget()
    assert not role.budget.limited


@pytest.mark.parametrize(
    ("budget", "expected"),
    [
        ("5", "budget: found 5; allowed: { weekly = 50.0 }"),
        ("{}", "budget: has neither weekly nor monthly; allowed: { weekly"),
        ("{ near = 0.5 }", "has neither weekly nor monthly"),
        ("{ weekly = -1 }", "budget.weekly: found -1; allowed: a number from 0 to"),
        ("{ weekly = inf }", "budget.weekly: found inf; allowed: a number"),
        ("{ weekly = '5' }", 'budget.weekly: found "5"; allowed: a number'),
        ("{ weekly = 1, near = 80 }", "budget.near: found 80; allowed: a number from 0 to 1"),
        ("{ weekly = 1, unit = 'eur' }", 'budget.unit: found "eur"; allowed: "usd" or "tokens"'),
        ("{ weekly = 1, reserve = 2 }", "a reserve of 2, which is more than weekly, 1; allowed"),
        ("{ weekly = 1.5, unit = 'tokens' }", "weekly = 1.5 tokens, which is no whole number"),
        ("{ weekly = 1, fallback = [] }", "budget.fallback: found a list; allowed: a list of"),
        ("{ weekly = 1, week = 2 }", "budget.week: there is no such key; did you mean weekly?"),
    ],
)
def test_a_wrong_budget_is_refused_with_what_is_allowed(
    tmp_path: Path, budget: str, expected: str
) -> None:
    (problem,) = problems(tmp_path, ONE + f"budget = {budget}\n")
    assert expected in problem


_NAMES = st.text("abcXYZ019_-", min_size=1, max_size=64)
_WORDS = st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
_HANDLERS = st.one_of(
    st.just(Handler(python="a.b:c")),
    _WORDS.map(lambda words: Handler(command=("x", *words))),
    st.sampled_from(["", "claude"]).map(lambda form: Handler(agent=("x",), format=form)),
)
_AMOUNTS = st.one_of(st.none(), st.integers(0, 10**9).map(lambda cents: cents / 100))
_BUDGETS = st.one_of(
    st.just(Budget()),
    st.builds(
        Budget,
        weekly=st.integers(0, 10**9).map(float),
        monthly=_AMOUNTS,
        near=st.sampled_from([0.0, 0.8, 1.0]),
        fallback=st.sampled_from([(), ("sh", "-c", "")]),
    ),
)
_ROLES = st.builds(
    Role,
    role=_NAMES,
    task_types=st.lists(_NAMES, min_size=1, max_size=3).map(tuple),
    handler=_HANDLERS,
    workers=st.integers(0, 64),
    timeout=st.floats(0.1, 1e5).map(lambda seconds: round(seconds, 3)),
    memory=st.sampled_from([0, 32 << 20, 1 << 40]),
    attempts=st.integers(1, 100),
    env_require=st.lists(_NAMES.map(lambda name: "V" + name.replace("-", "_"))).map(tuple),
    cwd=st.sampled_from(["", "/a b"]),
    workdir=st.sampled_from(WORKDIRS),
    prompt=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    model=st.sampled_from(["", "sonnet[1m]", "a/b:c"]),
    tools=st.sampled_from([(), ("Read", "Bash(git diff:*)")]),
    description=st.sampled_from(["", 'say "it"']),
    budget=_BUDGETS,
    capability=st.sampled_from(["", "code-reviewer"]),
    priority=st.integers(-PRIORITY_LIMIT, PRIORITY_LIMIT),
)


@given(st.lists(_ROLES, max_size=4, unique_by=lambda role: role.role))
def test_roles_survive_being_written(roles: list[Role]) -> None:
    config = dataclasses.replace(Config(), roles=tuple(roles))
    assert from_dict(as_dict(config)) == config
    assert from_dict(tomllib.loads(as_toml(config))) == config


def test_origins_are_shown(tmp_path: Path) -> None:
    file = tmp_path / "khive.toml"
    file.write_text(ONE)
    shown = loaded_as_dict(load(str(file), str(tmp_path), {}))["settings"]
    assert shown["roles[0].role"] == {"value": "one", "origin": f"{file}:2"}
    assert shown["roles[0].workers"] == {"value": 1, "origin": "default"}
    assert shown["roles[0].handler.python"]["origin"] == f"{file}:4"


def test_the_digest_is_of_what_needs_new_workers() -> None:
    role = Role(role="r", task_types=("a",), handler=Handler(python="a:b"))
    other = {
        "role": "q", "task_types": ("b",), "handler.python": "a:c", "handler.command": ("x",),
        "workers": 9, "timeout": 1.0, "memory": 1 << 30, "drain_deadline": 1.0, "attempts": 9,
        "warm_timeout": 1.0,
        "env_allow": ("A",), "env_require": ("A",), "cwd": "/", "description": "d",
        "budget.weekly": 1.0, "budget.monthly": 1.0, "budget.unit": "tokens", "budget.near": 0.5,
        "budget.reserve": 1.0, "budget.fallback": ("x",),
        "handler.agent": ("codex",), "handler.format": "plain", "workdir": "fresh", "vcs": "jj",
        "prompt": "two\nlines", "model": "m", "tools": ("Read",), "capability": "c", "priority": 9,
        "candidates": (RoleCandidate("one"),), "history": 3,
        "tasks_from": ("bob",), "history_tokens": 900,
    }  # fmt: skip
    for name, setting in every_key():
        first, _, inner = name.partition(".")
        # The names come from the declarations, so no checker knows their types.
        value = NESTED[first](**{inner: other[name]}) if inner else other[name]  # type: ignore[arg-type]  # any key
        changed = dataclasses.replace(role, **{first: value})  # type: ignore[arg-type]  # any key
        assert (digest(changed) != digest(role)) == (setting.applies == "rolling"), name


def test_a_key_that_is_not_used_leaves_the_digest_as_it_was() -> None:
    # Written down before there were agents: roles keep what they learned then.
    assert (
        digest(Role(role="r", task_types=("a",), handler=Handler(python="a:b"))) == "9013d1dd84f8"
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('command = ["x"], format = "claude"', "handler.format: is of an agent"),
        ('agent = ["x"], format = "other"', 'handler.format: found "other"'),
        ('agent = ["x"], command = ["x"]', "handler: has command and agent; allowed"),
        ('format = "plain"', "handler: has none of python, command and agent"),
        ('agent = [""]', "handler.agent: found a list"),
    ],
)
def test_what_is_wrong_with_an_agent_is_said(text: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "khive.toml"
    file.write_text(ONE.replace('{ python = "json:loads" }', f"{{ {text} }}"))
    with pytest.raises(ConfigError) as caught:
        load(str(file), str(tmp_path), {})
    assert f"roles[0].{said}" in str(caught.value)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('workdir = "here"', 'roles[0].workdir: found "here"; allowed: "role" or "caller"'),
        ('prompt = "a\\u0000"', "roles[0].prompt: found the text"),
        ('model = "-x"', "roles[0].model"),
        ('tools = ["--dangerously"]', "roles[0].tools: found the item"),
        ('tools = ["a\\nb"]', "roles[0].tools: found"),
    ],
)
def test_what_an_agent_is_told_is_checked(line: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "khive.toml"
    file.write_text(ONE + line + "\n")
    with pytest.raises(ConfigError) as caught:
        load(str(file), str(tmp_path), {})
    assert said in str(caught.value)


def test_what_a_handler_lacks_here_is_found_without_importing(tmp_path: Path) -> None:
    program = tmp_path / "run"
    program.touch(0o755)
    handlers = [
        Handler(python="json.nothing:x"),
        Handler(python="no_such_package.module:x"),
        Handler(command=("run",)),
        Handler(command=("no-such-program",)),
        Handler(command=("./run",)),
        Handler(command=("bin/run",)),
    ]
    roles = [Role(role=f"r{n}", task_types=("a",), handler=h) for n, h in enumerate(handlers)]
    roles[2] = dataclasses.replace(roles[2], cwd="/no/such", env_require=("A", "B"))
    roles[5] = dataclasses.replace(roles[5], budget=Budget(1.0, fallback=("no-such-program",)))
    found = check_handlers(Config(roles=tuple(roles)), {"PATH": str(tmp_path), "A": ""})
    assert [(problem.role, problem.key) for problem in found] == [
        ("r1", "roles[1].handler.python"),
        ("r2", "roles[2].cwd"),
        ("r2", "roles[2].env_require"),
        ("r3", "roles[3].handler.command"),
        ("r5", "roles[5].handler.command"),
        ("r5", "roles[5].budget.fallback"),
    ]
    assert str(found[2]) == "roles[2].env_require: the environment variable B is not set"


def test_a_configuration_that_no_child_could_get_is_refused() -> None:
    handler = Handler(command=("x", "y" * MAX_LENGTH))
    with pytest.raises(ConfigError, match="too long"):
        dumps(Config(roles=(Role(role="r", task_types=("a",), handler=handler),)))
