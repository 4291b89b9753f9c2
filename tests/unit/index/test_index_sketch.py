"""The sketch: quick, near enough, and never trusted blindly."""

from __future__ import annotations

import os
from dataclasses import replace as changed
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from khive_supervisor.errors import IndexFileError
from khive_supervisor.index.vectors.build import build
from khive_supervisor.index.vectors.generation import Generations
from khive_supervisor.index.vectors.layout import nodes
from khive_supervisor.index.vectors.mapped import MappedGeneration
from khive_supervisor.index.vectors.reader import VectorIndex
from khive_supervisor.index.vectors.sketch import Sketch, worth_it, write
from khive_supervisor.sqlite.store import SqliteStore
from khive_supervisor.store.model import EntryFilter, NewEntry
from khive_supervisor.store.vectors import Generation

DIMENSIONS, COUNT = 300, 3000


def vectors() -> NDArray[np.float32]:
    """Unit vectors in groups, with a mean that is not zero, as those of a model are."""
    draw = np.random.default_rng(5)
    centres = draw.normal(size=(60, DIMENSIONS)) + 0.5
    data = centres[np.arange(COUNT) % 60] + draw.normal(size=(COUNT, DIMENSIONS))
    return (data / np.linalg.norm(data, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Generation]:
    path = tmp_path_factory.mktemp("sketch") / "k.db"
    with SqliteStore(str(path)) as store:
        entries = [NewEntry("knowledge", f"n{i % 2}", "document", "", str(i)) for i in range(COUNT)]
        store.entries.add(entries, [v.astype("<f2").tobytes() for v in vectors()], "m")
        store.entries.forget(range(1, 40))
        row = build(store, Generations(str(path)), "m", DIMENSIONS, trees=5)
    assert row is not None
    return path, row


def test_a_scan_finds_what_exact_search_finds(built: tuple[Path, Generation]) -> None:
    path, _ = built
    whole = vectors().astype(np.float16).astype(np.float32)
    with SqliteStore(str(path)) as store:
        index = VectorIndex(store, "m", DIMENSIONS)
        for number in range(50, 80):
            query = whole[number]
            exact = [i + 1 for i in np.argsort(-(whole @ query)).tolist() if i >= 39][:10]
            found = index.search(query, 10)
            assert len(set(exact) & {i for i, _ in found}) >= 9
            assert found[0] == (number + 1, pytest.approx(1.0, abs=1e-3))
            assert len(index.search(query, 3000, EntryFilter(namespaces=("n0",)))) == 1480
        assert len(index.search(whole[60], COUNT)) == COUNT - 39
        index.close()


def test_the_files_are_verified_and_removed_together(built: tuple[Path, Generation]) -> None:
    path, row = built
    generations = Generations(str(path))
    sketch = generations.sketch(row)
    generations.verify(row)
    original = Path(sketch).read_bytes()
    for damaged in (original[:-4] + b"\0\0\0\1", original[:200]):
        replace(sketch, damaged)
        if len(damaged) == len(original):
            with pytest.raises(IndexFileError, match="sketch"):
                generations.verify(row)
    replace(sketch, original)
    generations.verify(row)


def replace(path: str, data: bytes) -> None:
    part = path + ".part"
    Path(part).write_bytes(data)
    os.replace(part, path)


@pytest.mark.parametrize(
    "content", [b"", b"KHIVESK3", b"KHIVESK2" + b"x" * 5000, b"x" * 5000, None]
)
def test_without_a_sketch_of_its_own_the_trees_serve(
    built: tuple[Path, Generation], content: bytes | None
) -> None:
    path, row = built
    generations = Generations(str(path))
    place = generations.sketch(row)
    original = Path(place).read_bytes()
    try:
        os.unlink(place) if content is None else replace(place, content)
        mapped = MappedGeneration(generations, row)
        assert not mapped.has_sketch
        mapped.close()
        with SqliteStore(str(path)) as store:
            index = VectorIndex(store, "m", DIMENSIONS)
            assert index.search(vectors()[100], 1)[0][0] == 101
            assert index.state().problem == ""
            index.close()
    finally:
        replace(place, original)


def test_a_sketch_that_shrinks_while_it_is_in_use_is_let_go(
    built: tuple[Path, Generation],
) -> None:
    path, row = built
    place = Generations(str(path)).sketch(row)
    original = Path(place).read_bytes()
    try:
        with SqliteStore(str(path)) as store:
            index = VectorIndex(store, "m", DIMENSIONS)
            assert index.search(vectors()[100], 1)[0][0] == 101
            os.chmod(place, 0o600)
            os.truncate(place, 100)
            assert index.search(vectors()[100], 1)[0][0] == 101
            index.close()
    finally:
        replace(place, original)


def test_a_sketch_of_another_generation_is_refused(built: tuple[Path, Generation]) -> None:
    path, row = built
    place = Generations(str(path)).sketch(row)
    with pytest.raises(IndexFileError, match="not the sketch"):
        Sketch(place, changed(row, sha256="00" * 32))


@pytest.mark.parametrize("wrong", [-1, COUNT + 1, 2**31 - 1])
def test_a_sketch_with_items_that_its_generation_has_not_is_refused(
    built: tuple[Path, Generation], wrong: int
) -> None:
    path, row = built
    place = Generations(str(path)).sketch(row)
    original = Path(place).read_bytes()
    try:
        replace(place, original[:-4] + wrong.to_bytes(4, "little", signed=True))
        with pytest.raises(IndexFileError, match="items that its generation has not"):
            Sketch(place, row)
    finally:
        replace(place, original)


@pytest.mark.parametrize("byte", [b"\0", b"\xff", b"\x7f"])
def test_damaged_numbers_never_name_an_item_that_there_is_not(
    built: tuple[Path, Generation], byte: bytes
) -> None:
    path, row = built
    place = Generations(str(path)).sketch(row)
    original = Path(place).read_bytes()
    ids = 4 * row.items
    try:
        replace(place, original[:96] + byte * (len(original) - 96 - ids) + original[-ids:])
        sketch = Sketch(place, row)
        with np.errstate(all="ignore"):
            found = sketch.candidates(vectors()[100], 50)
        assert len(set(found.tolist())) == 50
        assert found.min() >= 0
        assert found.max() <= COUNT
        sketch.close()
    finally:
        replace(place, original)


def test_more_than_there_are_is_all_that_there_are(built: tuple[Path, Generation]) -> None:
    path, row = built
    sketch = Sketch(Generations(str(path)).sketch(row), row)
    assert sorted(sketch.candidates(vectors()[0], COUNT)) == list(range(row.items))
    assert len(sketch.candidates(vectors()[0], row.items - 1)) > 0.95 * row.items
    sketch.close()


def test_the_same_vectors_give_the_same_sketch(
    built: tuple[Path, Generation], tmp_path: Path
) -> None:
    path, row = built
    generations = Generations(str(path))
    descriptor = os.open(generations.path(row), os.O_RDONLY)
    slots = nodes(descriptor, DIMENSIONS)[: row.slots]
    again = tmp_path / "again"
    write(str(again), row, slots["vector"], np.arange(row.slots))
    os.close(descriptor)
    assert again.read_bytes() == Path(generations.sketch(row)).read_bytes()


@pytest.mark.parametrize("count", [1, 2, 40])
def test_a_sketch_of_few_items_finds_them(
    built: tuple[Path, Generation], tmp_path: Path, count: int
) -> None:
    row = changed(built[1], metric="angular", max_entry_id=count - 1)
    few = np.repeat(vectors()[:1], count, axis=0)
    write(str(tmp_path / "few"), row, few, np.arange(count))
    sketch = Sketch(str(tmp_path / "few"), row)
    assert len(sketch.candidates(few[0], 1)) == 1
    assert sorted(sketch.candidates(few[0], count)) == list(range(count))
    sketch.close()


def test_large_generations_and_small_vectors_have_none() -> None:
    assert worth_it(100_000, 384)
    assert not worth_it(10_000_000, 384)
    assert not worth_it(1000, 64)
