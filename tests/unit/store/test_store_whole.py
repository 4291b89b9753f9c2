"""The store as a whole: transactions, what shows that it has changed, its numbers, its past."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from engines import Engine

from khive_supervisor.errors import InvalidInput, StoreError
from khive_supervisor.store.interface import Store
from khive_supervisor.store.model import ChangeCounts, NewEntry
from khive_supervisor.store.vectors import Generation
from khive_supervisor.tasks.model import NewTask, RoleRow


def entry(content: str, collection: str = "memory", namespace: str = "n") -> NewEntry:
    return NewEntry(collection, namespace, "k", "", content)


ROW = Generation(1, "m", "1.ann", "0" * 64, "f", 8, 2, "dot", 3, 1, 1, 1, False, 5.0)


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "khive.db")


@pytest.fixture
def store(engine: Engine, path: str) -> Iterator[Store]:
    with engine(path) as opened:
        yield opened


@pytest.fixture
def other(engine: Engine, store: Store, path: str) -> Iterator[Store]:
    """A second connection to the same store."""
    with engine(path) as opened:
        yield opened


# --- transactions ---------------------------------------------------------------------------------


def test_calls_inside_a_transaction_are_seen_together(store: Store, other: Store) -> None:
    with store.transaction():
        store.entries.add([entry("one")])
        store.roles.set([RoleRow("a")])
        assert store.entries.highest_id() == 1
        assert other.entries.highest_id() == 0
        assert other.roles.all() == []
    assert other.entries.highest_id() == 1
    assert [role.role for role in other.roles.all()] == ["a"]


def test_a_transaction_that_fails_has_not_been(store: Store, other: Store) -> None:
    before = other.change_token()

    def fails() -> None:
        with store.transaction():
            store.entries.add([entry("one")])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails()
    assert store.entries.highest_id() == 0
    assert other.change_token() == before
    store.entries.add([entry("two")])  # and it can go on
    assert other.entries.highest_id() == 1


def test_a_closed_store_says_so_and_is_closed_again_without_harm(store: Store) -> None:
    store.close()
    store.close()
    with pytest.raises(StoreError):
        store.entries.highest_id()


# --- what shows that it has changed ---------------------------------------------------------------

CHANGES: dict[str, Callable[[Store], object]] = {
    "entries": lambda store: store.entries.add([entry("one")]),
    "vectors": lambda store: store.vectors.put("m", [(1, b"11")]),
    "generations": lambda store: store.generations.publish(ROW),
    "roles": lambda store: store.roles.set([RoleRow("a")]),
    "tasks": lambda store: store.tasks.assign(NewTask("a")),
    "forgotten": lambda store: store.entries.forget([1]),
}


def test_every_commit_shows_to_oneself_and_to_others(store: Store, other: Store) -> None:
    for name, change in CHANGES.items():
        mine, theirs, version = store.change_token(), other.change_token(), other.data_version()
        own = store.data_version()
        change(store)
        assert store.change_token() != mine, name
        assert other.change_token() != theirs, name
        assert other.data_version() != version, name
        assert store.data_version() == own, f"{name}: it is for others' commits alone"


def test_reading_is_no_change(store: Store, other: Store) -> None:
    store.entries.add([entry("one")])
    before = store.change_token(), other.change_token()
    store.stats()
    assert other.entries.get([1])
    store.tasks.page()
    assert (store.change_token(), other.change_token()) == before


def test_inside_a_transaction_nothing_can_be_said(store: Store) -> None:
    with store.transaction():
        assert store.change_token() is None
    assert store.change_token() is not None


def test_counts_say_what_kind_of_thing_has_changed(store: Store) -> None:
    kinds = set()
    for change in CHANGES.values():
        before = store.change_counts()
        change(store)
        changed = store.change_counts().changed_since(before)
        kinds |= changed
        assert not store.change_counts().same(before, changed) or not changed
        assert store.change_counts().same(before, set(before.counts) - changed)
    assert {"generations", "roles"} <= kinds


def test_another_past_means_that_everything_has_changed() -> None:
    one = ChangeCounts(b"a", {"x": 1, "y": 2})
    assert one.same(replace(one, counts={"x": 1, "y": 3}), {"x"})
    assert not one.same(replace(one, past=b"b"), {"x"})
    assert not one.same(replace(one, past=b"b"), set())
    assert replace(one, past=b"b").changed_since(one) >= {"x", "y"}
    assert replace(one, counts={"x": 1, "y": 3}).changed_since(one) == {"y"}
    assert one.changed_since(one) == frozenset()


# --- numbers --------------------------------------------------------------------------------------


def test_the_store_in_numbers(store: Store, path: str) -> None:
    empty = store.stats()
    assert (dict(empty.live), dict(empty.namespaces)) == ({}, {})
    assert (empty.deleted, empty.superseded) == (0, 0)
    store.entries.add(
        [entry("one"), entry("two"), entry("three", "knowledge"), entry("four", namespace="m")]
    )
    store.entries.forget([1])
    store.entries.supersede(2, entry("five"))
    found = store.stats()
    assert dict(found.live) == {"memory": 2, "knowledge": 1}
    assert dict(found.namespaces) == {"n": 2, "m": 1}
    assert (found.deleted, found.superseded) == (1, 1)
    assert found.file_bytes == Path(path).stat().st_size
    assert found.schema_version > 0


def test_a_checkpoint_moves_the_log_into_the_file(store: Store) -> None:
    store.entries.add([entry("one" * 1000)])
    assert store.stats().wal_bytes > 0
    done = store.checkpoint(truncate=True)
    assert done.complete
    assert done.moved == done.pages
    assert store.stats().wal_bytes == 0
    assert store.entries.highest_id() == 1


def test_a_sound_store_has_no_problem(store: Store) -> None:
    for change in CHANGES.values():
        change(store)
    assert store.quick_check() == []


# --- its past -------------------------------------------------------------------------------------


def test_a_backup_that_is_restored_begins_another_past(
    store: Store, other: Store, tmp_path: Path
) -> None:
    store.entries.add([entry("one")])
    target = str(tmp_path / "saved.db")
    store.backup(target)
    before, counts = store.past(), store.change_counts()
    assert other.past() == before
    store.entries.add([entry("two")])
    assert store.past() == before
    other.restore_backup(target)
    assert store.past() == other.past() != before
    assert store.entries.highest_id() == 1
    assert store.change_counts().changed_since(counts) >= {"roles", "generations"}


def test_a_backup_takes_no_file_s_place(store: Store, tmp_path: Path) -> None:
    (tmp_path / "there").write_text("mine")
    with pytest.raises(InvalidInput, match="exists already"):
        store.backup(str(tmp_path / "there"))
    assert (tmp_path / "there").read_text() == "mine"
