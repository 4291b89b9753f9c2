"""Arguments as clients send them: taken as what is meant, and no verb breaks on any."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.faults import arguments
from khive_supervisor.errors import InvalidInput
from khive_supervisor.packs import loading
from khive_supervisor.verbs.coercion import ArgumentValidator, coerce

INTEGER: dict[str, Any] = {"type": "integer", "minimum": 1, "maximum": 100}
NUMBER: dict[str, Any] = {"type": "number"}
BOOLEAN: dict[str, Any] = {"type": "boolean"}
TEXT: dict[str, Any] = {"type": "string"}
TEXTS: dict[str, Any] = {"type": "array", "items": TEXT}
NUMBERS: dict[str, Any] = {"type": "array", "items": INTEGER}
OBJECT: dict[str, Any] = {
    "type": "object",
    "properties": {"content": TEXT, "count": INTEGER, "tags": TEXTS},
}
CLOSED: dict[str, Any] = {
    "type": "object",
    "properties": {
        "content": TEXT,
        "either": {"anyOf": [INTEGER, TEXTS]},
        "any": {"description": "Any JSON."},
    },
    "required": ["content"],
    "additionalProperties": False,
}
OBJECTS: dict[str, Any] = {"type": "array", "items": OBJECT}
EITHER: dict[str, Any] = {"anyOf": [INTEGER, TEXTS]}
SEVERAL: dict[str, Any] = {"type": ["integer", "null"]}
ANY: dict[str, Any] = {"description": "Any JSON."}


@pytest.mark.parametrize(
    ("schema", "sent", "meant"),
    [
        (INTEGER, 3, 3),
        (INTEGER, 3.0, 3),
        (INTEGER, "3", 3),
        (INTEGER, "3.0", 3),
        (INTEGER, " 3 ", 3),
        (NUMBER, "0.5", 0.5),
        (NUMBER, 3, 3),
        (BOOLEAN, "true", True),
        (BOOLEAN, "True", True),
        (BOOLEAN, "FALSE", False),
        (BOOLEAN, "1", True),
        (BOOLEAN, 0, False),
        (BOOLEAN, False, False),
        (TEXTS, ["a"], ["a"]),
        (TEXTS, '["a", "b"]', ["a", "b"]),
        (TEXTS, "[]", []),
        (TEXTS, "a", ["a"]),
        (TEXTS, "[draft", ["[draft"]),
        (TEXTS, "3", ["3"]),
        (TEXTS, ["3", "true"], ["3", "true"]),
        (NUMBERS, "[1, 2.0]", [1, 2]),
        (NUMBERS, [1.0, "2"], [1, 2]),
        (OBJECT, '{"count": "3", "tags": "a"}', {"count": 3, "tags": ["a"]}),
        (OBJECTS, '[{"content": "3", "count": 2.0}]', [{"content": "3", "count": 2}]),
        (OBJECTS, ['{"content": "{}"}'], [{"content": "{}"}]),
        (OBJECTS, {"content": "a", "tags": "b"}, [{"content": "a", "tags": ["b"]}]),
        (OBJECTS, '{"content": "a"}', [{"content": "a"}]),
        (OBJECT, {"content": "a", "count": None, "tags": None}, {"content": "a"}),
        (CLOSED, {"content": "", "either": None, "any": None}, {"content": "", "any": None}),
        (EITHER, "7", 7),
        (EITHER, "a", ["a"]),
        (EITHER, 7.0, 7),
        (SEVERAL, "null", None),
        (SEVERAL, 2.0, 2),
        (TEXT, "3", "3"),
        (TEXT, '["a"]', '["a"]'),
        (TEXT, "true", "true"),
        (ANY, '{"a": 1}', '{"a": 1}'),
        (ANY, 3.0, 3.0),
        (TEXTS, '["half \\ud83d of it"]', ["half \ufffd of it"]),
        (OBJECT, '{"content": "\\ud83d\\ude00 \\ud800"}', {"content": "\U0001f600 \ufffd"}),
    ],
)
def test_what_is_meant_is_taken(schema: dict[str, Any], sent: Any, meant: Any) -> None:
    taken = coerce(schema, sent)
    assert taken == meant
    assert type(taken) is type(meant)
    assert ArgumentValidator(schema).is_valid(taken)


@pytest.mark.parametrize(
    ("schema", "sent"),
    [
        (INTEGER, 3.5),
        (INTEGER, "3.5"),
        (INTEGER, "three"),
        (INTEGER, True),
        (INTEGER, "true"),
        (INTEGER, math.inf),
        (INTEGER, math.nan),
        (INTEGER, "1e400"),
        (INTEGER, "NaN"),
        (INTEGER, 1e300),
        (INTEGER, None),
        (INTEGER, [3]),
        ({"type": "integer"}, 2**63),
        ({"type": "integer"}, 1e19),
        ({"type": "integer"}, "9" * 5000),
        (NUMBER, math.nan),
        (NUMBER, "Infinity"),
        (NUMBER, 10**400),
        (NUMBER, False),
        (BOOLEAN, "yes"),
        (BOOLEAN, 2),
        (BOOLEAN, 1.5),
        (TEXTS, [3]),
        (TEXTS, "[3]"),
        (TEXTS, {"a": 1}),
        (TEXT, 3),
        (TEXT, ["a"]),
        (OBJECT, "[]"),
        (OBJECT, "[" * 100_000),
        (OBJECTS, "text"),
        (CLOSED, {"content": None}),
        (CLOSED, {"content": "", "unknown": None}),
        (EITHER, 3.5),
        (SEVERAL, "x"),
    ],
)
def test_what_is_not_meant_is_refused(schema: dict[str, Any], sent: Any) -> None:
    assert not ArgumentValidator(schema).is_valid(coerce(schema, sent))


@given(st.text(), st.sampled_from([TEXT, {**TEXT, "minLength": 2}, {"type": ["string", "null"]}]))
def test_a_text_where_text_can_stand_stays(text: str, schema: dict[str, Any]) -> None:
    assert coerce(schema, text) == text
    assert coerce({"type": "object", "properties": {"a": schema}}, {"a": text}) == {"a": text}


@given(st.lists(st.text(max_size=5), max_size=4))
def test_a_list_and_its_json_are_the_same(texts: list[str]) -> None:
    assert coerce(TEXTS, texts) == texts
    assert coerce(TEXTS, json.dumps(texts)) == texts


@pytest.mark.parametrize(
    ("verb", "sent"),
    [
        ("memory.remember", {"content": "zebra", "tags": '["a","b"]'}),
        ("memory.remember", {"content": "horse", "tags": "a", "salience": "0.9"}),
        ("memory.recall", {"query": "zebra", "limit": 3.0, "explain": "true"}),
        ("memory.recall", {"query": "zebra", "limit": "3", "max_characters": 500.0}),
        ("knowledge.search", {"query": "zebra", "limit": 3.0}),
        ("knowledge.suggest", {"task": "zebra", "limit": "3.0"}),
        ("knowledge.learn", {"entries": '[{"content": "a zebra", "tags": "x"}]'}),
        ("memory.get", {"ids": "m1"}),
        ("memory.get", {"ids": '["m1"]'}),
        ("agents.tasks", {"limit": "2"}),
        ("agents.wait", {"tasks": "t1", "timeout": "0"}),
        ("agents.assign", {"role": "worker", "task_type": "x", "priority": "1.0"}),
        ("system.audit", {"limit": 2.0, "before": "100"}),
        ("brain.auto_feedback", {"query": "q", "results": '[{"id": "m1"}]', "latency_us": "5"}),
        (
            "brain.create_profile",
            {"name": "own", "seed_priors": '{"temporal": {"alpha": "5", "beta": 5}}'},
        ),
    ],
)
def test_verbs_take_what_is_meant(tmp_path: Path, verb: str, sent: dict[str, Any]) -> None:
    context = arguments.prepared(tmp_path)
    try:
        assert loading.load().call(context, verb, sent)
    finally:
        context.close()


@pytest.mark.parametrize(
    "limit", [3.5, "3.5", math.nan, math.inf, True, 10**400, "many", -1, 1e300]
)
def test_a_limit_that_is_none_is_refused(tmp_path: Path, limit: Any) -> None:
    context = arguments.prepared(tmp_path)
    try:
        with pytest.raises(InvalidInput, match=r"memory\.recall was not called: limit"):
            loading.load().call(context, "memory.recall", {"query": "zebra", "limit": limit})
    finally:
        context.close()


def test_no_argument_breaks_a_verb(tmp_path: Path) -> None:
    found = arguments.run(tmp_path, calls=2500, seed=7)
    assert found.crashes == []
    assert found.untyped == []
    assert found.unsaid == []
    assert found.answers > 500, "most calls are refused: the generator is too wild"


@pytest.mark.long
def test_no_argument_breaks_a_verb_in_many_calls(tmp_path: Path) -> None:
    found = arguments.run(tmp_path, calls=20_000, seed=11)
    assert (found.crashes, found.untyped, found.unsaid) == ([], [], [])
