"""Journals of sessions: told twice, kept once; and what capturing keeps for itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from engines import Engine
from secret_texts import SECRET

from khive_supervisor.store.interface import Store
from khive_supervisor.store.journal.model import (
    MOST_ERROR,
    MOST_TEXT,
    Candidate,
    JournalEvent,
    JournalFilter,
    Origin,
    TranscriptCursor,
)
from khive_supervisor.store.model import NewEntry


@pytest.fixture
def store(engine: Engine, tmp_path: Path) -> Iterator[Store]:
    with engine(str(tmp_path / "khive.db"), clock=lambda: 1000.0) as opened:
        yield opened


def prompt(text: str, **changes: object) -> JournalEvent:
    return replace(JournalEvent("claude-code", "s1", "prompt", "user", text), **changes)  # type: ignore[arg-type]  # shorthand


def told(event: JournalEvent) -> JournalEvent:
    return replace(event, origin=Origin.TRANSCRIPT)


def texts(store: Store, session: str = "s1") -> list[str]:
    return [one.text for one in store.journal.of_session("claude-code", session)]


def test_what_both_tell_of_is_one_whoever_is_first(store: Store) -> None:
    first, again = prompt("continue"), prompt("continue ")
    (a,) = store.journal.append([first])
    assert store.journal.append([told(first), told(again)]) == [a, a + 1]
    assert store.journal.append([again]) == [a + 1]
    assert store.journal.append([first]) == [a + 2]
    assert texts(store) == ["continue"] * 3


def test_a_transcript_that_is_read_again_adds_nothing(store: Store) -> None:
    lines = [told(prompt("one")), told(prompt("two")), told(prompt("one"))]
    ids = store.journal.append(lines)
    store.journal.reread("claude-code", "s1")
    assert store.journal.append([*lines, told(prompt("three"))])[:3] == [ids[0], ids[1], ids[2]]
    assert texts(store) == ["one", "two", "one", "three"]


def test_sessions_clients_kinds_and_namespaces_have_their_own(store: Store) -> None:
    event = prompt("go")
    others = [
        replace(event, session="s2"), replace(event, client="codex"), replace(event, kind="answer"),
        replace(event, namespace="acme"), replace(event, path="a.py"),
    ]  # fmt: skip
    assert len(set(store.journal.append([event, *others]))) == 6
    assert [one.events for one in store.journal.sessions()] == [4, 1, 1]


def test_a_transcript_says_how_a_command_ended_that_a_hook_did_not(store: Store) -> None:
    run = prompt("make test", kind="command", tool="Bash")
    store.journal.append([run, told(replace(run, exit_code=2))])
    (found,) = store.journal.of_session("claude-code", "s1")
    assert (found.exit_code, found.tool, found.at) == (2, "Bash", 1000.0)


def test_texts_are_bounded_and_without_secrets(store: Store) -> None:
    store.journal.append(
        [
            prompt(f"it is {SECRET} <private>mine</private>"),
            prompt("x" * (MOST_TEXT + 1)),
            prompt("y" * MOST_ERROR + "the end", kind="error"),
            prompt("", kind="edit", path=f"/home/{SECRET}"),
        ]
    )
    first, long, error, edit = store.journal.of_session("claude-code", "s1")
    assert first.text.rstrip() == "it is [masked github-token]"
    assert len(long.text) == MOST_TEXT
    assert (len(error.text), error.text[-7:]) == (MOST_ERROR, "the end")
    assert SECRET not in edit.path


def test_events_are_found_by_words_and_by_session_and_erased_by_age(store: Store) -> None:
    store.journal.append([prompt("use 100% of it", at=1.0), prompt("use some", at=2.0)])
    assert [one.text for one in store.journal.search(["100%"])] == ["use 100% of it"]
    assert [one.text for one in store.journal.search(["use", "it"])] == ["use 100% of it"]
    assert store.journal.search(["use"], JournalFilter(namespaces=())) == []
    assert store.journal.search(["use"], JournalFilter(project=7)) == []
    assert store.journal.count(JournalFilter(project=0, client="claude-code", session="s1")) == 2
    assert store.journal.erase(JournalFilter(before=2.0)) == 1
    assert store.journal.erase(JournalFilter(), limit=0) == 0
    assert texts(store) == ["use some"]


def test_a_purge_takes_the_events_that_say_it(store: Store) -> None:
    said = "we always use tabs in makefiles"
    store.journal.append([prompt(f"well, {said}."), prompt("another thing")])
    store.capture.propose([candidate(said)])
    (added,) = store.entries.add([NewEntry("memory", "default", "note", "", said)])
    assert store.purges.purge([added.id]).journal == 2
    assert texts(store) == ["another thing"]
    assert store.capture.candidates() == []


def test_a_purge_of_what_was_captured_takes_the_journal_of_its_session(store: Store) -> None:
    store.journal.append([prompt("one"), prompt("two", session="s2")])
    (added,) = store.entries.add([NewEntry("memory", "default", "note", "", "decided: so")])
    store.journal.note_learned("claude-code", "s1", 1, {"digest": added.id})
    assert store.purges.purge([added.id]).journal == 1
    assert (texts(store), texts(store, "s2")) == ([], ["two"])


def test_how_far_a_session_was_learned_from(store: Store) -> None:
    assert store.journal.learned("claude-code", "s1") == 0
    (a, b) = store.entries.add([NewEntry("memory", "default", "note", "", text) for text in "ab"])
    store.journal.note_learned("claude-code", "s1", 7, {"digest": a.id})
    store.journal.note_learned("claude-code", "s1", 9, {"digest": b.id})
    assert store.journal.learned("claude-code", "s1") == 9
    assert store.journal.captured("claude-code", "s1") == {"digest": b.id}
    store.purges.purge([b.id])
    assert store.journal.captured("claude-code", "s1") == {}


def candidate(text: str, **changes: object) -> Candidate:
    values = Candidate("said-always", "decision", text, "claude-code", "s1", "user")
    return replace(values, **changes)  # type: ignore[arg-type]  # shorthand


def test_a_candidate_is_proposed_once(store: Store) -> None:
    (number,) = store.capture.propose([candidate("Use tabs")])
    assert store.capture.propose([candidate("use  tabs")]) == []
    assert store.capture.decide(number, "dropped")
    assert not store.capture.decide(number, "accepted")
    assert store.capture.propose([candidate("Use tabs", session="s2")]) == []
    assert store.capture.candidates() == []
    found = store.capture.candidate(number)
    assert found is not None
    assert found.state == "dropped"
    assert store.capture.candidate(99) is None


def test_a_candidate_that_was_accepted_goes_with_its_entry(store: Store) -> None:
    (number,) = store.capture.propose([candidate("Use tabs")])
    (added,) = store.entries.add([NewEntry("memory", "default", "note", "", "Use tabs")])
    store.capture.decide(number, "accepted", added.id)
    assert [one.entry for one in store.capture.candidates(state=None)] == [added.id]
    store.purges.purge([added.id])
    assert store.capture.candidates(state=None) == []


def test_cursors_are_kept_by_path(store: Store) -> None:
    cursor = TranscriptCursor("/t/a.jsonl", "codex", "s", 1, 2, 300, b"head", 4, '{"calls": {}}')
    store.capture.put_cursor(cursor)
    store.capture.put_cursor(replace(cursor, offset=400))
    assert store.capture.cursor("/t/a.jsonl") == replace(cursor, offset=400)
    assert store.capture.cursors() == [replace(cursor, offset=400)]


def test_a_switch_of_a_project_goes_before_that_of_all(store: Store) -> None:
    assert store.capture.allowed(3)
    store.capture.switch(None, False)
    assert not store.capture.allowed(3)
    store.capture.switch(3, True)
    assert store.capture.allowed(3)
    assert not store.capture.allowed(None)
    assert store.capture.switches() == {None: False, 3: True}
    store.capture.switch(3, None)
    store.capture.switch(None, None)
    assert store.capture.switches() == {}
