"""Workflows as they are written: read, judged, drawn; references in payloads; reviews."""

from __future__ import annotations

from typing import Any

import pytest

from khive_supervisor.errors import InvalidInput
from khive_supervisor.workflows import graph, templates
from khive_supervisor.workflows.decisions import Decision, decision_of
from khive_supervisor.workflows.definitions import as_dict, read
from khive_supervisor.workflows.durations import seconds_of
from khive_supervisor.workflows.graph import KnownRole

ROLES = [KnownRole("dev", ("code",)), KnownRole("ops", ("deploy", "check"))]


def workflow(*steps: dict[str, Any], **keys: Any) -> dict[str, Any]:
    return {"name": "w", "steps": list(steps), **keys}


def step(name: str, *after: str, **keys: Any) -> dict[str, Any]:
    return {"name": name, "role": "dev", "after": list(after), **keys}


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ([step("a", "b"), step("b", "a")], "wait for each other"),
        ([step("a"), step("b", "c"), step("c", "b"), step("d", "c")], "d would never be reached"),
        ([step("a", "a")], "comes after itself"),
        ([step("a", "x")], "which is no step"),
        ([step("a"), step("a")], "two steps are named a"),
        ([step("a", role="nobody")], "which is no role"),
        ([{"name": "a", "task_type": "paint"}], "which no role takes"),
        ([step("a", role="ops")], "needs a task_type"),
        ([step("a", task_type="deploy")], "which dev does not take"),
        ([step("a", approve="dev")], "the role that does it"),
        ([step("a", approve="nobody")], "is to be approved by nobody"),
        ([step("a", payload="{{steps.b.result}}")], "comes after b, which is no step"),
    ],
)
def test_what_cannot_be_done_is_said(steps: list[dict[str, Any]], said: str) -> None:
    assert said in "; ".join(graph.problems(read(workflow(*steps)), ROLES))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ([], "must be a table"),
        (workflow(), "1 to 200"),
        (workflow({"name": "a b", "role": "dev"}), "letters, digits"),
        (workflow({"name": "a"}), "needs a role or a task_type"),
        (workflow(step("a", colour="red")), "has no key 'colour'"),
        (workflow(step("a", on_failure="explode")), "cancel, run, hold"),
        (workflow(step("a", each="all of them")), "one reference to a list"),
        (workflow(step("a", approve={"lasts": "soon"})), "no length of time"),
        (workflow(step("a", payload=float("nan"))), "JSON can carry"),
    ],
)
def test_what_is_no_workflow_is_said(data: object, said: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        read(data)
    assert said in caught.value.message


def test_a_graph_is_drawn_by_levels_and_read_back() -> None:
    found = read(
        workflow(
            step("list"),
            step("build", each="{{steps.list.result}}", payload="{{item}}"),
            step("test", "list", on_failure="run"),
            {
                "name": "ship",
                "role": "ops",
                "task_type": "deploy",
                "after": ["test"],
                "payload": "{{steps.build.result}}",
                "approve": True,
            },
            input={"v": 1},
            every="@daily",
            catch_up="none",
        )
    )
    assert graph.problems(found, ROLES) == []
    assert graph.drawn(found, {"list": "done"}) == [
        "1.  list  (dev)  [done]",
        "2.  build  (dev, for each of {{steps.list.result}})  <- list",
        "    test  (dev)  <- list; on failure: run",
        "3.  ship  (ops, approved by operator)  <- test, build",
    ]
    assert read(as_dict(found)) == found


VALUES = templates.Values(
    {12: {"result": {"a": [1, {"b": "x"}]}, "state": "done"}}, {"v": 2, "evil": "{{t12.state}}"}
)


@pytest.mark.parametrize(
    ("data", "rendered"),
    [
        ("{{t12.result}}", {"a": [1, {"b": "x"}]}),
        ("{{ t12.result.a.1.b }}", "x"),
        ("n {{input.v}}: {{t12.result.a}}", 'n 2: [1, {"b": "x"}]'),
        ({"k": ["{{t12.state}}", 5, None]}, {"k": ["done", 5, None]}),
        # Not ours, or not known here: left as it is. What is put in is not read again.
        ("{{t13.result}} {{ user }} {% if %} {{item}}",) * 2,
        ("{{input.evil}}", "{{t12.state}}"),
        ("{{input.evil}} {{input.evil}}", "{{t12.state}} {{t12.state}}"),
    ],
)
def test_references_are_filled_in_once(data: Any, rendered: Any) -> None:
    assert templates.render(data, VALUES) == rendered


def test_a_reference_to_nothing_is_an_error() -> None:
    for path in ("t12.result.z", "t12.result.a.7", "input.w", "t12.state.x"):
        with pytest.raises(InvalidInput):
            templates.render(f"{{{{{path}}}}}", VALUES)


@pytest.mark.parametrize(
    ("result", "decision"),
    [
        ({"approved": True, "note": "fine"}, Decision(True, "fine")),
        ({"approved": False}, Decision(False)),
        (True, Decision(True)),
        ({"text": "I looked at it.\n\n**APPROVE**"}, Decision(True, "I looked at it.")),
        ("no secrets left\nreject.", Decision(False, "no secrets left")),
        # Whatever is not clear approves nothing.
        ("I would approve this if the tests passed", None),
        ({"approved": "yes"}, None),
        ({"text": ""}, None),
        (None, None),
        ([True], None),
        (1, None),
    ],
)
def test_what_a_review_says(result: Any, decision: Decision | None) -> None:
    assert decision_of(result) == decision


def test_lengths_of_time() -> None:
    assert [seconds_of(one) for one in ("90s", "30 m", "12h", "7d", 5)] == [
        90,
        1800,
        43200,
        604800,
        5,
    ]
    for wrong in ("", "soon", 0, -1, True, "1y", "99999999w", float("inf")):
        with pytest.raises(InvalidInput):
            seconds_of(wrong)
