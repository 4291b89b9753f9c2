"""Sessions of clients, and what was put into them: stored, found, judged, and gone in time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from engines import Engine
from secret_texts import SECRET

from khive_supervisor.store.interface import Store
from khive_supervisor.store.journal.model import JournalFilter
from khive_supervisor.store.journal.sessions import ClientSession, Injection
from khive_supervisor.store.model import NewEntry


@pytest.fixture
def store(engine: Engine, tmp_path: Path) -> Iterator[Store]:
    with engine(str(tmp_path / "khive.db")) as opened:
        yield opened


SESSION = ClientSession("codex", "s1", namespace="default", cwd="/work", seen_at=5.0)


def injected(store: Store, session: str = "s1") -> Injection:
    (added,) = store.entries.add([NewEntry("memory", "default", "semantic", "", session)])
    one = Injection(added.id, "prompt", 1, 20, 6.0, "codex", session)
    store.injections.add([one])
    return one


def test_a_session_is_as_it_was_told_last(store: Store) -> None:
    store.client_sessions.note(SESSION)
    later = replace(SESSION, state="working", last_prompt="fix it", cost=0.5, epoch=2,
                    since=4.0)  # fmt: skip
    store.client_sessions.note(later)
    assert store.client_sessions.find("codex", "s1") == later
    assert store.client_sessions.find("claude-code", "s1") is None


def test_those_that_were_heard_of_last_are_first(store: Store) -> None:
    for number, name in enumerate(("a", "b", "c")):
        one = replace(SESSION, session=name, seen_at=float(number), namespace=name)
        store.client_sessions.note(one)
    page = store.client_sessions.page
    assert [one.session for one in page(limit=2)] == ["c", "b"]
    assert [one.session for one in page(JournalFilter(namespaces=("a",)))] == ["a"]
    assert len(page(JournalFilter(before=0.0))) == 3, "by nothing that they do not have"


def test_a_prompt_is_kept_without_its_secrets(store: Store) -> None:
    store.client_sessions.note(replace(SESSION, last_prompt=f"use {SECRET}"))
    (found,) = store.client_sessions.page()
    assert SECRET not in found.last_prompt


def test_what_was_put_in_is_found_by_session_and_by_entry(store: Store) -> None:
    first, second = injected(store), injected(store, "s2")
    (found,) = store.injections.of_session("codex", "s1")
    assert replace(found, id=0) == first
    assert store.injections.of_entry(second.entry)[0].session == "s2"
    store.injections.judge([found], False)
    assert store.injections.of_entry(first.entry)[0].used is False
    assert store.injections.of_entry(second.entry)[0].used is None


def test_old_sessions_go_with_what_was_put_into_them(store: Store) -> None:
    store.client_sessions.note(SESSION)
    store.client_sessions.note(replace(SESSION, session="s2", seen_at=50.0))
    injected(store)
    injected(store, "s2")
    assert store.client_sessions.erase(10.0, 100) == 1
    assert [one.session for one in store.client_sessions.page()] == ["s2"]
    assert store.injections.of_session("codex", "s1") == []
    assert len(store.injections.of_session("codex", "s2")) == 1
