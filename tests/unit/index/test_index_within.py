"""The sketch of what passes a filter: as near as exact search, whatever became of the entries."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from khive_supervisor.index.vectors import reader
from khive_supervisor.index.vectors.build import build
from khive_supervisor.index.vectors.generation import Generations
from khive_supervisor.index.vectors.reader import VectorIndex
from khive_supervisor.sqlite.store import SqliteStore
from khive_supervisor.store.model import EntryFilter, NewEntry

DIMENSIONS, COUNT, NEWER = 256, 1600, 60


def vectors() -> NDArray[np.float32]:
    draw = np.random.default_rng(11)
    centres = draw.normal(size=(40, DIMENSIONS)) + 0.5
    count = COUNT + NEWER
    data = centres[np.arange(count) % 40] + draw.normal(size=(count, DIMENSIONS))
    data = (data / np.linalg.norm(data, axis=1, keepdims=True)).astype("<f2").astype(np.float32)
    return data / np.linalg.norm(data, axis=1, keepdims=True)


def exact(
    store: SqliteStore, data: NDArray[np.float32], query: NDArray[np.float32], where: EntryFilter
) -> list[int]:
    """The ids that pass, best first: an entry's id is its row's number from 1."""
    passed = store.entries.filter_ids(list(range(1, len(data) + 1)), where)
    return [i + 1 for i in np.argsort(-(data @ query)).tolist() if i + 1 in passed]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with two thirds of its entries in `a`, of which a generation is older than some."""
    path = tmp_path_factory.mktemp("within") / "khive.db"
    data = vectors()
    entries = [
        NewEntry("memory", "b" if i % 3 == 0 else "a", "k", "", f"text {i}")
        for i in range(COUNT + NEWER)
    ]
    raw = [row.astype("<f2").tobytes() for row in data]
    with SqliteStore(str(path)) as store:
        store.entries.add(entries[:COUNT], raw[:COUNT], "m")
        store.entries.forget(range(1, 200))
        assert build(store, Generations(str(path)), "m", DIMENSIONS, trees=5) is not None
        store.entries.restore(range(1, 100))
        store.entries.forget(range(300, 500))
        store.entries.add(entries[COUNT:], raw[COUNT:], "m")
    return path


@pytest.mark.parametrize("fewest", [0, 10**6])
@pytest.mark.parametrize("few", [reader.EXACT_LIMIT, 0])
@pytest.mark.parametrize("names", [("a",), ("b",), ("a", "b"), ("x",)])
def test_what_passes_is_found_as_by_exact_search(
    place: Path, names: tuple[str, ...], few: int, fewest: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "EXACT_LIMIT", few)
    monkeypatch.setattr(reader, "_EXACT_BESIDE_SKETCH", fewest)
    data, where = vectors(), EntryFilter(namespaces=names)
    with SqliteStore(str(place)) as store:
        index = VectorIndex(store, "m", DIMENSIONS)
        for number in (5, 50, 350, 800, COUNT + 7):
            wanted = exact(store, data, data[number], where)
            found = index.search(data[number], 10, where)
            assert [one for one, _ in found] == wanted[:10]
            assert [cosine for _, cosine in found] == pytest.approx(
                [float(data[one - 1] @ data[number]) for one in wanted[:10]], abs=1e-4
            )
        assert {one for one, _ in index.search(data[0], COUNT * 2, where)} == set(wanted)
        index.close()


def test_what_changes_between_two_searches_counts_in_the_next(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "_EXACT_BESIDE_SKETCH", 0)
    data, where = vectors(), EntryFilter(namespaces=("a",))
    with SqliteStore(str(place)) as store, SqliteStore(str(place)) as writer:
        index = VectorIndex(store, "m", DIMENSIONS)
        best = [one for one, _ in index.search(data[700], 5, where)]
        writer.entries.forget(best[:2])
        assert [one for one, _ in index.search(data[700], 3, where)] == best[2:]
        writer.entries.restore(best[:2])
        assert [one for one, _ in index.search(data[700], 5, where)] == best
        index.close()
