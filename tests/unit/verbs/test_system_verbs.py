"""The verbs on the whole: how everything is, what was done, and the state of the index."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from khive_supervisor import __version__
from khive_supervisor.access.grant import AGENT, OPERATOR, Grant, confined_to
from khive_supervisor.audit.chain import GENESIS, AuditEntry
from khive_supervisor.config.load import from_dict
from khive_supervisor.errors import Denied, IndexFileError, NotFound, NotRunning, Unresponsive
from khive_supervisor.packs import loading
from khive_supervisor.packs.system import audit, index
from khive_supervisor.store.vectors import Generation
from khive_supervisor.verbs.context import Context, SessionInfo

REGISTRY = loading.load()
Make = Callable[..., Context]

#: An embedder, as far as the index asks for one.
EMBEDDER: Any = SimpleNamespace(model_id="m", dimensions=2)
ROW = Generation(1, "m", "1.ann", "0" * 64, "f" * 32, 8, 2, "dot", 3, 1, 1, 1, False, 5.0)


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Makes contexts of sessions that share one store."""
    made: list[Context] = []

    def context(grant: Grant = OPERATOR, embedder: Any = None, **settings: Any) -> Context:
        config = from_dict({"store": {"path": str(tmp_path / "khive.db")}, **settings})
        info = SessionInfo(id="s", actor="ada", cwd="/src")
        made.append(
            Context(config, info, socket_path=None, make_embedder=lambda: embedder, grant=grant)
        )
        return made[-1]

    yield context
    for one in made:
        one.close()


def call(context: Context, verb: str, /, **args: Any) -> dict[str, Any]:
    return REGISTRY.call(context, verb, args)


def remember(context: Context, content: str, **args: Any) -> None:
    call(context, "memory.remember", content=content, **args)


# --- system.status --------------------------------------------------------------------------------


def test_an_operator_sees_the_whole_store(make: Make) -> None:
    context = make()
    remember(context, "one")
    remember(context, "two", namespace="other")
    call(context, "memory.forget", ids=["m1"])
    found = call(context, "system.status")
    assert found["version"] == __version__
    assert found["store"]["entries"] == {"memory": 1}
    assert found["store"]["namespaces"] == {"other": 1}
    assert found["store"]["forgotten"] == 1
    assert found["session"] == {
        "id": "s", "namespace": "default", "cwd": "/src", "audience": "operator",
    }  # fmt: skip


def test_an_agent_is_told_of_no_other_namespace(make: Make) -> None:
    context = make()
    remember(context, "one")
    remember(context, "two", namespace="other")
    found = call(make(AGENT), "system.status")
    assert found["store"]["namespaces"] == {"default": 1}
    assert found["session"]["audience"] == "agent"


def test_a_confined_session_is_told_of_its_own_and_of_no_place(make: Make) -> None:
    context = make()
    remember(context, "one")
    remember(context, "two", namespace="shop")
    found = call(make(confined_to("shop")), "system.status")
    assert found["store"] == {
        "entries": {"memory": 1, "knowledge": 0}, "namespaces": {"shop": 1},
    }  # fmt: skip
    assert found["session"]["confined_to"] == ["shop"]


@pytest.mark.parametrize(
    ("error", "state"),
    [(NotRunning("Nobody."), "not running"), (Unresponsive("It hangs."), "hung")],
)
def test_a_supervisor_that_cannot_be_asked_is_said_to_be_that(
    make: Make, monkeypatch: pytest.MonkeyPatch, error: Exception, state: str
) -> None:
    def ask(*_given: object) -> dict[str, Any]:
        raise error

    context = make()
    monkeypatch.setattr(context, "ask_supervisor", ask)
    found = call(context, "system.status")["supervisor"]
    assert found == {"state": state, "why": str(error)}


# --- system.catalog -------------------------------------------------------------------------------


def test_the_catalogue_is_told_in_outline_and_part_by_part(make: Make) -> None:
    context = make(AGENT)
    outline = call(context, "system.catalog")
    assert outline["verbs"]["memory.recall"].startswith("Find")
    whole = call(context, "system.catalog", part="verbs")
    assert whole["verbs"]["memory.recall"]["arguments"]["type"] == "object"
    assert whole.keys() == {"version", "verbs"}


# --- system.audit ---------------------------------------------------------------------------------


def test_what_was_done_is_listed_newest_first(make: Make) -> None:
    context = make()
    for name in ("one", "two"):
        call(context, "brain.create_profile", name=name)
    found = call(context, "system.audit", subject="profile/two")
    assert {entry["subject"] for entry in found["entries"]} == {"profile/two"}
    whole = call(context, "system.audit")["entries"]
    assert [entry["seq"] for entry in whole] == sorted(
        (entry["seq"] for entry in whole), reverse=True
    )
    assert found["head"].split()[1] == str(whole[0]["seq"])
    assert len(call(context, "system.audit", limit=1)["entries"]) == 1
    older = call(context, "system.audit", before=whole[0]["seq"])["entries"]
    assert older == whole[1:]
    assert call(context, "system.audit", since="1d")["entries"] == whole
    assert call(context, "system.audit", kind="task")["entries"] == []


def test_what_everybody_has_done_is_not_for_who_may_not_see_all_namespaces(make: Make) -> None:
    context = make(session={"allowed_namespaces": ["a", "default"]})
    with pytest.raises(Denied, match="about all namespaces") as caught:
        call(context, "system.audit")
    assert "khive-supervisor audit show" in caught.value.hint


@pytest.mark.parametrize(
    ("detail", "shown"), [('{"a": 1}', {"a": 1}), ("{broken", "{broken"), ("", "")]
)
def test_a_detail_that_somebody_has_broken_is_shown_as_its_text(detail: str, shown: object) -> None:
    entry = AuditEntry(1, 0.0, "k", "ada", "s", detail, GENESIS, GENESIS)
    assert audit.show(entry)["detail"] == shown


@pytest.mark.parametrize("at", [1e300, float("inf"), float("nan"), -1e18])
def test_a_time_that_somebody_has_broken_is_shown_as_its_number(at: float) -> None:
    entry = AuditEntry(1, at, "k", "ada", "s", "{}", GENESIS, GENESIS)
    assert audit.show(entry)["at"] == repr(at)


# --- the index ------------------------------------------------------------------------------------


def test_without_an_embedder_there_is_no_index(make: Make) -> None:
    context = make()
    assert call(context, "index.status")["state"] == "off"
    with pytest.raises(NotFound, match="no embedder"):
        call(context, "index.verify")


def test_before_the_first_generation_it_is_said_when_there_is_one(make: Make) -> None:
    context = make(embedder=EMBEDDER)
    context.store.vectors.put("other", [])
    found = call(context, "index.status")
    assert (found["state"], found["model"], found["newer_than_the_index"]) == ("none yet", "m", 0)
    with pytest.raises(NotFound, match="no generation yet") as caught:
        call(context, "index.verify")
    assert "index build" in caught.value.hint


def test_the_generation_in_force_is_shown_with_what_is_newer(make: Make) -> None:
    context = make(embedder=EMBEDDER)
    context.store.generations.publish(ROW)
    found = call(context, "index.status")
    assert (found["state"], found["generation"], found["items"]) == ("in use", 1, 3)
    assert found["built_at"] == "1970-01-01T00:00:05Z"
    assert found["newer_than_the_index"] == 0  # fewer vectors than it holds: some have died


@pytest.mark.parametrize("damaged", [False, True])
def test_a_damaged_file_is_told_to_the_supervisor(
    make: Make, monkeypatch: pytest.MonkeyPatch, *, damaged: bool
) -> None:
    asked: list[tuple[str, Any]] = []

    def verify(_generations: object, _row: Generation) -> None:
        if damaged:
            raise IndexFileError("Its checksum differs.")

    context = make(embedder=EMBEDDER)
    context.store.generations.publish(ROW)
    monkeypatch.setattr(index.Generations, "verify", verify)
    monkeypatch.setattr(context, "ask_supervisor", lambda what, args: asked.append((what, args)))
    found = call(context, "index.verify")
    assert (found["generation"], found["ok"]) == (1, not damaged)
    assert [what for what, _ in asked] == (["index.damaged"] if damaged else [])
