"""Vectors and generations in the store."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from engines import Engine

from khive_supervisor.errors import InvalidInput, StoreError
from khive_supervisor.sqlite.store import SqliteStore
from khive_supervisor.store.interface import Store
from khive_supervisor.store.model import NewEntry
from khive_supervisor.store.vectors import Generation

ONE, TWO = "model-one", "model-two"

ROW = Generation(
    generation=1, model_id=ONE, file="1.ann", sha256="0" * 64, fingerprint="f", bytes=10,
    dimensions=2, metric="angular", items=2, trees=1, covered_seq=2, max_entry_id=2, direct=True,
    created_at=5.0,
)  # fmt: skip


@pytest.fixture
def store(engine: Engine, tmp_path: Path) -> Iterator[Store]:
    with engine(str(tmp_path / "khive.db")) as opened:
        opened.entries.add([NewEntry("memory", "n", "k", f"t{n}", f"c{n}") for n in range(1, 6)])
        yield opened


def test_vectors_come_in_order_and_only_once(store: Store) -> None:
    assert store.vectors.put(ONE, [(2, b"22"), (1, b"11"), (99, b"99")]) == 2
    assert store.vectors.put(ONE, [(2, b"xx"), (3, b"33")]) == 1
    assert store.vectors.put(ONE, []) == 0
    rows = store.vectors.after(ONE, 0, 10)
    assert [(row.entry_id, row.data) for row in rows] == [(2, b"22"), (1, b"11"), (3, b"33")]
    assert store.vectors.after(ONE, rows[0].seq, 1) == [rows[1]]
    assert store.vectors.newest(ONE, 0, 2) == rows[1:]
    assert store.vectors.newest(ONE, rows[1].seq, 2) == rows[2:]
    assert {row.entry_id for row in store.vectors.of(ONE, [1, 2, 5, 77])} == {1, 2}
    assert store.vectors.last_seq(ONE) == rows[2].seq
    assert store.vectors.last_seq(TWO) == 0


def test_dead_entries_vectors_stay_but_are_not_built(store: Store) -> None:
    store.vectors.put(ONE, [(1, b"11"), (2, b"22")])
    store.entries.forget([1])
    assert [row.entry_id for row in store.vectors.after(ONE, 0, 10)] == [1, 2]
    assert [row.entry_id for row in store.vectors.live_after(ONE, 0, 10)] == [2]


@pytest.mark.parametrize("data", [b"", b"1", b"123"])
def test_a_vector_is_of_whole_numbers(store: Store, data: bytes) -> None:
    with pytest.raises(InvalidInput):
        store.vectors.put(ONE, [(1, data)])


def test_all_vectors_of_a_model_have_one_length(store: Store) -> None:
    with pytest.raises(InvalidInput):
        store.vectors.put(ONE, [(1, b"11"), (2, b"2222")])
    store.vectors.put(ONE, [(1, b"11")])
    with pytest.raises(InvalidInput):
        store.vectors.put(ONE, [(2, b"2222")])
    assert store.vectors.put(TWO, [(2, b"2222")]) == 1


def test_what_is_missing(store: Store) -> None:
    store.vectors.put(ONE, [(2, b"22"), (4, b"44")])
    store.entries.forget([3])
    assert [one.entry_id for one in store.vectors.missing(ONE, 10)] == [1, 5]
    assert [one.entry_id for one in store.vectors.missing(ONE, 10, after_id=1)] == [5]
    assert store.vectors.missing(ONE, 1)[0].text == "t1\nc1"


def test_stats_count_live_entries(store: Store) -> None:
    store.vectors.put(ONE, [(1, b"11"), (2, b"22"), (3, b"33")])
    store.vectors.put(TWO, [(1, b"1111")])
    store.generations.publish(replace(ROW, covered_seq=2))
    store.entries.forget([1])
    stats = store.vectors.stats(ONE)
    assert (stats.vectors, stats.newer, stats.missing) == (2, 1, 2)
    assert (stats.last_seq, stats.other_models) == (3, 1)
    fresh = store.vectors.stats("unknown")
    assert (fresh.vectors, fresh.newer, fresh.missing, fresh.other_models) == (0, 0, 4, 4)


def test_other_models_go_in_steps(store: Store) -> None:
    store.vectors.put(ONE, [(n, b"11") for n in range(1, 6)])
    store.vectors.put(TWO, [(1, b"1111")])
    assert [store.vectors.drop_except(TWO, 2) for _ in range(4)] == [2, 2, 1, 0]
    assert store.vectors.stats(TWO).vectors == 1
    assert store.vectors.put(ONE, [(1, b"other!")]) == 1


def test_one_generation_of_a_model_is_current(store: Store) -> None:
    assert store.generations.current(ONE) is None
    assert store.generations.next_number() == 1
    store.generations.publish(ROW)
    assert store.generations.current(ONE) == ROW
    second = replace(ROW, generation=2, file="2.ann", direct=False)
    store.generations.publish(second)
    store.generations.publish(replace(ROW, generation=3, file="3.ann", model_id=TWO))
    assert store.generations.current(ONE) == second
    assert [row.current for row in store.generations.all()] == [False, True, True]
    assert store.generations.next_number() == 4
    assert store.generations.retire_except(TWO) == 1
    assert store.generations.current(ONE) is None


def test_a_number_is_published_once(store: Store) -> None:
    store.generations.publish(ROW)
    with pytest.raises(StoreError):
        store.generations.publish(replace(ROW, file="other.ann"))
    assert store.generations.current(ONE) == ROW


def test_only_retired_generations_are_removed(store: Store) -> None:
    store.generations.publish(ROW)
    assert not store.generations.remove(1)
    store.generations.publish(replace(ROW, generation=2, file="2.ann"))
    assert store.generations.remove(1)
    assert not store.generations.remove(1)
    assert [row.generation for row in store.generations.all()] == [2]


def test_counters_are_what_counting_gives(store: Store) -> None:
    store.vectors.put(ONE, [(1, b"11"), (2, b"22"), (3, b"33")])
    store.vectors.put(TWO, [(2, b"2222"), (5, b"5555")])
    store.entries.forget([1, 2])
    store.entries.restore([2])
    store.entries.supersede(3, NewEntry("memory", "n", "k", "t3", "anew"))
    store.purges.purge([5])
    assert store.vectors.stats(ONE).vectors == 1
    assert store.vectors.stats(ONE).missing == 2
    assert store.vectors.stats(ONE).other_models == 1
    assert store.vectors.stats("another").missing == 3
    assert not store.vectors.recount()
    assert store.quick_check() == []
    assert store.vectors.drop_except(ONE) == 1
    assert store.vectors.stats(ONE).other_models == 0
    assert not store.vectors.recount()


def test_counters_that_are_wrong_are_found_and_put_right(tmp_path: Path) -> None:
    with SqliteStore(str(tmp_path / "khive.db")) as store:
        store.entries.add([NewEntry("memory", "n", "k", "t", "c")], [b"11"], ONE)
        store.database.rows("UPDATE vector_counts SET live = 7 WHERE model_id = ?", [ONE])
        assert any("counters" in one for one in store.quick_check())
        assert store.vectors.recount()
        assert store.quick_check() == []
        assert store.vectors.stats(ONE).vectors == 1
