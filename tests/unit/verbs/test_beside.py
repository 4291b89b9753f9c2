"""What stands before and after a result in its document is shown around it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from khive_supervisor.access.grant import OPERATOR
from khive_supervisor.config.load import from_dict
from khive_supervisor.packs import loading
from khive_supervisor.verbs.context import Context, SessionInfo
from khive_supervisor.verbs.result_lines import found_text

REGISTRY = loading.load()
TURNS = (
    "ada: When did we look at the queue?",
    "ben: Which colour has the zeppelin?",
    "ada: It is green, of course.",
    "ben: Then let us paint the shed.",
)


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


def learn(context: Context, turns: tuple[str, ...] = TURNS, source: str = "chat.txt") -> list[str]:
    entries = [{"content": turn, "source": source} for turn in turns]
    return list(call(context, "knowledge.learn", entries=entries, replaces="all")["ids"])


def first(context: Context, query: str, **args: Any) -> dict[str, Any]:
    found = call(context, "memory.recall", query=query, floor=0, **{"in": "all", **args})
    return dict(found["results"][0])


def test_the_turns_around_a_result_are_shown(context: Context) -> None:
    ids = learn(context)
    found = first(context, "zeppelin colour")
    assert found["id"] == ids[1]
    assert found["before"] == f"{ids[0]} {TURNS[0]}"
    assert found["after"] == f"{ids[2]} {TURNS[2]}"
    (searched,) = call(context, "knowledge.search", query="zeppelin", floor=0)["results"]
    assert (searched["before"], searched["after"]) == (found["before"], found["after"])


def test_they_are_lines_of_their_own(context: Context) -> None:
    ids = learn(context)
    answer = call(context, "knowledge.search", query="zeppelin", floor=0)
    assert found_text(answer).splitlines()[1:] == [
        f"  before: {ids[0]} {TURNS[0]}",
        f"  after: {ids[2]} {TURNS[2]}",
    ]


def test_ends_of_a_document_have_one_side(context: Context) -> None:
    learn(context)
    start, end = first(context, "queue"), first(context, "shed")
    assert "before" not in start
    assert "after" in start
    assert "before" in end
    assert "after" not in end


def test_a_turn_that_was_put_between_is_found_there(context: Context) -> None:
    learn(context)
    new = "cid: I have looked it up."
    ids = learn(context, (*TURNS[:2], new, *TURNS[2:]))
    assert first(context, "zeppelin colour")["after"] == f"{ids[2]} {new}"
    assert first(context, "green course")["before"] == f"{ids[2]} {new}"


def test_a_piece_that_is_a_result_is_not_repeated(context: Context) -> None:
    learn(context)
    found = first(context, "zeppelin green course colour")
    assert found["content"] == TURNS[2]
    assert [piece["content"] for piece in found["pieces"]] == [TURNS[1]]
    assert "before" not in found
    assert "after" in found


def test_long_ones_are_cut_towards_the_result(context: Context) -> None:
    long = ("begin " + "x" * 900 + " next", "zeppelin", "then " + "y" * 900 + " end")
    learn(context, long)
    found = first(context, "zeppelin")
    assert found["before"].endswith(" next")
    assert "begin" not in found["before"]
    assert " then y" in found["after"]
    assert len(found["after"]) < 230
    assert len(first(context, "zeppelin", max_characters=120)["after"]) < 40


def test_exchanges_of_a_session_have_their_neighbours(context: Context) -> None:
    for turn in TURNS:
        call(context, "memory.remember", content=turn, title="painting", source="session 7")
        call(context, "memory.remember", content=f"Elsewhere: {turn}", title="x", source="other")
    found = first(context, "zeppelin colour", **{"in": "memory"})
    assert TURNS[0] in found["before"]
    assert TURNS[2] in found["after"]


def test_facts_with_a_source_alone_have_no_neighbours(context: Context) -> None:
    for turn in TURNS:
        call(context, "memory.remember", content=turn, source="README.md")
    found = first(context, "zeppelin colour", **{"in": "memory"})
    assert not {"before", "after"} & found.keys()


def test_what_was_forgotten_or_is_elsewhere_is_not_shown(context: Context) -> None:
    ids = learn(context)
    call(context, "memory.forget", ids=[ids[0]])
    found = first(context, "zeppelin colour")
    assert "before" not in found
    assert "after" in found


def test_lines_of_records_have_no_neighbours(context: Context) -> None:
    learn(context, source="facts.jsonl")
    assert not {"before", "after"} & first(context, "zeppelin colour").keys()
