"""The commands on profiles: what they print, what they take, and how one is followed."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from khive_supervisor import exitcodes
from khive_supervisor.access.grant import OPERATOR
from khive_supervisor.cli.commands import profile_watch, profiles
from khive_supervisor.cli.commands.profile_watch import changes, follow
from khive_supervisor.cli.connection import session
from khive_supervisor.cli.main import cli
from khive_supervisor.cli.render import profile_text
from khive_supervisor.cli.render.readable import readable
from khive_supervisor.config.load import from_dict
from khive_supervisor.packs import loading
from khive_supervisor.profiles.model import DEFAULT, NewEvent
from khive_supervisor.sqlite.store import SqliteStore
from khive_supervisor.store.model import NewEntry
from khive_supervisor.verbs.context import Context, SessionInfo

Ask = Callable[..., dict[str, Any]]


def entry(content: str) -> NewEntry:
    return NewEntry("memory", "default", "semantic", "", content)


@pytest.fixture
def store(home: Path) -> Iterator[SqliteStore]:
    with SqliteStore(str(home / "watched.db")) as opened:
        opened.entries.add([entry("the kettle is upstairs")])
        yield opened


@pytest.fixture
def ask(store: SqliteStore) -> Iterator[Ask]:
    config = from_dict({"store": {"path": store.path}})
    context = Context(
        config, SessionInfo(), socket_path=None, make_embedder=lambda: None, grant=OPERATOR
    )
    yield lambda verb, **args: loading.load().call(context, verb, args)
    context.close()


# --- what is printed ------------------------------------------------------------------------------


def test_a_profile_s_life_on_the_command_line(khive: Callable[..., Result]) -> None:
    khive("remember", "the kettle is upstairs")
    made = khive("create-profile", "tea", "--description", "For tea", "--seed", "salience=5,5")
    assert made.output == "Created tea. `bind` says whom it serves.\n"
    assert "Serves nobody" in khive("profile", "tea").output
    bound = khive("bind", "tea", "--namespace", "kitchen", "--priority", "2")
    assert bound.output == "tea: actor *, namespace kitchen, kind *, priority 2\n"

    said = khive("feedback", "m1", "useful", "--profile", "tea")
    assert said.output == "m1 useful: recorded for tea, counted 1 of 1\n"
    listed = khive("profiles", "--lifecycle", "active").output.splitlines()
    assert listed[0].split()[:3] == ["PROFILE", "LIFECYCLE", "KIND"]
    (row,) = (line for line in listed if line.startswith("tea"))
    assert "0.55 [0.30, 0.78]" in row
    assert row.split()[-2:] == ["1", "1"]
    whole = khive("profile", "tea").output
    for shown in ("For tea", "events  1, resets 0", "m1     0.67 [0.22, 0.97]", "the kettle is up"):
        assert shown in whole

    assert khive("resolve", "--namespace", "kitchen").output.startswith("tea (relevance 0.7")
    assert khive("resolve").output.startswith(DEFAULT)
    assert khive("bindings", "tea").output.splitlines()[1].split() == [
        "tea", "*", "kitchen", "*", "2",
    ]  # fmt: skip
    assert khive("deactivate", "tea").output == "tea is inactive, resets 0.\n"
    assert "tea" not in khive("profiles", "--lifecycle", "active").output
    assert khive("activate", "tea").output == "tea is active, resets 0.\n"
    assert khive("reset-profile", "tea").output == "tea is active, resets 1.\n"
    assert "Nothing is learned" in khive("profile", "tea").output
    assert khive("replay").output == f"{DEFAULT}: equal\ntea: equal\n"
    assert khive("unbind", "tea").output.startswith("Removed tea: actor *, namespace kitchen")
    assert khive("unbind", "tea").output == "No binding is like that.\n"
    khive("deactivate", "tea")
    assert khive("archive", "tea").output == "tea is archived, resets 1.\n"


def test_json_is_what_the_verb_answers(khive: Callable[..., Result]) -> None:
    khive("create-profile", "tea", "--json")
    khive("bind", "tea", "--kind", "search", "--json")
    listed = json.loads(khive("profiles", "--json").output)["profiles"]
    assert {one["name"]: one["bindings"] for one in listed} == {DEFAULT: 0, "tea": 1}
    assert json.loads(khive("profile", "tea", "--json").output)["weights"]["relevance"]["ess"] == 10
    for words in (("resolve",), ("bindings",), ("replay", "tea"), ("unbind", "tea")):
        assert json.loads(khive(*words, "--json").output)


def test_a_binding_that_takes_another_s_place_says_so(khive: Callable[..., Result]) -> None:
    for name in ("tea", "mate"):
        khive("create-profile", name)
    khive("deactivate", "mate")
    khive("bind", "tea", "--actor", "ada")
    lines = khive("bind", "mate", "--actor", "ada").output.splitlines()
    assert lines[1].startswith("instead of tea: actor ada")
    assert lines[2] == "mate is inactive: it serves once it is activated."


def test_without_a_daemon_the_actor_is_the_environment_s(
    khive: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    khive("create-profile", "tea")
    khive("bind", "tea", "--actor", "ada")
    assert khive("resolve").output.startswith(DEFAULT)
    monkeypatch.setenv("KHIVE_ACTOR", "ada")
    assert khive("resolve").output.startswith("tea")


def test_repeating_oneself_on_the_command_line_counts_up_to_the_limit(
    khive: Callable[..., Result],
) -> None:
    khive("remember", "the kettle is upstairs")
    said = [khive("feedback", "m1", "explicit_positive").output for _ in range(3)]
    assert [one.splitlines()[0].partition("counted ")[2] for one in said] == [
        "1.5 of 1.5", "0.5 of 1.5", "0 of 1.5",
    ]  # fmt: skip
    assert "note: What this actor says" in said[2]


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("profile", "nobody"), "There is no profile 'nobody'"),
        (("profile", "nobody", "--watch"), "There is no profile 'nobody'"),
        (("feedback", "m9", "useful"), "There is no entry m9"),
        (("unbind",), "names nothing"),
        (("bind", DEFAULT, "--kind", "nonsense"), "No pack declares"),
        (("archive", DEFAULT), "stays active"),
        (("create-profile", "x", "--seed", "relevance=-1,1"), "no prior can be"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_a_verb_refuses_is_an_error_with_a_hint(
    khive: Callable[..., Result], words: tuple[str, ...], why: str
) -> None:
    error: Any = khive(*words, code=exitcodes.FAILURE).exception
    assert why in error.message
    assert error.hint


@pytest.mark.parametrize(
    "words",
    [
        ("feedback", "m1", "splendid"),
        ("feedback", "m1"),
        ("profiles", "--lifecycle", "dead"),
        ("bind", "x", "--priority", "1001"),
        ("create-profile", "x", "--seed", "relevance"),
        ("create-profile", "x", "--seed", "relevance=1"),
        ("create-profile", "x", "--seed", "charm=1,1"),
    ],
    ids=" ".join,
)
def test_a_wrong_command_line_is_a_usage_error(words: tuple[str, ...]) -> None:
    done = CliRunner().invoke(cli, words)
    assert done.exit_code == exitcodes.USAGE
    assert "Usage:" in done.output


def test_a_replay_that_differs_is_unhealthy(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = {"name": "tea", "equal": False, "differences": ["events is 1 and 2"]}
    answer = {"equal": False, "profiles": [wrong]}
    monkeypatch.setattr(session.Invocation, "ask", lambda *_args, **_given: answer)
    done = CliRunner().invoke(cli, ("replay",))
    assert done.exit_code == exitcodes.UNHEALTHY
    assert done.output == "tea: differs\n    events is 1 and 2\n"


def test_a_description_cannot_act_on_the_terminal(khive: Callable[..., Result]) -> None:
    khive("create-profile", "tea", "--description", "red \x1b[31malert")
    output = khive("profile", "tea").output
    assert "\x1b" not in output
    assert "\\x1b[31malert" in output


def test_every_command_is_under_one_heading() -> None:
    output = CliRunner().invoke(cli, ("--help",)).output
    headings = re.findall(r"^([A-Z].*):$", output, re.MULTILINE)
    assert headings[0] == "Options"
    assert len(headings) == 7
    names = output.partition("Supervisor:")[2].partition("Start with:")[0]
    listed = re.findall(r"^  ([a-z-]+) +[A-Z]", names, re.MULTILINE)
    assert sorted(listed) == sorted(cli.commands)


def test_a_tab_starts_no_supervisor(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KHIVE_SOCKET", str(home / "s"))
    context = click.Context(profiles.profile)
    assert profiles.complete_name(context, profiles.profile.params[0], "") == []
    assert not (home / "s").exists()


# --- following ------------------------------------------------------------------------------------


def say(store: SqliteStore, signal: str | None = "useful", profile: str = DEFAULT) -> None:
    store.feedback.record(NewEvent(profile, "feedback", signal, 1 if signal else None, session="s"))


def test_only_what_changes_the_profile_is_shown_again(store: SqliteStore, ask: Ask) -> None:
    store.profiles.create("other", "", "recall")
    asked = itertools.count()
    steps = iter(
        (
            lambda: None,
            lambda: store.entries.add([entry("another entry")]),
            lambda: say(store, profile="other"),
            lambda: say(store, signal="wrong"),
        )
    )

    def load() -> dict[str, Any]:
        next(asked)
        return ask("brain.profile", name=DEFAULT)

    def wait() -> None:
        next(steps)()

    seen = changes(store, load, wait)
    assert next(seen)["events"] == 0
    changed = next(seen)
    assert changed["events"] == 1
    assert changed["targets"][0]["line"] == "the kettle is upstairs"
    # At first, after the other profile's feedback, and after its own: entries cost nothing.
    assert next(asked) == 3


def test_following_ends_at_an_interrupt(
    store: SqliteStore,
    ask: Ask,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    waits = itertools.count()

    def wait(_seconds: float) -> None:
        if next(waits):
            raise KeyboardInterrupt
        say(store)

    monkeypatch.setattr(profile_watch.time, "sleep", wait)
    follow(store, lambda: ask("brain.profile", name=DEFAULT), as_json=False)
    first, second = capsys.readouterr().out.splitlines()
    assert f"{DEFAULT} active  relevance 0.70 [0.45, 0.90]" in first
    assert "events 0  bindings 0" in first
    assert second.endswith("events 1  bindings 0  m1=0.67")


def test_a_terminal_is_drawn_anew(
    store: SqliteStore,
    ask: Ask,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def wait(_seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(profile_watch.time, "sleep", wait)
    monkeypatch.setattr(profile_watch, "_screen", lambda: True)
    answer = ask("brain.profile", name=DEFAULT)
    follow(store, lambda: answer, as_json=False)
    drawn = capsys.readouterr().out
    assert drawn.startswith("\x1b[H\x1b[2J")
    assert profile_text.profile_text(readable(answer)) in drawn
    follow(store, lambda: answer, as_json=True)
    assert json.loads(capsys.readouterr().out) == answer
