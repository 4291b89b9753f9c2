"""Batches: all or nothing, references, keys, and who may call what."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from khive_supervisor.access.grant import AGENT, OPERATOR, Grant, confined_to
from khive_supervisor.cli.memories.batch import read_calls
from khive_supervisor.config.load import from_dict
from khive_supervisor.errors import Denied, InvalidInput, KhiveError, NotFound
from khive_supervisor.packs import loading
from khive_supervisor.packs.batch.references import resolved
from khive_supervisor.tasks.model import RoleRow
from khive_supervisor.verbs.context import Context, SessionInfo

REGISTRY = loading.load()


def make(path: Path, grant: Grant = AGENT) -> Context:
    config = from_dict({"store": {"path": str(path / "khive.db")}})
    info = SessionInfo(id="s", actor="ada", cwd=str(path))
    return Context(config, info, socket_path=None, make_embedder=lambda: None, grant=grant)


@pytest.fixture
def context(tmp_path: Path) -> Iterator[Context]:
    made = make(tmp_path)
    yield made
    made.close()


def call(verb: str, /, **args: Any) -> dict[str, Any]:
    return {"verb": verb, "args": args}


def run(context: Context, *calls: dict[str, Any], **more: Any) -> dict[str, Any]:
    return dict(REGISTRY.call(context, "batch.run", {"calls": list(calls), **more}))


def remember(content: str) -> dict[str, Any]:
    return call("memory.remember", content=content)


ANSWERS = [{"id": "m1", "path": [{"id": "k2"}, 3]}, {"task": "t4", "n": 0}]


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("$prev", "t4"),
        ("$1", "m1"),
        ("$1.path.0.id", "k2"),
        ("$1.path.1", 3),
        ("$prev.n", 0),
        ({"a": ["$1", {"b": "$2.task"}]}, {"a": ["m1", {"b": "t4"}]}),
        ("$$prev", "$prev"),
        ("costs $1", "costs $1"),
        ("$HOME/x", "$HOME/x"),
        (7, 7),
    ],
)
def test_a_reference_stands_for_a_part_of_an_answer(given: Any, meant: Any) -> None:
    assert resolved(given, ANSWERS) == meant


@pytest.mark.parametrize("given", ["$3", "$prev.nothing", "$1.path.2", "$1.id.x", "$1.path.id"])
def test_a_reference_to_nothing_is_refused_in_words(given: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        resolved({"ids": [given]}, ANSWERS)
    assert given in refused.value.message
    assert refused.value.hint


def test_calls_build_on_each_other(context: Context) -> None:
    found = run(
        context,
        remember("The proxy forwards to port 9090."),
        remember("The billing service listens on port 9090."),
        call("graph.link", **{"from": "$1", "kind": "depends_on", "to": "$prev.id"}),
        call("graph.neighbors", of="$1.id"),
        call("memory.forget", ids=["$4.neighbors.0.id"]),
    )
    assert found["done"] == 5
    assert found["results"][4]["forgotten"] == ["m2"]


@pytest.mark.parametrize(
    ("last", "error"),
    [
        (call("memory.get", ids=["m99"]), NotFound),
        (call("memory.remember", content=""), InvalidInput),
        (call("memory.remember", content="x", salience=7), InvalidInput),
        (call("graph.link", **{"from": "$1", "kind": "retry_of", "to": "$2"}), InvalidInput),
        (call("memory.get", ids=["$7"]), InvalidInput),
    ],
)
def test_what_fails_has_nothing_done_and_says_which_call_it_was(
    context: Context, last: dict[str, Any], error: type[KhiveError]
) -> None:
    with pytest.raises(error, match=r"Call 3 .*Nothing of the batch was done") as failed:
        run(context, remember("One."), remember("Two."), last, key="a")
    assert isinstance(failed.value, KhiveError)
    assert context.store.entries.live_count() == 0
    assert [one for one in context.store.audit.page() if one.kind.startswith("memory.")] == []
    assert run(context, remember("One."), key="a")["done"] == 1


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("memory.recall", InvalidInput),
        ("agents.wait", InvalidInput),
        ("batch.run", InvalidInput),
        ("hooks.event", InvalidInput),
        ("memory.nothing", NotFound),
        ("memory.purge", Denied),
        ("brain.reset", Denied),
    ],
)
def test_what_cannot_be_one_of_a_batch_is_refused_before_anything_is_done(
    context: Context, name: str, error: type[KhiveError]
) -> None:
    with pytest.raises(error, match="Call 2"):
        run(context, remember("One."), call(name))
    assert context.store.entries.live_count() == 0


def test_a_key_does_the_same_calls_once_for_each_namespace(
    context: Context, tmp_path: Path
) -> None:
    calls = (remember("One."), call("memory.forget", ids=["$prev"]))
    assert run(context, *calls, key="k")["done"] == 2
    again = run(context, *calls, key="k")
    assert (again["repeated"], again["results"]) == (True, [{"id": "m1"}, {}])
    with pytest.raises(InvalidInput, match="other calls"):
        run(context, remember("Two."), key="k")
    other = make(tmp_path, confined_to("acme"))
    assert run(other, remember("Two."), key="k")["done"] == 1
    with pytest.raises(Denied):
        run(other, call("memory.remember", content="x", namespace="local"))
    other.close()


def test_hints_wait_until_all_is_done(tmp_path: Path) -> None:
    context, told = make(tmp_path, OPERATOR), list[object]()
    context.store.roles.set([RoleRow("writer", ("write",))])
    context.hint = told.append
    assign = call("agents.assign", role="writer", payload="$prev")
    with pytest.raises(NotFound):
        run(context, remember("One."), assign, call("memory.get", ids=["m99"]))
    assert told == []
    assert run(context, remember("One."), assign)["results"][1]["task"] == "t1"
    assert told
    context.close()


def test_a_file_has_a_list_or_a_call_a_line() -> None:
    lines = '{"verb": "a.b"}\n\n{"verb": "c.d", "args": {}}\n'
    assert read_calls(lines) == read_calls('[{"verb": "a.b"}, {"verb": "c.d", "args": {}}]')
    with pytest.raises(InvalidInput, match="Line 2"):
        read_calls('{"verb": "a.b"}\n{"verb":\n')
