"""The registry: what it refuses and how it says so, foreign packs, warm hooks."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from support import write_distribution

from khive_supervisor.access.grant import AGENT
from khive_supervisor.errors import InvalidInput, KhiveError, NotFound
from khive_supervisor.packs import loading
from khive_supervisor.verbs.coercion import coerce
from khive_supervisor.verbs.context import SessionInfo
from khive_supervisor.verbs.registry import Pack, Registry, Verb, load

CONTEXT: Any = SimpleNamespace(
    registry=None, grant=AGENT, session=SessionInfo(), catch_up=lambda: None
)
CALLS: list[dict[str, Any]] = []


def note(_context: Any, args: Any) -> dict[str, Any]:
    CALLS.append(dict(args))
    return {"done": True}


PROPERTIES = {
    "name": {"type": "string", "minLength": 1, "maxLength": 5, "pattern": "^[a-z]+$"},
    "count": {"type": "integer", "minimum": 1, "maximum": 9},
    "tags": {"type": "array", "items": {"type": "string"}, "maxItems": 2},
    "where": {"type": "string", "enum": ["here", "there"]},
}
VERB = Verb("test.note", "Note something.", note, PROPERTIES, ("name",))
PACK = Pack("test", "For tests.", (VERB, Verb("test.other", "Do.", note)))
REGISTRY = Registry([PACK])
FOREIGN = """
from khive_supervisor.verbs.registry import Pack, Verb
def pack():
    return Pack("foreign", "From elsewhere.", (Verb({name!r}, "Do it.", lambda c, a: {{}}),))
"""
BAD_SCHEMA = """
from khive_supervisor.verbs.registry import Pack, Verb
def pack():
    return Pack("x", "x", (Verb("x.y", "", None, {"a": {"type": 5}}),))
"""
TWICE = """
from khive_supervisor.verbs.registry import Pack, Verb
def pack():
    return Pack("x", "x", (Verb("x.y", "", None), Verb("x.y", "", None)))
"""


@pytest.fixture(autouse=True)
def no_calls() -> None:
    CALLS.clear()


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


TEXTS = {
    "plain": {"type": "string", "description": "Any."},
    "short": {"type": "string", "minLength": 1, "maxLength": 3},
    "one": {"type": "string", "enum": ["a", "b", 1]},
    "other": PROPERTIES["name"],
    "count": PROPERTIES["count"],
}
VALUES = st.sampled_from(["", "a", "b", "abc", "abcd", "ä", 1, None, True, ["a"], {"a": 1}])


@given(st.dictionaries(st.sampled_from([*TEXTS, "unknown"]), VALUES) | VALUES)
def test_what_is_valid_at_a_glance_is_what_the_schema_allows(arguments: Any) -> None:
    verb = Verb("test.texts", "Texts.", note, TEXTS, ("plain",))
    registry, errors = Registry([Pack("test", "x", (verb,))]), []
    allowed = Draft202012Validator(verb.input_schema).is_valid(
        {} if arguments is None else coerce(verb.input_schema, arguments)
    )
    try:
        registry.call(CONTEXT, "test.texts", arguments)
    except InvalidInput as error:
        errors.append(error)
    assert allowed == (not errors)


def test_valid_arguments_reach_the_verb_in_either_spelling() -> None:
    assert REGISTRY.call(CONTEXT, "test.note", {"name": "abc", "count": 2}) == {"done": True}
    assert REGISTRY.call(CONTEXT, "test_note", {"name": "abc"}) == {"done": True}
    assert REGISTRY.call(CONTEXT, "test.other", None) == {"done": True}
    assert CALLS == [{"name": "abc", "count": 2}, {"name": "abc"}, {}]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "'name' is a required property"),
        ({"name": 7}, "name: 7 is not of type string"),
        ({"name": "x" * 500}, "name: is longer than 5"),
        ({"name": ""}, "name: is empty"),
        ({"name": "A"}, "name: 'A' does not match"),
        ({"name": "a", "count": 0}, "count: 0 is less than the minimum of 1"),
        ({"name": "a", "count": 1.5}, "count: 1.5 is not of type integer"),
        ({"name": "a", "count": True}, "count: True is not of type integer"),
        ({"name": "a", "count": "three"}, "count: 'three' is not of type integer"),
        ({"name": "a", "tags": {"x": 1}}, "tags: {'x': 1} is not of type array"),
        ({"name": "a", "tags": ["x", 3]}, "tags.1: 3 is not of type string"),
        ({"name": "a", "tags": ["x"] * 3}, "tags: is longer than 2"),
        ({"name": "a", "where": "away"}, "where: 'away' is not one of ['here', 'there']"),
        ({"name": "a", "extra": 1}, "there is no argument 'extra'"),
        ({"name": "a", "Tag": 1}, "there is no argument 'Tag' (did you mean tags?)"),
        ({"name": "a", "": 1, "x" * 999: 2}, "there is no argument '', 'xxxx"),
        ([], "[] is not of type object"),
        ("text", "'text' is not of type object"),
        (False, "False is not of type object"),
    ],
)
def test_bad_arguments_are_named_and_nothing_is_done(arguments: Any, message: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        REGISTRY.call(CONTEXT, "test.note", arguments)
    assert message in str(caught.value)
    assert "It takes: name, [count], [tags], [where]." in caught.value.hint
    assert CALLS == []


def test_every_problem_is_said_at_once() -> None:
    with pytest.raises(InvalidInput) as caught:
        REGISTRY.call(CONTEXT, "test.note", {"count": 0, "where": 3, "more": 1})
    for problem in (
        "'name' is a required",
        "count: 0 is less",
        "where: 3 is not",
        "argument 'more'",
    ):
        assert problem in caught.value.message


def test_an_error_never_repeats_a_large_value() -> None:
    for arguments in ({"name": ["x" * 10**6]}, {"name": "a", "where": "y" * 10**6}):
        with pytest.raises(InvalidInput) as caught:
            REGISTRY.call(CONTEXT, "test.note", arguments)
        assert len(str(caught.value)) < 1000


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(JSON | st.dictionaries(st.sampled_from([*PROPERTIES, "other"]), JSON))
def test_any_arguments_are_accepted_or_refused(arguments: Any) -> None:
    with contextlib.suppress(InvalidInput):
        REGISTRY.call(CONTEXT, "test.note", arguments)


@pytest.mark.parametrize(
    ("name", "near"), [("test.not", "test.note"), ("nonsense", "khive_help"), ("", "khive_help")]
)
def test_an_unknown_verb_names_the_nearest(name: str, near: str) -> None:
    with pytest.raises(NotFound) as caught:
        REGISTRY.get(name)
    assert near in caught.value.hint


def test_two_packs_may_not_declare_one_verb() -> None:
    with pytest.raises(ValueError, match=r"two packs declare the verb test\.note"):
        Registry([PACK, Pack("again", "", (replace(VERB, summary="Other."),))])


def test_every_built_in_verb_is_well_formed() -> None:
    for verb in loading.load():
        Draft202012Validator.check_schema(verb.input_schema)
        if verb.output:
            Draft202012Validator.check_schema(verb.output)
        assert set(verb.required) <= set(verb.properties), verb.name
        assert verb.summary.endswith(".")
        assert all("description" in schema for schema in verb.properties.values()), verb.name
        assert not (verb.read_only and verb.destructive)


def test_tool_names_never_collide() -> None:
    names = [verb.tool_name for verb in loading.load()]
    assert len(names) == len(set(names))


def test_a_pack_of_another_distribution_is_found(path: Path) -> None:
    write_distribution(path, "khive_a_pack", FOREIGN.format(name="other_pack.do_it"))
    registry = load([PACK])
    assert registry.call(CONTEXT, "other_pack.do_it", {}) == {}
    assert registry.call(CONTEXT, "other_pack_do_it", {}) == {}
    assert [pack.name for pack in registry.packs] == ["test", "foreign"]


@pytest.mark.parametrize(
    ("source", "attribute", "why"),
    [
        ("raise RuntimeError('at import')", "pack", "at import"),
        ("def pack():\n raise RuntimeError('when called')", "pack", "when called"),
        ("pack = 3", "pack", "not callable"),
        ("", "missing", "missing"),
        ("def pack():\n return 'no pack'", "pack", "verbs"),
        (FOREIGN.format(name="No Name!"), "pack", "is not pack.verb"),
        (FOREIGN.format(name="a." + "b" * 60), "pack", "at most 40 characters"),
        (FOREIGN.format(name="test.note"), "pack", "a verb that exists: test.note"),
        ("import a_module_that_is_not_there", "pack", "a_module_that_is_not_there"),
        ("def", "pack", "SyntaxError"),
        (BAD_SCHEMA, "pack", "SchemaError"),
        (TWICE, "pack", "x.y"),
    ],
)
def test_a_broken_pack_is_reported_and_left_out(
    path: Path, source: str, attribute: str, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    write_distribution(path, "khive_a_broken", source, attribute)
    write_distribution(path, "khive_b_sound", FOREIGN.format(name="foreign.verb"))
    with caplog.at_level(logging.ERROR):
        registry = load([PACK])
    assert [pack.name for pack in registry.packs] == ["test", "foreign"]
    (said,) = caplog.records
    assert said.message == "pack.broken"
    assert why in vars(said)["fields"]["error"]


def test_a_warm_hook_that_fails_is_reported_and_the_others_run(
    caplog: pytest.LogCaptureFixture,
) -> None:
    ran: list[str] = []

    def fail() -> None:
        raise KhiveError("too cold")

    registry = Registry(
        [Pack("a", "", (), fail), Pack("b", "", ()), Pack("c", "", (), lambda: ran.append("c"))]
    )
    with caplog.at_level(logging.ERROR):
        registry.warm()
    assert ran == ["c"]
    assert [record.message for record in caplog.records] == ["pack.warm_failed"]


def test_the_kinds_of_consumers_of_all_packs_are_known_once() -> None:
    kinds = [Pack("a", "", (), consumer_kinds=("x", "y")), Pack("b", "", (), consumer_kinds=("y",))]
    assert Registry(kinds).consumer_kinds == ("x", "y")
    assert REGISTRY.consumer_kinds == ()


def test_a_verb_knows_the_kinds_of_consumers_of_its_registry() -> None:
    context: Any = SimpleNamespace(
        consumer_kinds=("x",), grant=AGENT, session=SessionInfo(), catch_up=lambda: None
    )
    REGISTRY.call(context, "test.note", {"name": "abc"})
    assert context.consumer_kinds == ()
