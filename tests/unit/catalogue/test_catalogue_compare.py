"""What `catalog diff` says: each kind of difference, and what it weighs."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from khive_supervisor.catalogue.compare import compare
from khive_supervisor.catalogue.document import PARTS, outline, read, released, written
from khive_supervisor.catalogue.narrowing import narrowed
from khive_supervisor.errors import InvalidInput

Change = Callable[[dict[str, Any]], None]


def recall(document: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = document["verbs"]["memory.recall"]
    return found


def argument(name: str, **rule: Any) -> Change:
    def change(document: dict[str, Any]) -> None:
        recall(document)["arguments"]["properties"][name].update(rule)

    return change


def gone(part: str, name: str) -> Change:
    return lambda document: document[part].pop(name)


CHANGES: list[tuple[str, Change]] = [
    ("breaks", gone("verbs", "memory.recall")),
    ("breaks", gone("commands", "recall")),
    ("breaks", gone("settings", "log.level")),
    ("breaks", gone("metrics", "khive_info")),
    ("breaks", gone("actions", "task.done")),
    ("breaks", gone("exit_codes", "USAGE")),
    ("breaks", gone("routes", "GET /status")),
    ("breaks", argument("limit", maximum=3)),
    ("breaks", argument("limit", type="string")),
    ("breaks", argument("query", pattern="^a$")),
    ("breaks", lambda d: recall(d)["arguments"]["properties"].pop("limit")),
    ("breaks", lambda d: recall(d)["arguments"]["required"].append("limit")),
    ("breaks", lambda d: recall(d).update(audience="operator")),
    ("breaks", lambda d: d["exit_codes"]["USAGE"].update(code=3)),
    ("breaks", lambda d: d["metrics"]["khive_workers"].update(labels=[])),
    ("breaks", lambda d: d["metrics"]["khive_workers"].update(kind="counter")),
    ("breaks", lambda d: d["commands"]["recall"]["options"].pop("--limit")),
    ("breaks", lambda d: d["actions"]["task.done"].update(subject="store")),
    ("breaks", lambda d: d["settings"]["log.level"]["value"]["enum"].remove("info")),
    ("breaks", lambda d: d["links"]["about"]["to"].remove("memory")),
    ("breaks", lambda d: d["links"]["about"].update(inverse="other")),
    ("breaks", lambda d: d["commands"]["tasks"]["options"]["--state"].update(value="done")),
    ("", lambda d: d["commands"]["budget"]["options"]["--json"].update(value="- or text")),
    ("changes", lambda d: d["settings"]["log.level"].update(applies="restart")),
    ("adds", lambda d: d["verbs"].update({"memory.new": recall(d)})),
    ("adds", lambda d: d["actions"].update({"task.new": {"subject": "x", "meaning": "y"}})),
    ("", argument("limit", maximum=10**6)),
    ("", lambda d: d["metrics"]["khive_info"].update(help="Other words.")),
]


@pytest.mark.parametrize(("weight", "change"), CHANGES, ids=range(len(CHANGES)))
def test_each_kind_of_difference_weighs_what_it_should(weight: str, change: Change) -> None:
    new = copy.deepcopy(released())
    change(new)
    assert [one.weight for one in compare(released(), new)] == ([weight] if weight else [])


def test_a_catalogue_is_as_itself_and_reads_back() -> None:
    assert compare(released(), released()) == []
    assert read(written(released()), "x") == released()


def test_a_part_that_an_older_one_had_not_is_passed_over() -> None:
    old = {name: value for name, value in released().items() if name != "links"}
    assert compare(old, released()) == []


def test_the_outline_names_everything_in_words() -> None:
    shown = outline(released())
    assert shown["version"] == released()["version"]
    assert all(shown[part].keys() == released()[part].keys() for part in PARTS)
    assert all(shown["verbs"].values())


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"verbs": {}}', '{"verbs": {}, "form": 2}'])
def test_what_is_no_catalogue_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        read(text, "file")


BOUNDS = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["integer", "number", "string"]),
        "minimum": st.integers(-3, 3),
        "maximum": st.integers(-3, 3),
        "enum": st.lists(st.integers(-2, 2), min_size=1, max_size=3, unique=True),
    },
)


@given(BOUNDS, BOUNDS, st.one_of(st.integers(-5, 5), st.text(max_size=2)))
def test_what_is_not_narrower_takes_all_that_was_taken(old: Any, new: Any, value: Any) -> None:
    taken = Draft202012Validator(old).is_valid(value)
    if taken and not list(narrowed(old, new)):
        assert Draft202012Validator(new).is_valid(value)
