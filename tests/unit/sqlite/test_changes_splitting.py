"""A change is split by the namespaces that its rows are of, and nothing is in a wrong part."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import apsw
import pytest
from hypothesis import given
from hypothesis import strategies as st

from khive_supervisor.sqlite.changes.splitting import ChangeSplitter
from khive_supervisor.sqlite.schema.shared import SHARED
from khive_supervisor.sqlite.store import SqliteStore
from khive_supervisor.store.model import NewEntry
from khive_supervisor.tasks.model import NewTask
from khive_supervisor.team.parts import TEAM, WHOLE, ChangePart, PartedChange, Rights


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    with SqliteStore(str(tmp_path / "khive.db")) as found:
        yield found


def entry(namespace: str, text: str) -> NewEntry:
    return NewEntry("memory", namespace, "semantic", "", text)


def split(store: SqliteStore, act: Callable[[], object]) -> PartedChange:
    """What an act changes, as its writer splits it before it commits."""
    with store.database.raw() as connection:
        session = apsw.Session(connection, "main")
        session.table_filter(SHARED.__contains__)
        session.attach()
        with store.transaction():
            act()
            splitter, changes = ChangeSplitter(connection), session.changeset()
            sent = session.patchset() if splitter.purges(changes) else b""
            return splitter.split(changes, sent)


def tables(change: PartedChange) -> dict[str, set[str]]:
    return {
        part.name: {row.name for row in apsw.Changeset.iter(part.changes)} for part in change.parts
    }


def texts(change: PartedChange, name: str) -> bytes:
    return b"".join(part.changes for part in change.parts if part.name == name)


def test_entries_of_two_namespaces_are_in_two_parts(store: SqliteStore) -> None:
    both = [entry("a", "One."), entry("b", "Two.")]
    change = split(store, lambda: store.entries.add(both, [b"ab", b"ab"], "m"))
    found = tables(change)
    assert found["a"] == found["b"] == {"entries", "vectors"}
    assert "entries" not in found.get(TEAM, set())
    assert b"Two" not in texts(change, "a")
    assert b"One" not in texts(change, "b")
    assert change.marks["entries"] == 2
    assert not change.purges


def test_what_is_about_an_entry_goes_where_the_entry_is(store: SqliteStore) -> None:
    one, two = store.entries.add([entry("a", "One."), entry("a", "Two.")], [b"ab", b"ab"], "m")
    found = tables(split(store, lambda: store.entries.forget([one.id])))
    assert found["a"] >= {"entries", "fates"}
    assert set(found) <= {"a", TEAM, WHOLE}
    assert "links" in tables(split(store, lambda: store.links.add(one.id, two.id, "about")))["a"]


def test_a_purge_is_known_as_one_and_is_in_the_part_of_its_entry(store: SqliteStore) -> None:
    (one,) = store.entries.add([entry("a", "Nobody may know.")], [b"ab"], "m")
    change = split(store, lambda: store.purges.purge([one.id]))
    assert change.purges
    assert {"entries", "vectors"} <= tables(change)["a"]
    assert all(b"Nobody" not in part.changes for part in change.parts), "nor as what was there"


def test_tasks_and_what_happens_to_them_are_in_one_part(store: SqliteStore) -> None:
    found = tables(split(store, lambda: store.tasks.assign(NewTask("r", "t", namespace="a"))))
    assert {"tasks", "task_events"} <= found["a"]
    assert not {"tasks", "task_events"} & found.get(TEAM, set())


def test_the_audit_chain_is_for_those_who_see_everything(store: SqliteStore) -> None:
    (one,) = store.entries.add([entry("a", "One.")])
    found = tables(split(store, lambda: store.purges.purge([one.id])))
    assert found[WHOLE] <= {"audit", "audit_of_nodes"}


@given(
    parts=st.dictionaries(st.text(max_size=9), st.binary(max_size=40), max_size=5),
    marks=st.dictionaries(st.text(max_size=9), st.integers(0, 1 << 60), max_size=3),
    purges=st.booleans(),
    schema=st.integers(0, 99),
)
def test_what_is_handed_over_arrives(
    parts: dict[str, bytes], marks: dict[str, int], purges: bool, schema: int
) -> None:
    given = tuple(ChangePart(*part) for part in parts.items())
    change = PartedChange(given, marks, purges, schema)
    assert PartedChange.decode(change.encode()) == change


@pytest.mark.parametrize("data", [b"", b"5", b"2\n{}", b'40\n{"parts": [["", 9]], "marks": {}}'])
def test_what_is_no_change_is_refused(data: bytes) -> None:
    with pytest.raises((ValueError, KeyError)):
        PartedChange.decode(data)


def test_rights_are_to_namespaces_or_to_all() -> None:
    some = Rights("r", ("a", "b"))
    assert [some.see(part) for part in (TEAM, "a", "c", WHOLE)] == [True, True, False, False]
    assert Rights("r").see(WHOLE)
