"""Slots: dense whatever the entries' ids are; files of the older form, whose slots are ids."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from annoy import AnnoyIndex
from numpy.typing import NDArray

from khive_supervisor.errors import IndexFileError
from khive_supervisor.index.vectors.build import BuildReason, build, decide
from khive_supervisor.index.vectors.generation import Generations, file_name
from khive_supervisor.index.vectors.layout import METRIC, checksum, fingerprint
from khive_supervisor.index.vectors.mapped import MappedGeneration
from khive_supervisor.index.vectors.reader import VectorIndex
from khive_supervisor.index.vectors.slots import SlotMap
from khive_supervisor.sqlite.store import SqliteStore
from khive_supervisor.store.model import NewEntry
from khive_supervisor.store.vectors import Generation

MODEL, DIMENSIONS = "m", 8
FAR = 5_000_000


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    with SqliteStore(str(tmp_path / "k.db")) as opened:
        yield opened


@pytest.fixture
def generations(store: SqliteStore) -> Generations:
    return Generations(store.path)


def vectors(count: int) -> NDArray[np.float16]:
    data = np.random.default_rng(3).normal(size=(count, DIMENSIONS))
    return (data / np.linalg.norm(data, axis=1, keepdims=True)).astype(np.float16)


def fill(store: SqliteStore, count: int, first: int = 1) -> list[int]:
    """Store entries whose ids begin there; the ids."""
    entries = [NewEntry("knowledge", "n", "document", "", f"{first} {i}") for i in range(count)]
    with store.transaction():
        if first > 1:
            values = {"name": "entries", "seq": first - 1}
            store.database.insert("sqlite_sequence", **values)
        added = store.entries.add(entries, [one.tobytes() for one in vectors(count)], MODEL)
    return [one.id for one in added]


def made(store: SqliteStore, generations: Generations) -> Generation:
    row = build(store, generations, MODEL, DIMENSIONS, trees=4)
    assert row is not None
    return row


def nearest(store: SqliteStore, row: int, count: int = 3) -> list[int]:
    index = VectorIndex(store, MODEL, DIMENSIONS)
    try:
        assert not index.state().problem
        return [one for one, _ in index.search(vectors(200)[row].astype(np.float32), count)]
    finally:
        index.close()


def in_the_older_form(store: SqliteStore, generations: Generations, ids: Sequence[int]) -> None:
    """Publish a generation as releases before this one did: slots are entry ids."""
    generations.prepare()
    annoy = AnnoyIndex(DIMENSIONS, METRIC)
    for one, vector in zip(ids, vectors(len(ids)), strict=True):
        annoy.add_item(one, vector.astype(np.float32))
    annoy.build(4, 1)
    path = generations.temporary(1)
    annoy.save(path)
    with open(path, "rb") as file:
        row = Generation(
            1, MODEL, file_name(1), checksum(file.fileno()), fingerprint(file.fileno()),
            os.path.getsize(path), DIMENSIONS, METRIC, len(ids), annoy.get_n_trees(),
            store.vectors.last_seq(MODEL), max(ids), True, 1.0,
        )  # fmt: skip
    generations.publish(store.generations, row)


def test_ids_far_apart_take_no_room(store: SqliteStore, generations: Generations) -> None:
    ids = fill(store, 200, FAR)
    row = made(store, generations)
    assert (row.items, row.slots, row.max_entry_id) == (200, 200, FAR + 199)
    assert row.bytes < 100_000
    assert nearest(store, 7)[0] == ids[7]
    mapped = MappedGeneration(generations, row)
    query = vectors(200)[7].astype(np.float32)
    found, cosines = mapped.cosines(query, np.array([3, FAR - 1, FAR, FAR + 7, FAR + 200]))
    assert found.tolist() == [FAR, FAR + 7]
    assert cosines[1] == pytest.approx(1.0, abs=1e-3)
    mapped.close()


def test_entries_that_came_back_are_out_of_order(
    store: SqliteStore, generations: Generations
) -> None:
    ids = fill(store, 50)
    store.entries.forget(ids[3:5])
    store.entries.restore([ids[4]])
    row = made(store, generations)
    assert row.items == 49
    slots = SlotMap(generations.slots(row), row)
    assert slots.entries(np.array([0, 48])).tolist() == [ids[0], ids[4]]
    asked = np.array([ids[2], ids[3], ids[4], ids[49], ids[49] + 1, -1])
    assert slots.slots(asked).tolist() == [2, -1, 48, 47, -1, -1]
    slots.close()
    slots.close()
    assert nearest(store, 4)[0] == ids[4]


@pytest.mark.parametrize("how", ["gone", "cut", "another's"])
def test_nothing_is_read_without_knowing_whose_it_is(
    store: SqliteStore, generations: Generations, how: str
) -> None:
    ids = fill(store, 40)
    row = made(store, generations)
    place = generations.slots(row)
    store.entries.forget(ids[-1:])
    other = made(store, generations)
    data = Path(place).read_bytes()
    os.unlink(place)
    if how != "gone":
        others = Path(generations.slots(other)).read_bytes()
        Path(place).write_bytes(data[:-4] if how == "cut" else others)
    with pytest.raises(IndexFileError):
        MappedGeneration(generations, row)
    if how == "gone":
        with pytest.raises(IndexFileError, match="missing"):
            generations.verify(row)
    assert nearest(store, 5)[0] == ids[5]


def test_slots_that_there_are_not_are_refused(store: SqliteStore, generations: Generations) -> None:
    fill(store, 40)
    row = made(store, generations)
    place = generations.slots(row)
    data = Path(place).read_bytes()
    os.unlink(place)
    Path(place).write_bytes(data[:-4] + b"\xff\xff\xff\x7f")
    with pytest.raises(IndexFileError, match="slots"):
        SlotMap(place, row)


def test_a_file_of_the_older_form_is_read_on(store: SqliteStore, generations: Generations) -> None:
    ids = fill(store, 60)
    in_the_older_form(store, generations, ids)
    assert nearest(store, 9)[0] == ids[9]
    row = store.generations.current(MODEL)
    assert row is not None
    assert not row.dense
    generations.verify(row)
    assert decide(store.vectors.stats(MODEL), row, minimum=10) is None
    fresh = made(store, generations)
    assert fresh.dense
    assert nearest(store, 9)[0] == ids[9]


def test_a_file_of_the_older_form_that_is_mostly_holes_is_built_anew(
    store: SqliteStore, generations: Generations
) -> None:
    ids = fill(store, 60, 5000)
    in_the_older_form(store, generations, ids)
    row = store.generations.current(MODEL)
    assert row is not None
    assert decide(store.vectors.stats(MODEL), row) is BuildReason.SPARSE
    assert decide(store.vectors.stats(MODEL), replace(row, metric="angular, dense")) is None
    assert nearest(store, 9)[0] == ids[9]


def test_a_release_that_does_not_know_the_form_maps_nothing(
    store: SqliteStore, generations: Generations
) -> None:
    ids = fill(store, 40)
    row = replace(made(store, generations), metric="angular, of another kind")
    with pytest.raises(IndexFileError, match="metric"):
        MappedGeneration(generations, row)
    assert nearest(store, 5)[0] == ids[5]
