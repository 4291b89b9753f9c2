"""Profiles' rows in SQLite: what is compiled, and rows that no event explains."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest

from khive_supervisor.profiles.model import DEFAULT, FEEDBACK, NewEvent
from khive_supervisor.profiles.replay import verify
from khive_supervisor.sqlite.store import SqliteStore
from khive_supervisor.store.model import NewEntry


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    with SqliteStore(str(tmp_path / "khive.db")) as opened:
        opened.entries.add([NewEntry("memory", "n", "k", "", f"content {n}") for n in range(4)])
        yield opened


def said(entry_id: int = 1, session: str = "s") -> NewEvent:
    return NewEvent(DEFAULT, FEEDBACK, "useful", entry_id, session=session)


def test_nothing_is_compiled_again_to_record_another_event(store: SqliteStore) -> None:
    compiled = list[tuple[Any, ...]]()

    def note(*what: Any) -> int:
        # PRAGMAs always are, outside of the lock.
        if what[0] != apsw.SQLITE_PRAGMA:
            compiled.append(what)
        return apsw.SQLITE_OK

    with store.database.raw() as connection:
        connection.authorizer = note
    store.feedback.record(said())  # what was compiled before is void with another authorizer
    assert compiled
    compiled.clear()
    store.feedback.record(said(entry_id=2, session="another"))
    assert compiled == []


def test_a_number_that_no_event_explains_is_named(store: SqliteStore) -> None:
    store.feedback.record(said())
    for statement, told in (
        ("UPDATE posteriors SET alpha = alpha + 1e-15 WHERE weight = 'salience'", "salience"),
        ("DELETE FROM profile_targets", "1 of 1 targets differ"),
        ("UPDATE feedback_mass SET mass = 0", "1 of 1 masses differ"),
        ("UPDATE profiles SET events = 7", "events is 7 in the table and 1 by the events"),
    ):
        store.database.rows(statement)
        assert any(told in one for one in verify(store.profiles, DEFAULT)), statement
