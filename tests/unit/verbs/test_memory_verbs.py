"""The verbs of memory and knowledge: what they store, find and answer, and what they refuse."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from khive_supervisor.access.grant import OPERATOR, Grant, confined_to
from khive_supervisor.config.load import from_dict
from khive_supervisor.errors import Denied, InvalidInput, NotFound
from khive_supervisor.packs import loading
from khive_supervisor.packs.memory import knowledge
from khive_supervisor.verbs.answers import DEFAULT_CHARACTERS, DEFAULT_LIMIT
from khive_supervisor.verbs.context import Context, SessionInfo

REGISTRY = loading.load()
NOW = 1_800_000_000.0
LIMIT = 2000


def context_of(path: Path, grant: Grant = OPERATOR, **session: Any) -> Context:
    config = from_dict(
        {"store": {"path": str(path / "khive.db"), "max_content_bytes": LIMIT}, "session": session}
    )
    return Context(
        config, SessionInfo(id="s"), socket_path=None, make_embedder=lambda: None, grant=grant,
        wall_clock=lambda: NOW,
    )  # fmt: skip


@pytest.fixture
def context(tmp_path: Path) -> Iterator[Context]:
    opened = context_of(tmp_path)
    yield opened
    opened.close()


def call(context: Context, verb: str, /, **args: Any) -> dict[str, Any]:
    return REGISTRY.call(context, verb, args)


def remember(context: Context, content: str, **args: Any) -> str:
    return str(call(context, "memory.remember", content=content, **args)["id"])


def got(context: Context, entry: str) -> dict[str, Any]:
    (found,) = call(context, "memory.get", ids=[entry])["entries"]
    return dict(found)


def ids(answer: dict[str, Any]) -> list[str]:
    return [one["id"] for one in answer["results"]]


# --- remembering ----------------------------------------------------------------------------------


def test_a_kind_says_how_much_a_memory_matters_and_how_it_fades(context: Context) -> None:
    for kind, salience, decay in (
        (None, 0.5, 0.005), ("semantic", 0.5, 0.005), ("episodic", 0.3, 0.02),
        ("recipe", 0.5, 0.005),
    ):  # fmt: skip
        given = {} if kind is None else {"kind": kind}
        found = got(context, remember(context, f"the kettle, {kind}", **given))
        assert found["kind"] == (kind or "semantic")
        assert (found["salience"], found["decay_per_day"]) == (salience, decay)


def test_whoever_says_it_knows_better(context: Context) -> None:
    given = {"kind": "episodic", "salience": 0, "decay": 10, "source": "/notes", "title": "Tea"}
    found = got(context, remember(context, "the kettle", tags=["a", "b"], **given))
    assert (found["salience"], found["decay_per_day"]) == (0.0, 10.0)
    assert (found["source"], found["title"], found["tags"]) == ("/notes", "Tea", ["a", "b"])


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"content": ""}, "content"),
    ({"content": " \n\t"}, "content is empty"),
    ({"content": "x" * (LIMIT + 1)}, f"at most {LIMIT} can be one entry"),
    ({"content": "ä" * (LIMIT // 2 + 1)}, f"has {LIMIT + 2} bytes"),
    ({"content": "x", "salience": 1.1}, "salience"),
    ({"content": "x", "decay": 10.5}, "decay"),
    ({"content": "x", "kind": "No Kind"}, "kind"),
    ({"content": "x", "tags": ["y" * 65]}, "tags"),
    ({"content": "x", "tags": [""]}, "tags"),
    ({"content": "x", "title": "y" * 301}, "title"),
    ({"content": "x", "namespace": "a b"}, "namespace"),
    ({"content": "x", "mood": "good"}, "mood"),
    ({}, "content"),
]


def test_what_cannot_be_remembered_is_refused_and_nothing_is_stored(context: Context) -> None:
    for args, said in REFUSED:
        with pytest.raises(InvalidInput, match=said):
            call(context, "memory.remember", **args)
    assert context.store.entries.highest_id() == 0


def test_content_may_be_as_long_as_its_limit(context: Context) -> None:
    assert remember(context, "x" * LIMIT) == "m1"
    assert remember(context, "ä" * (LIMIT // 2)) == "m2"


def test_a_namespace_that_is_not_allowed_is_refused_with_those_that_are(tmp_path: Path) -> None:
    context = context_of(tmp_path, namespace="mine", allowed_namespaces=["mine", "shared-*"])
    assert call(context, "memory.remember", content="x", namespace="shared-a")["status"] == "stored"
    with pytest.raises(Denied, match="'other' is not allowed") as caught:
        call(context, "memory.remember", content="x", namespace="other")
    assert "mine, shared-*" in caught.value.hint
    context.close()


# --- reading --------------------------------------------------------------------------------------


def test_a_result_is_cut_and_says_so(context: Context) -> None:
    remember(context, "kettle " * 249 + "kettles")
    (found,) = call(context, "memory.recall", query="kettle")["results"]
    assert len(found["content"]) == DEFAULT_CHARACTERS
    assert found["cut"].startswith(f"{DEFAULT_CHARACTERS} of 1750 characters")
    (short,) = call(context, "memory.recall", query="kettle", max_characters=50)["results"]
    assert len(short["content"]) == 50


def test_so_many_results_are_shown_as_are_asked_for(context: Context) -> None:
    for number in range(DEFAULT_LIMIT + 3):
        remember(context, f"kettle number {number}")
    assert len(ids(call(context, "memory.recall", query="kettle"))) == DEFAULT_LIMIT
    assert len(ids(call(context, "memory.recall", query="kettle", limit=1))) == 1
    everything = ids(call(context, "memory.recall", query="kettle", limit=100))
    assert len(everything) == DEFAULT_LIMIT + 3


def test_how_a_search_went_is_told_when_asked_for(context: Context) -> None:
    remember(context, "kettle")
    plain = call(context, "memory.recall", query="kettle")
    explained = call(context, "memory.recall", query="kettle", explain=True)
    assert "search" not in plain
    assert "ranking" not in plain["results"][0]
    assert explained["search"]["index_generation"] is None
    assert explained["results"][0]["ranking"]


def test_a_confined_session_is_told_no_numbers_of_the_whole_store(tmp_path: Path) -> None:
    context = context_of(tmp_path, confined_to("shop"))
    remember(context, "kettle")
    found = call(context, "memory.recall", query="kettle", explain=True)
    assert "search" not in found
    assert "a confined session has none" in found["notes"][-1]
    context.close()


def test_a_query_without_a_word_finds_nothing_and_breaks_nothing(context: Context) -> None:
    remember(context, "kettle")
    for query in ("", " ", "?!", "\x00"):
        assert isinstance(call(context, "memory.recall", query=query)["results"], list)


# --- forgetting, and what takes the place of what -------------------------------------------------


def test_what_is_forgotten_can_be_read_and_brought_back(context: Context) -> None:
    entry = remember(context, "kettle")
    assert call(context, "memory.forget", ids=[entry]) == {"forgotten": ["m1"], "not_live": []}
    assert call(context, "memory.forget", ids=[entry]) == {"forgotten": [], "not_live": ["m1"]}
    assert "forgotten_at" in got(context, entry)
    assert ids(call(context, "memory.recall", query="kettle")) == []
    assert call(context, "memory.restore", ids=[entry]) == {"restored": ["m1"], "unchanged": []}
    assert call(context, "memory.restore", ids=[entry]) == {"restored": [], "unchanged": ["m1"]}
    assert ids(call(context, "memory.recall", query="kettle")) == ["m1"]


def test_what_is_not_there_is_noted_beside_what_is(context: Context) -> None:
    remember(context, "kettle")
    for verb in ("memory.get", "memory.forget", "memory.restore"):
        found = call(context, verb, ids=["m1", "m7", "nonsense"])
        assert found["notes"] == ["There is no entry m7.", "'nonsense' is not an id."]
        with pytest.raises(NotFound, match="no entry m7"):
            call(context, verb, ids=["m7"])


def test_a_correction_takes_the_tags_of_what_was_wrong(context: Context) -> None:
    old = remember(context, "the kettle is upstairs", tags=["a"], namespace="house")
    said = call(context, "memory.supersede", id=old, content="the kettle is in the cellar")
    assert said == {"id": "m2", "status": "stored", "supersedes": "m1"}
    new = got(context, "m2")
    assert (new["tags"], new["namespace"]) == (["a"], "house")
    assert got(context, old)["superseded_by"] == "m2"
    assert ids(call(context, "memory.recall", query="kettle", namespace="house")) == ["m2"]
    other = call(
        context, "memory.supersede", id="m2", content="nowhere", tags=["b"], kind="episodic"
    )
    assert (got(context, other["id"])["tags"], got(context, other["id"])["kind"]) == (
        ["b"], "episodic",
    )  # fmt: skip


def test_what_is_no_living_memory_is_not_corrected(context: Context) -> None:
    old = remember(context, "kettle")
    call(context, "memory.supersede", id=old, content="pot")
    with pytest.raises(InvalidInput, match="no longer live") as caught:
        call(context, "memory.supersede", id=old, content="pan")
    assert "supersede its successor" in caught.value.hint
    call(context, "knowledge.learn", entries=[{"content": "a document"}])
    with pytest.raises(InvalidInput, match="learned knowledge") as caught:
        call(context, "memory.supersede", id="k3", content="another")
    assert "Learn the corrected document" in caught.value.hint
    with pytest.raises(NotFound):
        call(context, "memory.supersede", id="m9", content="x")
    with pytest.raises(InvalidInput, match="content is empty"):
        call(context, "memory.supersede", id="m2", content=" ")


# --- knowledge ------------------------------------------------------------------------------------


def learn(context: Context, *entries: dict[str, Any], **args: Any) -> dict[str, Any]:
    return call(context, "knowledge.learn", entries=list(entries), **args)


def piece(content: str, title: str = "", source: str = "/doc") -> dict[str, Any]:
    return {"content": content, "title": title, "source": source}


def test_what_is_learned_is_counted_by_what_became_of_it(context: Context) -> None:
    first = learn(context, piece("one"), piece("two"), piece("one"))
    assert (first["stored"], first["already_known"]) == (2, 1)
    assert first["ids"] == ["k1", "k2", "k1"]
    assert "retired" not in first
    call(context, "memory.forget", ids=["k1"])
    again = learn(context, piece("one"), piece("two"))
    assert (again["stored"], again["restored"], again["already_known"]) == (0, 1, 1)


@pytest.mark.parametrize(
    ("replaces", "retired"),
    [(None, ["k1"]), ("same title", ["k1"]), ("all", ["k1", "k2"]), ("nothing", [])],
)
def test_what_a_source_said_before_is_retired_as_far_as_it_is_said(
    context: Context, replaces: str | None, retired: list[str]
) -> None:
    learn(context, piece("old a", "A"), piece("old b", "B"))
    given = {} if replaces is None else {"replaces": replaces}
    found = learn(context, piece("new a", "A"), **given)
    assert found.get("retired", []) == retired
    assert ("notes" in found) == bool(retired)
    if retired:
        assert "memory.restore" in found["notes"][0]


def test_texts_without_a_source_replace_nothing(context: Context) -> None:
    learn(context, {"content": "one", "title": "A"})
    assert "retired" not in learn(context, {"content": "two", "title": "A"}, replaces="all")


def test_a_source_of_many_parts_is_one_text(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(knowledge, "BATCH", 2)
    steps: list[tuple[int, int]] = []
    context.progress = lambda done, total, _text: steps.append((done, total))
    parts = [piece(f"part {number}", f"T{number}") for number in range(5)]
    assert learn(context, *parts)["stored"] == 5
    assert steps == [(2, 5), (4, 5), (5, 5)]
    found = learn(context, *parts[:1], *parts[3:], replaces="all")
    assert found["retired"] == ["k2", "k3"]
    assert found["ids"] == ["k1", "k4", "k5"]


def test_one_bad_entry_keeps_all_from_being_learned(context: Context) -> None:
    with pytest.raises(InvalidInput, match=r"entries\.1"):
        learn(context, piece("one"), piece(" "))
    assert context.store.entries.highest_id() == 0


def test_a_search_is_of_what_was_asked_for(context: Context) -> None:
    remember(context, "the kettle, remembered")
    learn(context, piece("the kettle, learned"))
    for where, found in ((None, ["k2"]), ("memory", ["m1"]), ("all", ["k2", "m1"])):
        given = {} if where is None else {"in": where}
        assert sorted(ids(call(context, "knowledge.search", query="kettle", **given))) == found


def test_what_is_worth_reading_is_named_in_a_line(context: Context) -> None:
    remember(context, "about tea\nand kettles")
    learn(context, piece("how tea is made", "Tea"))
    found = call(context, "knowledge.suggest", task="make tea")
    assert {one["id"]: one["line"] for one in found["suggestions"]} == {
        "m1": "about tea and kettles", "k2": "Tea",
    }  # fmt: skip
    assert "memory_get" in found["next"]
    assert "next" not in call(context, "knowledge.suggest", task="zebra")
    assert len(call(context, "knowledge.suggest", task="make tea", limit=1)["suggestions"]) == 1


def test_a_memory_and_a_document_of_one_text_are_two(context: Context) -> None:
    assert remember(context, "the kettle") == "m1"
    assert learn(context, {"content": "the kettle"})["ids"] == ["k2"]
    with pytest.raises(NotFound):
        call(context, "memory.get", ids=["k1"])
