"""The index as a whole: whatever happens to entries and files, the answer is the store's truth."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from numpy.typing import NDArray

from khive_supervisor.errors import InvalidInput
from khive_supervisor.freshness import Versions
from khive_supervisor.index.vectors import delta, reader
from khive_supervisor.index.vectors.build import build
from khive_supervisor.index.vectors.generation import Generations
from khive_supervisor.index.vectors.reader import VectorIndex
from khive_supervisor.sqlite.store import SqliteStore
from khive_supervisor.store.model import EVERYTHING, EntryFilter, NewEntry

MODEL, DIMENSIONS = "model", 8

Vector = NDArray[np.float32]


def vector(seed: int) -> Vector:
    """One unit vector for each seed, as float16 can hold it."""
    row = np.random.default_rng(seed).normal(size=DIMENSIONS)
    return (row / np.linalg.norm(row)).astype("<f2").astype(np.float32)


def entry(seed: int, namespace: str = "n") -> NewEntry:
    return NewEntry("memory", namespace, "k", "t", str(seed))


def add(store: SqliteStore, seeds: range, namespace: str = "n") -> list[int]:
    data = [vector(seed).astype("<f2").tobytes() for seed in seeds]
    entries = [entry(seed, namespace) for seed in seeds]
    return [one.id for one in store.entries.add(entries, data, MODEL)]


def truth(
    store: SqliteStore, query: Vector, limit: int, where: EntryFilter = EVERYTHING
) -> list[int]:
    """The exact answer, from the store alone."""
    query = query / np.linalg.norm(query)
    rows = store.vectors.live_after(MODEL, 0, 10**6)
    passed = store.entries.filter_ids([row.entry_id for row in rows], where)
    scored = [
        (float(unit(np.frombuffer(row.data, "<f2").astype(np.float32)) @ query), row.entry_id)
        for row in rows
        if row.entry_id in passed
    ]
    return [one for _, one in sorted(scored, reverse=True)][:limit]


def unit(row: Vector) -> Vector:
    return row / np.float32(np.linalg.norm(row))


def found(index: VectorIndex, query: Vector, limit: int = 10, **where: object) -> list[int]:
    return [one for one, _ in index.search(query, limit, EntryFilter(**where))]  # type: ignore[arg-type]  # a test's shorthand


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    with SqliteStore(str(tmp_path / "khive.db")) as opened:
        yield opened


@pytest.fixture
def writer(store: SqliteStore) -> Iterator[SqliteStore]:
    with SqliteStore(store.path) as opened:
        yield opened


@pytest.fixture
def generations(store: SqliteStore) -> Generations:
    return Generations(store.path)


@pytest.fixture
def index(store: SqliteStore) -> Iterator[VectorIndex]:
    opened = VectorIndex(store, MODEL, DIMENSIONS)
    yield opened
    opened.close()


def publish(store: SqliteStore) -> None:
    assert build(store, Generations(store.path), MODEL, DIMENSIONS, trees=5) is not None


QUERY = vector(999)


def test_without_anything_nothing_is_found(index: VectorIndex) -> None:
    assert index.search(QUERY, 10) == []
    state = index.state()
    assert (state.generation, state.items, state.newer) == (None, 0, 0)
    assert state.complete
    assert not state.problem


def test_what_others_wrote_is_found_at_once_with_and_without_a_generation(
    store: SqliteStore, writer: SqliteStore, index: VectorIndex
) -> None:
    for step in range(4):
        add(writer, range(step * 50, step * 50 + 50))
        assert found(index, QUERY) == truth(store, QUERY, 10)
        if step == 1:
            publish(writer)
            assert found(index, QUERY) == truth(store, QUERY, 10)
    state = index.state()
    assert (state.generation, state.items, state.newer) == (1, 100, 100)


def test_a_commit_of_something_else_does_not_read_the_generation_again(
    store: SqliteStore, writer: SqliteStore, index: VectorIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[str] = []
    read = store.generations.current
    monkeypatch.setattr(store.generations, "current", lambda m: (reads.append(m), read(m))[1])
    add(writer, range(50))
    publish(writer)
    index.search(QUERY, 1)
    reads.clear()
    for seed in range(50, 55):
        add(writer, range(seed, seed + 1))
        assert found(index, QUERY) == truth(store, QUERY, 10)
        add(store, range(seed + 100, seed + 101))
        assert found(index, QUERY) == truth(store, QUERY, 10)
    assert reads == []
    publish(writer)
    assert found(index, QUERY) == truth(store, QUERY, 10)
    assert reads
    assert index.state().generation == 2


def test_several_searchers_of_a_store_share_one_look_at_its_counters(
    store: SqliteStore, writer: SqliteStore
) -> None:
    versions = Versions(store)
    indexes = [VectorIndex(store, MODEL, DIMENSIONS, versions=versions) for _ in range(3)]
    for seed in range(3):
        add(writer, range(seed, seed + 1))
        assert all(found(index, QUERY) == truth(store, QUERY, 10) for index in indexes)
    assert versions.stats.moved == 3


def test_own_writes_are_found_at_once(store: SqliteStore, index: VectorIndex) -> None:
    index.search(QUERY, 1)
    [one] = add(store, range(999, 1000))
    assert found(index, QUERY) == [one]
    store.entries.forget([one])
    assert found(index, QUERY) == []
    store.entries.restore([one])
    assert found(index, QUERY) == [one]


def test_cosines_are_cosines(store: SqliteStore, index: VectorIndex) -> None:
    add(store, range(30))
    expected = sorted((float(unit(vector(n)) @ unit(QUERY)) for n in range(30)), reverse=True)
    delta = [cosine for _, cosine in index.search(QUERY * 7, 30)]
    publish(store)
    annoy = [cosine for _, cosine in index.search(QUERY, 30)]
    direct = [cosine for _, cosine in index.search(QUERY, 30, EntryFilter(kinds=("k",)))]
    for cosines in (delta, annoy, direct):
        assert cosines == pytest.approx(expected, abs=2e-3)


def test_vectors_are_those_of_the_entries(store: SqliteStore, index: VectorIndex) -> None:
    ids = add(store, range(20))
    publish(store)
    ids += add(store, range(20, 30))
    index.search(QUERY, 1)
    found, vectors = index.vectors([ids[25], 9999, ids[3], ids[19]])
    assert set(found.tolist()) == {ids[25], ids[3], ids[19]}
    for number, row in zip(found.tolist(), vectors, strict=True):
        assert row == pytest.approx(unit(vector(ids.index(number))), abs=2e-3)
    assert index.vectors([])[1].shape[0] == 0


def test_the_dead_do_not_come_back(
    store: SqliteStore, writer: SqliteStore, index: VectorIndex
) -> None:
    ids = add(writer, range(100))
    publish(writer)
    best = found(index, QUERY, 60)
    writer.entries.forget(best[:50])
    new = writer.entries.supersede(best[50], entry(5000), None, MODEL)
    assert found(index, QUERY, 5) == best[51:56]
    assert set(found(index, QUERY, 100)) == set(ids) - set(best[:51])
    assert found(index, QUERY, 100, namespaces=("n",)) == found(index, QUERY, 100)
    assert new.id not in found(index, QUERY, 200)


def test_what_was_deleted_at_the_build_is_found_when_restored(
    store: SqliteStore, writer: SqliteStore, index: VectorIndex
) -> None:
    ids = add(writer, range(20))
    writer.entries.forget(ids[:5])
    publish(writer)
    assert set(found(index, QUERY, 30)) == set(ids[5:])
    writer.entries.restore(ids[:3])
    assert set(found(index, QUERY, 30)) == set(ids[5:]) | set(ids[:3])
    assert set(found(index, QUERY, 30, namespaces=("n",))) == set(ids[5:]) | set(ids[:3])


def test_an_entry_that_is_restored_again_and_again_is_found_once(
    store: SqliteStore, writer: SqliteStore, index: VectorIndex
) -> None:
    ids = add(writer, range(3))
    for _ in range(3):
        writer.entries.forget(ids[:1])
        writer.entries.restore(ids[:1])
        assert found(index, QUERY) == truth(store, QUERY, 10)
        assert found(index, QUERY, 10, kinds=("k",)) == truth(store, QUERY, 10)
    assert index.state().newer == 3


def test_filters_exact_and_approximate(
    store: SqliteStore, index: VectorIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, seeds in (("a", range(150)), ("b", range(150, 155)), ("c", range(155, 300))):
        add(store, seeds, name)
    publish(store)
    add(store, range(300, 340), "b")
    for limit in (reader.EXACT_LIMIT, 0):
        monkeypatch.setattr(reader, "EXACT_LIMIT", limit)
        for names in (("a",), ("b",), ("b", "c"), ("x",), ()):
            where = EntryFilter(namespaces=names)
            expected = truth(store, QUERY, 12, where)
            assert found(index, QUERY, 12, namespaces=names) == expected


def test_without_direct_vectors_the_store_is_asked(store: SqliteStore, index: VectorIndex) -> None:
    add(store, range(50))
    publish(store)
    store.database.rows("UPDATE generations SET direct = 0")
    where = EntryFilter(kinds=("k",))
    assert found(index, QUERY, 10, kinds=("k",)) == truth(store, QUERY, 10, where)


def test_new_ones_beyond_those_in_memory_are_found_all_the_same(store: SqliteStore) -> None:
    index = VectorIndex(store, MODEL, DIMENSIONS, delta_limit=10)
    ids = add(store, range(10))
    assert set(found(index, QUERY, 99)) == set(ids)
    publish(store)
    ids += add(store, range(10, 35))
    assert found(index, QUERY, 99) == truth(store, QUERY, 99)
    assert set(found(index, QUERY, 99)) == set(ids)
    assert (index.state().newer, index.state().complete) == (10, True)
    assert set(found(index, QUERY, 99, kinds=("k",))) == set(ids)
    publish(store)
    assert found(index, QUERY, 99) == truth(store, QUERY, 99)
    index.close()


def test_far_too_many_new_ones_are_searched_in_part_and_said_so(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delta, "READ_LIMIT", 5)
    index = VectorIndex(store, MODEL, DIMENSIONS, delta_limit=10)
    ids = add(store, range(15))
    assert set(found(index, QUERY, 99)) == set(ids)
    assert index.state().complete
    ids += add(store, range(15, 25))
    assert set(found(index, QUERY, 99)) == set(ids[-15:])
    assert not index.state().complete
    publish(store)
    assert set(found(index, QUERY, 99)) == set(ids)
    assert index.state().complete
    index.close()


def test_bad_vectors_are_refused_and_the_zero_vector_finds_nothing(
    store: SqliteStore, index: VectorIndex
) -> None:
    add(store, range(5))
    for bad in (np.ones(7), np.ones((2, 8)), np.full(8, np.nan), np.full(8, np.inf)):
        with pytest.raises(InvalidInput):
            index.search(bad.astype(np.float32), 3)
    assert index.search(np.zeros(8, np.float32), 3) == []
    assert index.search(QUERY, 0) == []
    assert len(index.search(QUERY, 10**9)) == 5


def test_a_stored_vector_of_zeros_does_no_harm(store: SqliteStore, index: VectorIndex) -> None:
    store.entries.add([entry(1)], [bytes(2 * DIMENSIONS)], MODEL)
    add(store, range(10, 15))
    publish(store)
    assert len(found(index, QUERY, 10)) == 6


def test_a_generation_of_other_dimensions_is_not_used(store: SqliteStore) -> None:
    add(store, range(20))
    publish(store)
    index = VectorIndex(store, MODEL, 4)
    assert index.search(np.ones(4, np.float32), 5) == []
    assert "dimensions" in index.state().problem
    index.close()


# --- damage while it is used ----------------------------------------------------------------------


def test_a_damaged_new_generation_leaves_the_old_one_serving(
    store: SqliteStore, writer: SqliteStore, generations: Generations, index: VectorIndex
) -> None:
    add(writer, range(60))
    publish(writer)
    assert found(index, QUERY) == truth(store, QUERY, 10)
    add(writer, range(60, 120))
    publish(writer)
    second = os.path.join(generations.directory, "2.ann")
    os.unlink(second)
    assert found(index, QUERY) == truth(store, QUERY, 10)
    assert index.state().generation == 1
    assert "missing" in index.state().problem
    publish(writer)
    assert found(index, QUERY) == truth(store, QUERY, 10)
    assert index.state().generation == 3
    assert not index.state().problem


def test_a_file_that_is_removed_while_mapped_goes_on(
    store: SqliteStore, generations: Generations, index: VectorIndex
) -> None:
    add(store, range(60))
    publish(store)
    found(index, QUERY)
    os.unlink(os.path.join(generations.directory, "1.ann"))
    add(store, range(60, 70))
    assert found(index, QUERY) == truth(store, QUERY, 10)
    assert not index.state().problem


@pytest.mark.parametrize("size", [0, 100, 4096])
def test_a_file_that_is_truncated_while_mapped_is_not_touched_again(
    store: SqliteStore, generations: Generations, index: VectorIndex, size: int
) -> None:
    add(store, range(400))
    publish(store)
    found(index, QUERY)
    path = os.path.join(generations.directory, "1.ann")
    os.chmod(path, 0o600)
    os.truncate(path, size)
    assert found(index, QUERY) == truth(store, QUERY, 10)
    state = index.state()
    assert state.generation is None
    assert state.problem
    assert found(index, QUERY, 10, kinds=("k",)) == truth(store, QUERY, 10)
    publish(store)
    assert found(index, QUERY) == truth(store, QUERY, 10)
    assert index.state().generation == 2


# --- any history ----------------------------------------------------------------------------------


class Histories(RuleBasedStateMachine):
    """Whatever two processes do, and whatever becomes of the files, each answer is the truth."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp(dir=os.environ["PYTEST_HISTORY_DIRECTORY"]))
        self.store = SqliteStore(str(self.directory / "khive.db"))
        self.writer = SqliteStore(self.store.path)
        self.generations = Generations(self.store.path)
        self.index = VectorIndex(self.store, MODEL, DIMENSIONS, delta_limit=10_000)
        self.next = 0

    @rule(count=st.integers(1, 15), own=st.booleans(), namespace=st.sampled_from("ab"))
    def add(self, count: int, own: bool, namespace: str) -> None:
        store = self.store if own else self.writer
        add(store, range(self.next, self.next + count), namespace)
        self.next += count

    @rule(ids=st.sets(st.integers(1, 60)), own=st.booleans())
    def forget(self, ids: set[int], own: bool) -> None:
        (self.store if own else self.writer).entries.forget(sorted(ids))

    @rule(ids=st.sets(st.integers(1, 60)))
    def restore(self, ids: set[int]) -> None:
        self.writer.entries.restore(sorted(ids))

    @precondition(lambda self: self.writer.entries.live_count())
    @rule()
    def publish(self) -> None:
        publish(self.writer)
        self.generations.clean(self.writer.generations)

    @precondition(lambda self: self.writer.generations.current(MODEL) is not None)
    @rule(kind=st.sampled_from(["unlink", "replace", "truncate"]))
    def damage(self, kind: str) -> None:
        row = self.writer.generations.current(MODEL)
        assert row is not None
        path = self.generations.path(row)
        if not os.path.exists(path):
            return
        if kind == "truncate":
            os.chmod(path, 0o600)
            os.truncate(path, row.bytes // 2)
        else:
            os.unlink(path)
        if kind == "replace":
            Path(path).write_bytes(bytes(row.bytes))

    @rule()
    def begin_anew(self) -> None:
        self.index.close()
        self.index = VectorIndex(self.store, MODEL, DIMENSIONS, delta_limit=10_000)

    @invariant()
    def tells_the_truth(self) -> None:
        for where in (EVERYTHING, EntryFilter(namespaces=("a",))):
            expected = truth(self.store, QUERY, 5, where)
            assert [one for one, _ in self.index.search(QUERY, 5, where)] == expected

    def teardown(self) -> None:
        self.index.close()
        self.store.close()
        self.writer.close()


def test_any_history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_HISTORY_DIRECTORY", str(tmp_path))
    from hypothesis.stateful import run_state_machine_as_test

    run_state_machine_as_test(
        Histories,
        settings=settings(
            max_examples=60,
            stateful_step_count=20,
            suppress_health_check=list(HealthCheck),
        ),
    )
