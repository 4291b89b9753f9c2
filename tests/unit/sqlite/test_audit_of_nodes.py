"""Chains of the nodes of a team: each goes on with its own, and all are read and checked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import apsw
import pytest

from khive_supervisor.audit.chain import GENESIS, Head, genesis
from khive_supervisor.audit.several import PublishedHead, verify_chains
from khive_supervisor.audit.verify import Fault
from khive_supervisor.sqlite.schema.shared import needed
from khive_supervisor.sqlite.store import SqliteStore
from khive_supervisor.sqlite.team import replica
from khive_supervisor.sqlite.team.replica import Replica
from khive_supervisor.store.audit import AuditFilter, AuditPlace


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    """A store in which two nodes have written in turn, after it was one machine's."""
    with SqliteStore(str(tmp_path / "khive.db")) as opened:
        opened.audit.record("task.done", "task/t1", {}, at=1.0)
        for at in range(2, 8):
            as_node(opened, "ab"[at % 2], lambda at=at: record(opened, float(at)))
        yield opened


def as_node(store: SqliteStore, node: str, act: Callable[[], None]) -> None:
    """Do something as a node of a team whose nodes all know the newest schema."""
    store._chain._origin = lambda: node
    act()
    store._chain._origin = str


def record(store: SqliteStore, at: float) -> None:
    store.audit.record("task.done", f"task/t{at:.0f}", {}, at=at)


def test_each_node_has_a_chain_that_begins_with_its_name(store: SqliteStore) -> None:
    assert store.audit.origins() == ["", "a", "b"]
    first = next(iter(store.audit.chain("a").entries()))
    assert (first.seq, first.previous, first.name) == (1, genesis("a"), "a:1")
    assert len({genesis("a"), genesis("b"), genesis(""), GENESIS}) == 3
    report = verify_chains(store.audit)
    assert report.intact
    assert [(o, r.entries) for o, r in report.reports.items()] == [("", 1), ("a", 3), ("b", 3)]


def test_pages_have_all_chains_by_their_times_and_go_on_at_any_entry(store: SqliteStore) -> None:
    names = [one.name for one in store.audit.page()]
    assert names == ["b:3", "a:3", "b:2", "a:2", "b:1", "a:1", "1"]
    assert [one.name for one in store.audit.page(AuditFilter(node="b"), 2)] == ["b:3", "b:2"]
    for place, name in enumerate(names):
        origin, _, seq = name.rpartition(":")
        found = store.audit.page(before=AuditPlace(int(seq), origin))
        assert [one.name for one in found] == names[place + 1 :]


def test_entries_of_one_time_are_each_on_one_page(store: SqliteStore) -> None:
    for node in "abba":
        as_node(store, node, lambda: record(store, 9.0))
    names, found = [one.name for one in store.audit.page()], list[str]()
    place = None
    while page := store.audit.page(limit=1, before=place):
        found += [one.name for one in page]
        place = AuditPlace(page[0].seq, page[0].origin)
    assert found == names


def test_a_chain_that_was_given_to_another_node_is_broken_from_its_first_entry(
    store: SqliteStore,
) -> None:
    connection = apsw.Connection(store.path)
    for statement in (
        "DROP TRIGGER audit_of_nodes_no_update",
        "UPDATE audit_of_nodes SET origin = 'c' WHERE origin = 'b'",
    ):
        connection.execute(statement)
    connection.close()
    report = verify_chains(store.audit)
    assert not report.intact
    problem = report.reports["c"].problem
    assert problem is not None
    assert (problem.seq, problem.fault) == (1, Fault.DOES_NOT_FOLLOW)


def test_heads_that_nodes_have_published_are_looked_for(store: SqliteStore) -> None:
    head = store.audit.chain("b").head()
    sound = [PublishedHead(head, 5), PublishedHead(store.audit.chain("a").head(), 5)]
    report = verify_chains(store.audit, published=sound, position=5)
    assert (report.intact, report.published) == (True, 2)
    later = [*sound, PublishedHead(replace(head, seq=9), 6)]
    assert verify_chains(store.audit, published=later, position=5).intact
    report = verify_chains(store.audit, published=later, position=6)
    problem = report.reports["b"].problem
    assert problem is not None
    assert problem.fault is Fault.CUT
    other = [PublishedHead(replace(head, hash=b"x" * 32), 5)]
    assert not verify_chains(store.audit, published=other, position=5).intact


def test_a_chain_that_a_node_may_not_see_is_only_told(store: SqliteStore) -> None:
    hidden = Head(7, b"x" * 32, "hidden")
    report = verify_chains(store.audit, published=[PublishedHead(hidden, 1)], position=5)
    assert (report.intact, report.elsewhere) == (True, (hidden,))
    assert report.as_dict()["elsewhere"] == [hidden.as_dict()]
    # A head that somebody has kept is of a chain that has to be here.
    assert not verify_chains(store.audit, [hidden]).intact


@pytest.mark.parametrize(("schema", "origin"), [(13, ""), (14, "a")])
def test_a_node_goes_on_with_its_own_chain_once_all_nodes_know_such(
    tmp_path: Path, schema: int, origin: str
) -> None:
    clock = replica.TeamClock(lambda: Replica("a", "s", 0, schema=schema))
    assert clock.origin() == origin


def test_changes_of_older_tables_can_be_applied_by_older_releases() -> None:
    def changes(table: str) -> bytes:
        connection = apsw.Connection(":memory:")
        connection.execute(f"CREATE TABLE {table} (seq INTEGER PRIMARY KEY)")
        session = apsw.Session(connection, "main")
        session.attach()
        connection.execute(f"INSERT INTO {table} VALUES (1)")
        return session.changeset()

    assert needed(changes("audit")) == 13
    assert needed(changes("audit_of_nodes")) == 14
