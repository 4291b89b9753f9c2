"""What a project's file may say: nothing but the allowed keys ever changes a configuration."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from khive_supervisor.config.project.text import MAX_BYTES, MAX_IGNORED, PROJECT, overlay, read
from khive_supervisor.config.settings.model import Config, every_setting, settings_of
from khive_supervisor.config.settings.roles import every_key
from khive_supervisor.config.show import as_dict

ALLOWED = {(table, name) for table, name, setting in every_setting() if setting.trust == "project"}


def changed(config: Config) -> set[tuple[str, str]]:
    """The settings in which a configuration is not the default one."""
    plain, default = as_dict(config), as_dict(Config())
    assert plain["roles"] == []
    return {
        (table, name)
        for table, name, _ in every_setting()
        if plain[table][name] != default[table][name]
    }


def test_what_a_project_may_set_is_decided_here() -> None:
    # A setting that is added to this list can be set by whoever wrote a repository.
    assert {
        ("search", "candidates"),
        ("search", "max_query_characters"),
        ("search", "floor"),
        ("profiles", "implicit_feedback"),
    } == ALLOWED
    assert {name for name, setting in PROJECT.items() if setting.trust == "project"} == {"name"}


def test_no_key_of_a_role_is_a_projects() -> None:
    assert {setting.trust for _, setting in every_key()} == {"user"}


def test_what_a_project_may_set_takes_effect_in_sessions_alone_and_is_bounded() -> None:
    for table, name in ALLOWED:
        setting = settings_of(table)[name]
        assert setting.applies == "session", f"{table}.{name} would reach others' sessions"
        assert setting.project_maximum is not None, f"{table}.{name} has no bound for projects"


def test_allowed_keys_are_taken() -> None:
    text = (
        '[project]\nname = "shop"\n[search]\ncandidates = 150\nmax_query_characters = 500\n'
        "floor = 0.25\n"
        "[profiles]\nimplicit_feedback = false\n"
    )
    project = read(text, "/p/khive.toml", "/p")
    assert project.name == "shop"
    assert project.ignored == ()
    config = overlay(Config(), project.settings)
    assert (config.search.candidates, config.search.max_query_characters) == (150, 500)
    assert config.search.floor == 0.25
    assert config.profiles.implicit_feedback is False
    assert changed(config) == ALLOWED


@pytest.mark.parametrize(
    "line",
    [
        "[search]\ncandidates = 201",
        "[search]\ncandidates = 1000",
        "[search]\ncandidates = 9",
        "[search]\ncandidates = true",
        "[search]\ncandidates = inf",
        "[search]\nmax_query_characters = 1000000",
        "[profiles]\nimplicit_feedback = true",
        "[profiles]\nimplicit_feedback = 0",
        '[project]\nname = ""',
        '[project]\nname = "a\\u001b[2J"',
        '[project]\nname = "a\\u202eb"',
        '[project]\nroot = "/"',
        "search = 1",
        "[[search]]\ncandidates = 20",
        "[nothing]\nx = 1",
    ],
)
def test_what_is_out_of_bounds_is_left_out_and_said(line: str) -> None:
    project = read(line, "/p/khive.toml", "/p")
    assert (project.name, dict(project.settings)) == ("", {})
    assert len(project.ignored) == 1
    assert all(character.isprintable() for character in str(project.ignored[0]))


@pytest.mark.parametrize(("table", "name"), [(t, n) for t, n, _ in every_setting()])
def test_every_setting_is_the_users_unless_it_says_otherwise(table: str, name: str) -> None:
    setting = settings_of(table)[name]
    value = getattr(getattr(Config(), table), name)
    project = read(f"[{table}]\n{name} = {setting.write(value)}\n", "/p/khive.toml", "/p")
    if (table, name) in ALLOWED and (table, name) != ("profiles", "implicit_feedback"):
        assert project.settings == {table: {name: value}}
    else:
        assert project.settings == {}
        assert [one.key for one in project.ignored] == [f"{table}.{name}"]
        assert project.ignored[0].place == "/p/khive.toml:2"


def test_a_namespace_comes_with_what_the_user_could_write() -> None:
    (ignored,) = read('[session]\nnamespace = "acme"\n', "/p/khive.toml", "~/work").ignored
    assert ignored.instead == '[[confine]]\npath = "~/work/**"\nnamespace = "acme"'


@pytest.mark.parametrize("value", ['"a b"', '"*"', '""', "5", '"a\\nb"', '["a"]'])
def test_what_is_no_namespace_is_not_repeated_as_one(value: str) -> None:
    (ignored,) = read(f"[session]\nnamespace = {value}\n", "/p/khive.toml", "/p").ignored
    assert ignored.instead == ""


@pytest.mark.parametrize(
    "text",
    [
        "not toml",
        "[" * 3000,
        "a = " + "[" * 3000,
        ".".join("a" * 4000) + " = 1",
        "[" + ".".join("a" * 4000) + "]",
        "a = {" * 800,
        "x = 1\nx = 2",
        "\x00",
        '"\\ud800" = 1',
        "[search]\ncandidates = " + "9" * 5000,
        "x = " + "{a=" * 300 + "1" + "}" * 300,
    ],
)
def test_no_text_is_too_strange(text: str) -> None:
    project = read(text, "/p/khive.toml", "/p")
    assert project.settings == {}
    assert project.ignored


def test_a_file_of_nothing_but_nonsense_says_little() -> None:
    text = "".join(f"[x{number}]\ny = 1\n" for number in range(700))[:MAX_BYTES]
    assert len(read(text, "/p/khive.toml", "/p").ignored) == MAX_IGNORED + 1


# --- any text -------------------------------------------------------------------------------------

SCALARS = st.one_of(
    st.booleans(),
    st.integers(-(10**12), 10**12),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(codec="utf-8"), max_size=20),
)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3), max_leaves=5)
NAMES = st.one_of(
    st.sampled_from([name for _, name, _ in every_setting()]),
    st.sampled_from([name for name, _ in every_key()]),
    st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=8),
)
TABLES = st.one_of(
    st.sampled_from(sorted({table for table, _, _ in every_setting()})),
    st.sampled_from(["project", "roles", "confine", "env", "x"]),
)


def written(document: dict[str, dict[str, Any]]) -> str:
    return "".join(
        f"[{table}]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in keys.items())
        for table, keys in document.items()
    )


@settings(max_examples=150)
@given(st.dictionaries(TABLES, st.dictionaries(NAMES, VALUES, max_size=6), max_size=8))
def test_nothing_but_the_allowed_keys_ever_changes_a_configuration(
    document: dict[str, dict[str, Any]],
) -> None:
    project = read(written(document), "/p/khive.toml", "/p")
    config = overlay(Config(), project.settings)
    assert changed(config) <= ALLOWED
    assert config.search.candidates <= 200
    assert config.search.max_query_characters <= 20_000
    for one in project.ignored:
        assert str(one).isprintable()


@settings(max_examples=100)
@given(st.text(st.characters(codec="utf-8"), max_size=300))
def test_any_text_at_all_is_read_without_an_error(text: str) -> None:
    project = read(text, "/p/khive.toml", "/p")
    assert changed(overlay(Config(), project.settings)) <= ALLOWED
    assert all(str(one).isprintable() for one in project.ignored)
