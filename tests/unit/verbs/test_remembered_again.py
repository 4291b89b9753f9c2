"""A memory that is known already: recognised however it is written, and added to."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from khive_supervisor.access.grant import OPERATOR
from khive_supervisor.config.load import from_dict
from khive_supervisor.errors import NotFound
from khive_supervisor.packs import loading
from khive_supervisor.store import model
from khive_supervisor.store.model import NewEntry
from khive_supervisor.tasks.model import RoleRow
from khive_supervisor.verbs.context import Context, SessionInfo

REGISTRY = loading.load()
CONTENT = "The café's API listens on port 7001."


@pytest.fixture
def context(tmp_path: Path) -> Iterator[Context]:
    config = from_dict({"store": {"path": str(tmp_path / "khive.db")}})
    made = Context(
        config, SessionInfo(id="s"), socket_path=None, make_embedder=lambda: None, grant=OPERATOR
    )
    yield made
    made.close()


def call(context: Context, verb: str, /, **args: Any) -> dict[str, Any]:
    return REGISTRY.call(context, verb, args)


def test_what_is_said_of_a_known_memory_is_added(context: Context) -> None:
    first = call(context, "memory.remember", content=CONTENT, tags=["a"], source="mail")
    again = call(context, "memory.remember", content=CONTENT, tags=["a", "x"], salience=0.9,
                 kind="decision", source="wiki", decay=0.5)  # fmt: skip
    assert (again["id"], again["status"]) == (first["id"], "already known")
    assert again["added"] == {"tags": ["x"], "kind": "decision", "salience": 0.9}
    assert again["not_taken"] == {"decay": 0.5, "source": "wiki"}
    (found,) = call(context, "memory.recall", query="API port", tags=["x"])["results"]
    assert (found["id"], found["kind"], found["tags"]) == (first["id"], "decision", ["a", "x"])


def test_nothing_is_said_where_nothing_is_new(context: Context) -> None:
    call(context, "memory.remember", content=CONTENT, tags=["a"], salience=0.9)
    again = call(context, "memory.remember", content=CONTENT, tags=["a"])
    assert "added" not in again
    assert "not_taken" not in again
    (entry,) = call(context, "memory.get", ids=[again["id"]])["entries"]
    assert entry["salience"] == 0.9


def test_tags_beyond_the_limit_are_named(context: Context) -> None:
    call(context, "memory.remember", content=CONTENT, tags=[f"a{n}" for n in range(31)])
    again = call(context, "memory.remember", content=CONTENT, tags=["x", "y"])
    assert again["added"] == {"tags": ["x"]}
    assert again["not_taken"] == {"tags": ["y"]}


def test_a_forgotten_memory_comes_back_with_what_is_new(context: Context) -> None:
    first = call(context, "memory.remember", content=CONTENT)
    call(context, "memory.forget", ids=[first["id"]])
    again = call(context, "memory.remember", content=CONTENT, tags=["x"])
    assert (again["id"], again["status"]) == (first["id"], "restored")
    assert again["added"] == {"tags": ["x"]}


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize("other", ["NFC", "NFD"])
@pytest.mark.parametrize("ends", ["", " ", "\n", "\n\t "])
def test_twins_are_one_memory(context: Context, form: Any, other: Any, ends: str) -> None:
    raw = unicodedata.normalize(form, CONTENT)
    first = call(context, "memory.remember", content=raw)
    twin = ends + unicodedata.normalize(other, CONTENT) + ends
    assert call(context, "memory.remember", content=twin)["id"] == first["id"]
    (entry,) = call(context, "memory.get", ids=[first["id"]])["entries"]
    assert entry["content"] == raw


@pytest.mark.parametrize("twin", ["The  café's\tAPI listens\non port 7001.\n", CONTENT])
def test_white_space_between_words_makes_no_other_memory(context: Context, twin: str) -> None:
    first = call(context, "memory.remember", content=CONTENT, title="A  port")
    again = call(context, "memory.remember", content=twin, title="A port ")
    assert (again["id"], again["status"]) == (first["id"], "already known")


def test_white_space_can_be_put_right(context: Context) -> None:
    first = call(context, "memory.remember", content="one  two")
    fixed = call(context, "memory.supersede", id=first["id"], content="one two")
    (entry,) = call(context, "memory.get", ids=[fixed["id"]])["entries"]
    assert (fixed["status"], entry["content"]) == ("stored", "one two")


@pytest.mark.parametrize(
    "raw", [CONTENT + "\n", CONTENT + " ", unicodedata.normalize("NFD", CONTENT)]
)
def test_what_an_earlier_release_stored_is_recognised(
    context: Context, monkeypatch: pytest.MonkeyPatch, raw: str
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(NewEntry, "content_hash", property(_character_by_character))
        old = call(context, "memory.remember", content=raw)
    assert call(context, "memory.remember", content=raw)["id"] == old["id"]
    assert call(context, "memory.remember", content=CONTENT, tags=["x"])["id"] == old["id"]


def _character_by_character(entry: NewEntry) -> bytes:
    return model._digest(entry.collection, entry.namespace, entry.title, entry.content)


def test_knowledge_and_other_texts_stay_apart(context: Context) -> None:
    for text in ("a b", "A b", "a b.", "if a:\n  b\nc", "if a:\n  b\n  c"):
        assert call(context, "memory.remember", content=text)["status"] == "stored"
    assert call(context, "memory.remember", content="a b", title="t")["status"] == "stored"


# --- several, of which some are not there -----------------------------------------------------


def test_what_is_there_is_had_and_what_is_not_is_noted(context: Context) -> None:
    ids = [call(context, "memory.remember", content=f"fact {n}")["id"] for n in range(5)]
    asked = [*ids[:2], "m999", *ids[2:]]
    found = call(context, "memory.get", ids=asked)
    assert [entry["id"] for entry in found["entries"]] == ids
    assert found["notes"] == ["There is no entry m999."]
    found = call(context, "memory.get", ids=[ids[0], "nonsense", "k1"])
    assert len(found["entries"]) == 1
    assert len(found["notes"]) == 2
    gone = call(context, "memory.forget", ids=["m999", ids[0]])
    assert (gone["forgotten"], gone["notes"]) == ([ids[0]], ["There is no entry m999."])
    back = call(context, "memory.restore", ids=[ids[0], "m999"])
    assert (back["restored"], back["notes"]) == ([ids[0]], ["There is no entry m999."])
    with pytest.raises(NotFound, match=r"no entry m998.*no entry m999"):
        call(context, "memory.get", ids=["m998", "m999"])


def test_waiting_for_several_of_which_one_is_missing(context: Context) -> None:
    context.store.roles.set([RoleRow("worker", ("x",))])
    task = call(context, "agents.assign", role="worker", task_type="x")["task"]
    call(context, "agents.cancel", task=task)
    waited = call(context, "agents.wait", tasks=[task, "t999"], timeout=0)
    assert [one["task"] for one in waited["tasks"]] == [task]
    assert waited["ended"]
    assert waited["notes"] == ["There is no task t999."]
    with pytest.raises(NotFound):
        call(context, "agents.wait", tasks=["t998", "t999"], timeout=0)
