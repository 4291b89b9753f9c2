"""[[confine]] and operators' directories: read, matched, and what they come to."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khive_supervisor.access import decide
from khive_supervisor.access.grant import AGENT, OPERATOR, Audience, Grant, confined_to
from khive_supervisor.access.places import places_of
from khive_supervisor.config import snapshot
from khive_supervisor.config.changes import diff, digest_of
from khive_supervisor.config.load import from_dict, loads
from khive_supervisor.config.settings.confine import Confine, confinement_of, matches
from khive_supervisor.config.settings.model import Config
from khive_supervisor.config.show import as_dict, as_toml
from khive_supervisor.errors import ConfigError

FILE = "/home/me/.config/khive/khive.toml"


def load(text: str) -> Config:
    return loads(text, FILE, {}).config


# --- the file ---------------------------------------------------------------------------------

GOOD = """
[[confine]]
path = "~/work/acme/**"
namespace = "acme"

[[confine]]
namespace = "client"
"""

WRONG = [
    ('[[confine]]\npath = "/x"', ":1: confine[0].namespace: is missing"),
    ('[[confine]]\npath = "x"\nnamespace = "a"', ':2: confine[0].path: found "x"'),
    ('[[confine]]\npath = "~bob/x"\nnamespace = "a"', ":2: confine[0].path"),
    ('[[confine]]\npath = 3\nnamespace = "a"', ":2: confine[0].path: found 3"),
    ('[[confine]]\nnamespace = "a b"', ":2: confine[0].namespace: found"),
    ('[[confine]]\nnamespace = "a*"', ":2: confine[0].namespace: found"),
    (
        '[[confine]]\nnamespace = "a"\nnamspace = "b"',
        ":3: confine[0].namspace: there is no such key",
    ),
    ('confine = "/x"', ":1: confine: found"),
    ('[confine]\npath = "/x"', ":1: confine: found a table"),
    ("confine = [3]", "confine[0]: found 3; allowed: a table"),
    (
        '[[confine]]\npath = "/x"\nnamespace = "a"\n[[confine]]\npath = "/x/**"\nnamespace = "b"',
        ':5: confine[1].path: "/x/**" is confined to "a" already, by confine[0].path',
    ),
    (
        '[session]\nallowed_namespaces = ["default"]\n[[confine]]\nnamespace = "acme"',
        "confine[0].namespace: matches no pattern in session.allowed_namespaces",
    ),
    ('[session]\noperator_paths = ["ops"]', ":2: session.operator_paths: found the item"),
    ('[[confined]]\nnamespace = "a"', "there is no such setting; did you mean [[confine]]?"),
]


@pytest.mark.parametrize(("text", "said"), WRONG, ids=[said for _, said in WRONG])
def test_what_is_wrong_is_said_with_its_line(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(text)
    assert said in str(caught.value)


def test_tables_survive_every_form() -> None:
    config = load(GOOD)
    assert config.confine == (Confine("acme", "~/work/acme/**"), Confine("client"))
    assert from_dict(as_dict(config)) == config
    assert load(as_toml(config)) == config
    assert "confine" in snapshot.dumps(config)
    assert loads(GOOD, FILE, {}).origins["confine[0].path"] == f"{FILE}:3"


def test_a_change_of_the_tables_is_a_change() -> None:
    old, new = load(""), load(GOOD)
    (change,) = diff(old, new).settings
    assert (change.key, change.old, change.applies) == ("confine", "[]", "session")
    assert change.new == (
        '[{ namespace = "acme", path = "~/work/acme/**" }, { namespace = "client" }]'
    )
    assert diff(old, new).applied == ("confine",)
    assert digest_of(old) != digest_of(new)
    assert diff(new, new).empty


# --- patterns ---------------------------------------------------------------------------------

MATCHES = [
    ("/work/acme", "/work/acme", True),
    ("/work/acme", "/work/acme/a/b", True),
    ("/work/acme", "/work/acme2", False),
    ("/work/acme", "/work", False),
    ("/work/acme/", "/work/acme/a", True),
    ("/work/acme/**", "/work/acme", True),
    ("/work/acme/**", "/work/acme/a/b", True),
    ("/work/acme/**", "/work/acmes/a", False),
    ("/work/*", "/work/acme/a", True),
    ("/work/*", "/work", False),
    ("/work/ac*", "/work/acme/a", True),
    ("/work/ac*", "/work/beta/acme", False),
    ("/work/*/src", "/work/a/src/x", True),
    ("/work/*/src", "/work/a/b/src", False),
    ("/work/**/src", "/work/a/b/src/x", True),
    ("/work/**/src", "/work/src", True),
    ("/work/**/src", "/work/a/source", False),
    ("/work/a?me", "/work/acme", True),
    ("/work/a?me", "/work/a/me", False),
    ("/work/[ab]*", "/work/beta", True),
    ("/work/[ab]*", "/work/gamma", False),
    ("/work/[!a]*", "/work/beta/acme", True),
    ("/work/[!a]*", "/work/acme", False),
    ("/work/a.b", "/work/a.b/c", True),
    ("/work/a.b", "/work/axb", False),
    ("/work/(a|b)+$", "/work/(a|b)+$", True),
    ("/", "/anything", True),
    ("/**", "/anything/at/all", True),
    ("/work/acme", "/work/ACME", False),
    ("/work/new\nline", "/work/new\nline/x", True),
]


@pytest.mark.parametrize(("pattern", "place", "expected"), MATCHES, ids=str)
def test_patterns(pattern: str, place: str, expected: bool) -> None:
    assert matches(pattern, place) is expected


def test_the_home_directory_and_links_in_a_pattern(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    real = tmp_path / "data/acme"
    real.mkdir(parents=True)
    (tmp_path / "work").symlink_to(tmp_path / "data")
    assert matches("~/work/acme/**", os.path.realpath(real / "x"))
    assert matches("~/work/*", os.path.realpath(real))
    assert matches("~", os.path.realpath(real))
    assert not matches("~/work/beta", os.path.realpath(real))


def test_the_most_particular_table_counts() -> None:
    tables = [Confine("work", "/work/**"), Confine("acme", "/work/acme"), Confine("any", "/*/*")]
    assert confinement_of(tables, "/work/acme/x") == tables[1]
    assert confinement_of(reversed(tables), "/work/acme/x") == tables[1]
    assert confinement_of(tables, "/work/beta") == tables[0]
    assert confinement_of(tables, "/home/me") == tables[2]
    assert confinement_of(tables, "/") is None
    assert confinement_of([Confine("client")], "/") is None


NAMES = st.text(st.sampled_from("ab.*?[]! \\"), min_size=1, max_size=6)


@given(st.lists(NAMES, min_size=1, max_size=4), st.lists(NAMES, max_size=4))
def test_whatever_a_pattern_is_it_matches_or_not(parts: list[str], place: list[str]) -> None:
    pattern = "/" + "/".join(parts)
    assert matches(pattern, "/" + "/".join(place)) in (True, False)
    if not any(sign in pattern for sign in "*?[") and not {".", ".."} & {*parts}:
        assert matches(pattern, "/" + "/".join([*parts, *place]))


# --- places -----------------------------------------------------------------------------------


def git(cwd: Path, *words: str) -> None:
    names = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    subprocess.run(["git", *names, *words], cwd=cwd, check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    found = tmp_path / "repository"
    found.mkdir()
    git(found, "init", "-q")
    git(found, "commit", "-q", "--allow-empty", "-m", "first")
    git(found, "worktree", "add", "-q", str(tmp_path / "tree"), "-b", "side")
    return found


def test_a_worktree_is_also_where_its_main_checkout_is(repository: Path, tmp_path: Path) -> None:
    inside = tmp_path / "tree/a/b"
    inside.mkdir(parents=True)
    assert places_of([str(inside)]) == (str(inside), str(repository))
    assert places_of([str(repository)]) == (str(repository),)
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "tree")
    assert places_of([str(link)]) == (str(tmp_path / "tree"), str(repository))


def test_a_worktree_of_a_bare_repository(repository: Path, tmp_path: Path) -> None:
    git(tmp_path, "clone", "-q", "--bare", str(repository), "bare.git")
    git(tmp_path / "bare.git", "worktree", "add", "-q", str(tmp_path / "other"), "-b", "other")
    assert places_of([str(tmp_path / "other")])[1] == str(tmp_path / "bare.git")


@pytest.mark.parametrize(
    "said",
    [
        "gitdir: {tree}", "gitdir: {repository}/.git", "gitdir: /nowhere", "nothing", "",
        "gitdir: {repository}/.git/worktrees/other", "gitdir: \0", "gitdir: " + "x" * 9000,
    ],
)  # fmt: skip
def test_what_a_directory_says_of_itself_joins_nothing(
    repository: Path, tmp_path: Path, said: str
) -> None:
    fake = tmp_path / "fake"
    fake.mkdir()
    own = repository / ".git/worktrees/tree"
    text = said.format(tree=own, repository=repository)
    (fake / ".git").write_text(text)
    assert places_of([str(fake)]) == (str(fake),)


def test_a_pipe_in_the_place_of_a_git_file_makes_nobody_wait(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / ".git")
    assert places_of([str(tmp_path)]) == (str(tmp_path),)


@pytest.mark.parametrize("directory", ["", "relative", "/a\0b"])
def test_what_is_no_directory_is_no_place(directory: str) -> None:
    assert places_of([directory]) == ()


# --- decisions --------------------------------------------------------------------------------


def config(**more: Any) -> Config:
    tables = [
        {"path": "/srv/acme", "namespace": "acme"},
        {"path": "/srv/acme/beta", "namespace": "beta"},
        {"namespace": "client"},
    ]
    return from_dict({"confine": tables, "session": {"operator_paths": ["/srv/ops"]}, **more})


NOTHING = Grant(namespaces=())
SESSIONS: list[tuple[str, dict[str, str], Grant]] = [
    ("/srv/x", {}, AGENT),
    ("/srv/acme/x", {}, confined_to("acme")),
    ("/srv/acme/beta", {}, confined_to("beta")),
    ("/srv/x", {"CLAUDE_PROJECT_DIR": "/srv/acme"}, confined_to("acme")),
    ("/srv/acme", {"CLAUDE_PROJECT_DIR": "/srv/x"}, confined_to("acme")),
    ("/srv/acme", {"CLAUDE_PROJECT_DIR": "/srv/acme/beta"}, NOTHING),
    ("/srv/ops", {}, OPERATOR),
    ("/srv/ops", {"CLAUDE_PROJECT_DIR": "/srv/acme"}, confined_to("acme")),
    ("/srv/x", {"CLAUDE_PROJECT_DIR": "/srv/ops"}, AGENT),
    ("/srv/ops", {"KHIVE_TASK_ID": "1"}, AGENT),
    ("/srv/x", {"KHIVE_CONFINE": "acme"}, confined_to("acme")),
    ("/srv/acme", {"KHIVE_CONFINE": "beta"}, NOTHING),
]


@pytest.mark.parametrize(("cwd", "hints", "expected"), SESSIONS, ids=str)
def test_sessions(cwd: str, hints: dict[str, str], expected: Grant) -> None:
    found = decide.of_session(config(), cwd, hints)
    assert (found.audience, found.namespaces) == (expected.audience, expected.namespaces)


COMMANDS: list[tuple[str, dict[str, str], list[Grant], Grant]] = [
    ("/srv/x", {}, [], OPERATOR),
    ("/srv/acme", {}, [], OPERATOR),
    ("/srv/x", {"CLAUDECODE": "1"}, [], AGENT),
    ("/srv/acme", {"CLAUDECODE": "1"}, [], confined_to("acme")),
    ("/srv/acme", {}, [AGENT], confined_to("acme")),
    ("/srv/x", {}, [OPERATOR], OPERATOR),
    ("/srv/x", {}, [OPERATOR, AGENT], AGENT),
    ("/srv/x", {}, [confined_to("acme")], confined_to("acme")),
    ("/srv/acme/beta", {}, [confined_to("acme")], NOTHING),
    ("/srv/x", {}, [confined_to("acme"), confined_to("beta")], NOTHING),
    ("/srv/x", {"KHIVE_CONFINE": "beta"}, [], confined_to("beta")),
]


@pytest.mark.parametrize(("cwd", "hints", "above", "expected"), COMMANDS, ids=str)
def test_commands(cwd: str, hints: dict[str, str], above: list[Grant], expected: Grant) -> None:
    found = decide.of_command(config(), cwd, hints, above)
    assert found.namespaces == expected.namespaces
    assert found.operator is (expected.operator or "KHIVE_CONFINE" in hints) or found.confined


def test_a_person_in_a_confined_directory_writes_where_its_sessions_read() -> None:
    found = decide.of_command(config(), "/srv/acme", {}, [])
    assert (found.audience, found.namespaces, found.home) == (Audience.OPERATOR, None, "acme")


TASKS: list[tuple[str, str, Grant]] = [
    ("default", "/srv/x", AGENT),
    ("default", "", AGENT),
    ("acme", "/srv/x", confined_to("acme")),
    ("default", "/srv/acme", confined_to("acme")),
    ("client", "", confined_to("client")),
    ("client", "/srv/acme", NOTHING),
]


@pytest.mark.parametrize(("namespace", "cwd", "expected"), TASKS, ids=str)
def test_tasks(namespace: str, cwd: str, expected: Grant) -> None:
    found = decide.of_task(config(), namespace, cwd)
    assert (found.audience, found.namespaces) == (Audience.AGENT, expected.namespaces)
    variables = decide.variables_of_task(config(), namespace, cwd)
    assert bool(variables) is found.confined
    hinted = decide.of_session(from_dict({}), "/", variables)
    assert hinted.confined is found.confined
    assert hinted.admits("default") is (not found.confined)


def test_the_environment_alone_never_widens() -> None:
    for cwd, hints, _ in SESSIONS:
        with_hints = decide.of_session(config(), cwd, hints)
        without = decide.of_session(config(), cwd, {})
        assert not (with_hints.operator and not without.operator)
        for name in ("acme", "beta", "default"):
            assert without.admits(name) or not with_hints.admits(name)
