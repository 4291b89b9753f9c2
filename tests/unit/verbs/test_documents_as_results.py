"""Pieces of one document are one result: with its best pieces, how many more, and their marks."""

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
GUIDE = ("Install", "Upgrade", "Remove", "Repair", "Move")


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


def learn_guide(context: Context, source: str = "/docs/guide.md") -> list[str]:
    entries = [
        {"content": f"{word} the gateway with gatectl.", "title": word, "source": source}
        for word in GUIDE
    ]
    ids: list[str] = call(context, "knowledge.learn", entries=entries)["ids"]
    return ids


def search(context: Context, query: str, **args: Any) -> list[dict[str, Any]]:
    results: list[dict[str, Any]] = call(context, "knowledge.search", query=query, **args)[
        "results"
    ]
    return results


def test_pieces_of_a_document_are_one_result(context: Context) -> None:
    ids = learn_guide(context)
    other = {"content": "The gateway is in the cellar.", "source": "/docs/rooms.md"}
    call(context, "knowledge.learn", entries=[other])
    (found, place) = search(context, "gateway gatectl", floor=0)
    shown = [found["id"], *(one["id"] for one in found["pieces"])]
    assert len(shown) == 3
    assert {*shown} < {*ids}
    assert found["more_pieces"] == 2
    assert place["source"] == "/docs/rooms.md"
    assert "pieces" not in place


def test_a_piece_is_a_line_below_its_document(context: Context) -> None:
    learn_guide(context)
    answer = call(context, "knowledge.search", query="gateway gatectl", floor=0)
    first, *further, rest = found_text(answer).splitlines()
    assert first.startswith(answer["results"][0]["id"])
    also = [f"  also {one['id']} {one['title']}: " for one in answer["results"][0]["pieces"]]
    assert [line.startswith(start) for line, start in zip(further, also, strict=True)] == [True] * 2
    assert rest == "  and 2 more of it"


def test_a_further_piece_has_a_third_of_the_room(context: Context) -> None:
    words = " ".join(["gateway"] * 100)
    for title in ("a", "b"):
        text = {"content": f"{title} {words}", "title": title, "source": "/docs/long.md"}
        call(context, "knowledge.learn", entries=[text])
    (found,) = search(context, "gateway", floor=0, max_characters=300)
    assert len(found["content"]) == 300
    assert [len(one["content"]) for one in found["pieces"]] == [100]
    assert "memory_get" in found["pieces"][0]["cut"]


def test_records_of_a_file_stay_results_of_their_own(context: Context) -> None:
    learn_guide(context, "/docs/all.jsonl")
    assert len(search(context, "gateway gatectl", floor=0)) == len(GUIDE)


def test_as_many_documents_are_shown_as_were_asked_for(context: Context) -> None:
    for number in range(3):
        learn_guide(context, f"/docs/{number}.md")
        entries = [
            {"content": f"Part {number}{n} of the gateway.", "source": f"/{n}.md"} for n in "ab"
        ]
        call(context, "knowledge.learn", entries=entries, replaces="nothing")
    found = search(context, "gateway gatectl", floor=0, limit=3)
    assert len({one["source"] for one in found}) == 3


def test_exchanges_of_a_conversation_do_not_disagree_with_each_other(context: Context) -> None:
    said = {"title": "Which port does the gateway use?", "source": "chat:1"}
    call(context, "memory.remember", content="The gateway uses port 8080.", **said)
    later = call(context, "memory.remember", content="The gateway uses port 9090.", **said)
    assert "related" not in later
    answer = call(context, "memory.recall", query="gateway port", floor=0)
    assert "older" not in str(answer["results"])


def test_a_conversation_that_says_otherwise_marks_the_earlier_one(context: Context) -> None:
    for number, ports in enumerate(("8080", "9090")):
        said = {"title": f"The gateway's port, {number}", "source": f"chat:{number}"}
        for content in (f"The gateway uses port {ports}.", f"We talked of the gateway {number}."):
            call(context, "memory.remember", content=content, **said)
    newer, older = call(context, "memory.recall", query="gateway port", floor=0)["results"]
    assert (newer["source"], older["source"]) == ("chat:1", "chat:0")
    assert "older" in older


def _say(context: Context, chat: str, *exchanges: str) -> list[dict[str, Any]]:
    return [
        call(context, "memory.remember", content=one, title=exchanges[0], source=f"chat:{chat}")
        for one in exchanges
    ]


def test_exchanges_of_one_chat_take_one_place_of_what_is_told(context: Context) -> None:
    rules = ("Refunds of vouchers need a manager", "Refunds of vouchers are paid by the till")
    _say(context, "first", *rules, "Refunds of vouchers end after a year")
    _say(context, "second", "Refunds of vouchers are paid in cash by the till")
    *_, answer = _say(
        context,
        "third",
        "Amendment to the refunds of vouchers: a manager is not needed, the till pays in cash "
        "after a year",
    )
    assert {one["id"] for one in answer["related"]} >= {"m4"}
    assert len(answer["related"]) == 2
    results = call(context, "memory.recall", query="refunds of vouchers")["results"]
    marked = [one["source"] for one in results if "older" in one]
    assert sorted(marked) == ["chat:first", "chat:second"]
