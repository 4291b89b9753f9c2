"""Purging by ids and by a filter, and secrets that are masked where they are."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from secret_texts import PASSWORD, SECRET

from khive_supervisor.access.grant import AGENT, OPERATOR
from khive_supervisor.config.load import from_dict
from khive_supervisor.errors import Denied, InvalidInput, NotFound, SecretFound, StoreUnavailable
from khive_supervisor.packs import loading
from khive_supervisor.sqlite.store import SqliteStore
from khive_supervisor.store.model import NewEntry
from khive_supervisor.verbs.context import Context, SessionInfo

REGISTRY = loading.load()


def context_of(path: Path, mode: str = "refuse", grant: Any = OPERATOR) -> Context:
    config = from_dict(
        {
            "store": {"path": str(path / "khive.db")},
            "secrets": {"mode": mode},
            "log": {"file": str(path / "state" / "khive.log")},
        }
    )
    return Context(
        config, SessionInfo(id="s"), socket_path=None, make_embedder=lambda: None, grant=grant
    )


@pytest.fixture
def context(tmp_path: Path) -> Iterator[Context]:
    opened = context_of(tmp_path)
    yield opened
    opened.close()


def call(context: Context, verb: str, /, **args: Any) -> dict[str, Any]:
    return dict(REGISTRY.call(context, verb, args))


def remember(context: Context, content: str, **args: Any) -> str:
    return str(call(context, "memory.remember", content=content, **args)["id"])


def test_a_secret_is_refused_and_private_spans_are_cut(context: Context) -> None:
    with pytest.raises(SecretFound, match="content, line 1"):
        remember(context, f"the password is {PASSWORD}")
    answer = call(context, "memory.remember", content="the <private>merger</private> is on")
    assert answer["notes"] == [
        "What is private or looks like a secret was left out of what is kept."
    ]
    [kept] = call(context, "memory.get", ids=[answer["id"]])["entries"]
    assert kept["content"] == "the is on"
    with pytest.raises(InvalidInput, match="All of content is private"):
        remember(context, "<private>nothing else</private>")


def test_what_is_learned_is_masked(context: Context) -> None:
    learned = call(context, "knowledge.learn", entries=[{"content": f"password: {PASSWORD}"}])
    [kept] = call(context, "memory.get", ids=learned["ids"])["entries"]
    assert kept["content"] == "password: [masked assigned-secret]"
    again = call(context, "knowledge.learn", entries=[{"content": f"password: {PASSWORD}"}])
    assert again["already_known"] == 1


def test_in_another_mode_a_memory_is_masked(tmp_path: Path) -> None:
    context = context_of(tmp_path, "mask")
    answer = call(context, "memory.remember", content=f"use {SECRET}")
    assert answer["notes"]
    [kept] = call(context, "memory.get", ids=[answer["id"]])["entries"]
    assert kept["content"] == "use [masked github-token]"
    context.close()


def test_ids_are_purged_and_get_says_so(context: Context, tmp_path: Path) -> None:
    number = remember(context, "the walrus protocol number is 99120771")
    other = remember(context, "the walrus is fine")
    answer = call(context, "memory.purge", ids=[number])
    assert (answer["purged"], answer["left"]) == ([number], [])
    with pytest.raises(NotFound, match=f"{number} was purged"):
        call(context, "memory.get", ids=[number])
    both = call(context, "memory.get", ids=[number, other])
    assert [one["id"] for one in both["entries"]] == [other]
    assert "was purged" in both["notes"][0]
    whole = b"".join(f.read_bytes() for f in tmp_path.rglob("*") if f.is_file())
    assert b"99120771" not in whole


def test_a_filter_is_looked_at_first(context: Context) -> None:
    first = remember(context, "one", tags=["old"])
    remember(context, "two")
    planned = call(context, "memory.purge", tags=["old"], dry_run=True)
    assert planned == {"would_purge": 1, "entries": [f"{first}: one"]}
    assert call(context, "memory.purge", tags=["old"])["purged"] == [first]
    assert call(context, "memory.purge", tags=["old"])["purged"] == []


def test_a_filter_reaches_what_was_forgotten_and_replaced(context: Context) -> None:
    old, gone = remember(context, "one", tags=["x"]), remember(context, "two", tags=["x"])
    new = call(context, "memory.supersede", id=old, content="one, again")["id"]
    call(context, "memory.forget", ids=[gone])
    live = call(context, "memory.purge", tags=["x"], state="live", dry_run=True)
    assert live["would_purge"] == 1
    assert call(context, "memory.purge", tags=["x"])["purged"] == [old, gone, new]
    assert call(context, "memory.list", state="all", tags=["x"])["entries"] == []


@pytest.mark.parametrize("args", [{}, {"ids": ["m1"], "tags": ["a"]}, {"dry_run": True}])
def test_what_is_meant_has_to_be_said(context: Context, args: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match="Either ids are purged"):
        call(context, "memory.purge", **args)


def test_copies_of_the_store_are_named_and_not_touched(context: Context, tmp_path: Path) -> None:
    number = remember(context, "the walrus protocol number is 99120771")
    copy = tmp_path / "khive.db.before-restore-1"
    context.store.backup(str(copy))
    before = copy.read_bytes()
    [left] = call(context, "memory.purge", ids=[number])["left"]
    assert left["where"] == str(copy)
    assert "not touched" in left["what"]
    assert copy.read_bytes() == before


def test_what_others_say_of_it_is_told(context: Context) -> None:
    number = remember(context, "the walrus protocol number is 99120771")
    call(context, "knowledge.learn",
         entries=[{"content": "he said: the walrus protocol number is 99120771"}])  # fmt: skip
    [left] = call(context, "memory.purge", ids=[number])["left"]
    assert "entries.content of row 2" in left["what"]


def test_words_that_others_have_are_theirs(context: Context, tmp_path: Path) -> None:
    """Words of the schema, of names and of the log are no remains of an entry."""
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "khive.log").write_text("the semantic supervisor started")
    number = remember(context, "semantic supervisor superseded_by entries_fts collection")
    assert call(context, "memory.purge", ids=[number])["left"] == []


def test_without_room_nothing_is_done(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    number = remember(context, "the walrus")

    def full(_path: str) -> os.statvfs_result:
        return os.statvfs_result((4096, 4096, 100, 0, 0, 0, 0, 0, 0, 255))

    monkeypatch.setattr(os, "statvfs", full)
    with pytest.raises(StoreUnavailable, match="Nothing was done"):
        call(context, "memory.purge", ids=[number])
    monkeypatch.undo()
    assert call(context, "memory.get", ids=[number])["entries"]


def test_agents_do_not_purge(tmp_path: Path) -> None:
    context = context_of(tmp_path, grant=AGENT)
    for verb, args in (("memory.purge", {"ids": ["m1"]}), ("secrets.scan", {})):
        with pytest.raises(Denied, match="cannot be brought back"):
            call(context, verb, **args)
    context.close()


def test_secrets_that_are_in_are_named_and_masked(tmp_path: Path) -> None:
    with SqliteStore(str(tmp_path / "khive.db"), secrets="off") as careless:
        careless.entries.add(
            [
                NewEntry("memory", "default", "fact", "", f"the token is {SECRET}", ("a",)),
                NewEntry("memory", "default", "fact", "", "fine"),
                NewEntry("memory", "default", "fact", "", f"forgotten: {SECRET}"),
                NewEntry("memory", "default", "fact", "", "private"),
            ]
        )
        with careless.database.raw() as connection:  # a private span of an earlier release
            connection.execute(
                "UPDATE entries SET content = '<private>all of it</private>' WHERE id = 4"
            )
        careless.entries.forget([3])
        careless.audit.record("test.done", "store", {"detail": f"the token was {SECRET}"})
    context = context_of(tmp_path)
    found = call(context, "secrets.scan")
    assert [one["id"] for one in found["places"]] == ["m1", "m3", "m4", "audit 6"]
    assert SECRET not in json.dumps(found)
    fixed = call(context, "secrets.scan", fix=True)
    assert fixed["masked"] == ["m1 is m5 now"]
    assert fixed["purged"] == ["m1", "m3", "m4"]
    assert [one["what"] for one in fixed["left"]] == [
        "the same words are in audit.detail of entry 6"
    ]
    [new] = call(context, "memory.get", ids=["m5"])["entries"]
    assert (new["content"], new["tags"]) == ("the token is [masked github-token]", ["a"])
    assert SECRET not in json.dumps(fixed)
    context.close()


def test_nothing_found_is_an_answer(context: Context) -> None:
    remember(context, "fine")
    assert call(context, "secrets.scan", fix=True) == {"found": 0, "places": []}
