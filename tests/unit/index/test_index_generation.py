"""Generation files: published in the right order, checked before use, removed only when unused."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from annoy import AnnoyIndex

from khive_supervisor.errors import IndexFileError, StoreUnavailable
from khive_supervisor.index.vectors import build as build_module
from khive_supervisor.index.vectors.build import build
from khive_supervisor.index.vectors.generation import Generations
from khive_supervisor.index.vectors.layout import fingerprint, node_bytes
from khive_supervisor.index.vectors.mapped import MappedGeneration, map_current
from khive_supervisor.sqlite.store import SqliteStore
from khive_supervisor.store.model import NewEntry
from khive_supervisor.store.vectors import Generation

MODEL, DIMENSIONS = "model", 8


def vectors(count: int, seed: int = 1) -> list[bytes]:
    rows = np.random.default_rng(seed).normal(size=(count, DIMENSIONS))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return [row.tobytes() for row in rows.astype("<f2")]


def fill(store: SqliteStore, count: int, name: str = "e") -> list[int]:
    entries = [NewEntry("memory", "n", "k", name, str(number)) for number in range(count)]
    return [one.id for one in store.entries.add(entries, vectors(count, len(name)), MODEL)]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    with SqliteStore(str(tmp_path / "khive.db")) as opened:
        yield opened


@pytest.fixture
def generations(store: SqliteStore) -> Generations:
    return Generations(store.path)


@pytest.fixture
def row(store: SqliteStore, generations: Generations) -> Generation:
    fill(store, 60)
    return made(store, generations)


def made(store: SqliteStore, generations: Generations, trees: int = 3) -> Generation:
    row = build(store, generations, MODEL, DIMENSIONS, trees=trees, clock=lambda: 5.0)
    assert row is not None
    return row


def names(generations: Generations) -> set[str]:
    return {name for name in os.listdir(generations.directory) if not name.startswith(".")}


def test_what_is_published_is_what_is_there(
    store: SqliteStore, generations: Generations, row: Generation
) -> None:
    path = generations.path(row)
    assert store.generations.current(MODEL) == row
    assert (row.generation, row.items, row.trees, row.max_entry_id) == (1, 60, 3, 60)
    assert row.bytes == os.stat(path).st_size
    assert row.direct
    assert os.stat(path).st_mode & 0o777 == 0o400
    assert os.stat(generations.directory).st_mode & 0o777 == 0o700
    generations.verify(row)
    assert names(generations) == {"1.ann", "1.slots", "1.words"}


def test_the_steps_of_publishing_are_in_their_order(
    store: SqliteStore, generations: Generations, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(store, 5)
    steps: list[str] = []

    def record(name: str, real: Callable[..., object]) -> Callable[..., object]:
        def call(*args: object) -> object:
            steps.append(name)
            return real(*args)

        return call

    def sync(descriptor: int) -> None:
        kind = "directory" if os.path.isdir(f"/dev/fd/{descriptor}") else "file"
        steps.append(f"sync {kind}")

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(os, "rename", record("rename", os.rename))
    monkeypatch.setattr(store.generations, "publish", record("row", store.generations.publish))
    made(store, generations)
    # The slots and the words first; the row makes all of it current at once.
    assert steps == [*["sync file", "rename"] * 3, "sync directory", "row"]


def test_equal_vectors_make_equal_files(store: SqliteStore, generations: Generations) -> None:
    fill(store, 300)
    first, second = made(store, generations), made(store, generations)
    assert first.sha256 == second.sha256
    assert second.generation == 2


def test_nothing_is_built_of_nothing(store: SqliteStore, generations: Generations) -> None:
    assert build(store, generations, MODEL, DIMENSIONS) is None
    fill(store, 2)
    store.entries.forget([1, 2])
    assert build(store, generations, MODEL, DIMENSIONS) is None
    assert map_current(store.generations, MODEL, generations) is None


@pytest.mark.parametrize("count", [1, 2, 3, 9, 10, 11, 12, 50])
def test_any_number_of_items_will_do(
    store: SqliteStore, generations: Generations, count: int
) -> None:
    ids = fill(store, count)
    made(store, generations, trees=4)
    mapped = map_current(store.generations, MODEL, generations)
    assert mapped is not None
    query = np.frombuffer(vectors(count)[0], "<f2").astype(np.float32)
    assert {item for item, _ in mapped.nearest(query, count, 10_000)} == set(ids)
    mapped.close()
    mapped.close()


def test_gaps_are_no_items(store: SqliteStore, generations: Generations) -> None:
    fill(store, 40)
    store.entries.forget([1, 2, 17, 40])
    row = made(store, generations)
    assert (row.items, row.max_entry_id) == (36, 39)
    mapped = MappedGeneration(generations, row)
    query = np.ones(DIMENSIONS, np.float32)
    assert {item for item, _ in mapped.nearest(query, 100, 10_000)}.isdisjoint({1, 2, 17, 40})
    present, _ = mapped.cosines(query, np.array([-5, 0, 1, 3, 17, 39, 40, 2**40]))
    assert present.tolist() == [3, 39]
    mapped.close()


def test_vectors_of_another_length_are_not_built(
    store: SqliteStore, generations: Generations
) -> None:
    store.entries.add([NewEntry("memory", "n", "k", "t", "c")], [b"\0\0" * 4], MODEL)
    with pytest.raises(IndexFileError, match="4 numbers"):
        build(store, generations, MODEL, DIMENSIONS)


def test_no_room_is_said_before_and_after(
    store: SqliteStore, generations: Generations, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(store, 5)
    generations.prepare()
    with monkeypatch.context() as patch:
        none = os.statvfs_result((1, 1, 0, 0, 0, 0, 0, 0, 0, 255))
        patch.setattr(os, "statvfs", lambda path: none)
        with pytest.raises(StoreUnavailable, match="MB left"):
            made(store, generations)
    place, failed = "/nowhere/x.ann.tmp", pytest.raises(StoreUnavailable, match="cannot be written")
    with failed, build_module._no_room(place):
        AnnoyIndex(4, "angular").save(place)
    assert store.generations.all() == []


# --- damage -----------------------------------------------------------------------------------


def overwrite(path: str, data: bytes) -> None:
    """Put other bytes in the place of a file, as a new file."""
    os.unlink(path)
    Path(path).write_bytes(data)


def truncated(path: str) -> None:
    overwrite(path, Path(path).read_bytes()[:-1])


def a_node_short(path: str) -> None:
    overwrite(path, Path(path).read_bytes()[: -node_bytes(DIMENSIONS)])


def emptied(path: str) -> None:
    overwrite(path, b"")


def missing(path: str) -> None:
    os.unlink(path)


def a_directory(path: str) -> None:
    os.unlink(path)
    os.mkdir(path)


def a_pipe(path: str) -> None:
    os.unlink(path)
    os.mkfifo(path)


def a_dangling_link(path: str) -> None:
    os.unlink(path)
    os.symlink("/nowhere/at/all", path)


def zeroed(path: str) -> None:
    overwrite(path, bytes(os.stat(path).st_size))


def foreign(path: str) -> None:
    overwrite(path, os.urandom(os.stat(path).st_size))


def of_huge_numbers(path: str) -> None:
    overwrite(path, b"\xff\xff\xff\x7f" * (os.stat(path).st_size // 4))


DAMAGES = [
    truncated, a_node_short, emptied, missing, a_directory, a_pipe, a_dangling_link, zeroed,
    foreign, of_huge_numbers,
]  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_not_mapped(
    store: SqliteStore,
    generations: Generations,
    row: Generation,
    damage: Callable[[str], None],
) -> None:
    damage(generations.path(row))
    with pytest.raises(IndexFileError):
        map_current(store.generations, MODEL, generations)
    with pytest.raises(IndexFileError) as caught:
        generations.verify(row)
    assert caught.value.hint


def test_a_file_of_equal_size_from_another_generation_is_not_mapped(
    store: SqliteStore, generations: Generations, row: Generation
) -> None:
    first = np.fromfile(generations.path(row), np.uint8)
    node = node_bytes(DIMENSIONS)
    first[node * 5 + 12 : node * 6] = first[node * 6 + 12 : node * 7]
    overwrite(generations.path(row), first.tobytes())
    with pytest.raises(IndexFileError, match="not the published one"):
        map_current(store.generations, MODEL, generations)


def test_every_flipped_bit_is_found_by_verify(generations: Generations, row: Generation) -> None:
    path = generations.path(row)
    good = Path(path).read_bytes()
    for place in np.random.default_rng(3).integers(0, len(good), 60):
        bad = bytearray(good)
        bad[place] ^= 1 << int(place) % 8
        overwrite(path, bytes(bad))
        with pytest.raises(IndexFileError):
            generations.verify(row)
    overwrite(path, good)
    generations.verify(row)


def test_roots_that_lead_outside_are_not_followed(
    store: SqliteStore, generations: Generations, row: Generation
) -> None:
    # The row agrees with the bytes: only the geometry is wrong.
    path = generations.path(row)
    data = bytearray(Path(path).read_bytes())
    data[-node_bytes(DIMENSIONS) + 4 : -node_bytes(DIMENSIONS) + 8] = b"\xff\xff\xff\x7f"
    overwrite(path, bytes(data))
    descriptor = os.open(path, os.O_RDONLY)
    false_row = replace(row, fingerprint=fingerprint(descriptor))
    os.close(descriptor)
    with pytest.raises(IndexFileError, match="roots"):
        MappedGeneration(generations, false_row)
    with pytest.raises(IndexFileError, match="metric"):
        MappedGeneration(generations, replace(row, metric="dot"))
    with pytest.raises(IndexFileError):
        MappedGeneration(generations, replace(false_row, dimensions=3))


# --- locks and cleaning ---------------------------------------------------------------------------


def test_there_is_one_builder(generations: Generations) -> None:
    with generations.builder_lock() as first:
        assert first
        with generations.builder_lock() as second:
            assert not second
    with generations.builder_lock() as again:
        assert again


def test_a_killed_builder_leaves_no_lock(generations: Generations) -> None:
    code = (
        "import sys, signal\n"
        "from khive_supervisor.index.vectors.generation import Generations\n"
        "with Generations(sys.argv[1]).builder_lock() as mine:\n"
        "    print(mine, flush=True)\n"
        "    signal.pause()\n"
    )
    root = str(Path(__file__).parents[3])
    process = subprocess.Popen(
        [sys.executable, "-c", code, generations.store_path],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": root},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"True\n"
    with generations.builder_lock() as mine:
        assert not mine
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    with generations.builder_lock() as mine:
        assert mine


def test_what_is_mapped_stays_and_the_rest_goes(
    store: SqliteStore, generations: Generations, row: Generation
) -> None:
    used = MappedGeneration(generations, row)
    made(store, generations)
    made(store, generations)
    for name in ("9.ann", "4.ann.tmp"):
        Path(generations.directory, name).write_bytes(b"rubbish")
    for name in ("notes.txt", "x.ann", "5.ann.tmp.old"):
        Path(generations.directory, name).write_bytes(b"not ours")
    assert generations.clean(store.generations) == [
        "2.ann", "2.slots", "2.words", "4.ann.tmp", "9.ann",
    ]  # fmt: skip
    kept = {f"{number}.{part}" for number in (1, 3) for part in ("ann", "slots", "words")}
    assert names(generations) == kept | {"notes.txt", "x.ann", "5.ann.tmp.old"}
    assert [one.generation for one in store.generations.all()] == [1, 3]
    used.close()
    assert generations.clean(store.generations) == ["1.ann", "1.slots", "1.words"]
    assert [one.generation for one in store.generations.all()] == [3]
    assert generations.clean(store.generations) == []


def test_a_row_whose_file_has_gone_is_removed(
    store: SqliteStore, generations: Generations, row: Generation
) -> None:
    made(store, generations)
    os.unlink(generations.path(row))
    assert generations.clean(store.generations) == ["1.slots", "1.words"]
    assert [one.generation for one in store.generations.all()] == [2]


def test_a_reader_that_comes_too_late_takes_the_next(
    store: SqliteStore, generations: Generations, row: Generation, monkeypatch: pytest.MonkeyPatch
) -> None:
    newer = made(store, generations)
    generations.clean(store.generations)
    answers = [row, newer]
    monkeypatch.setattr(store.generations, "current", lambda model: answers.pop(0))
    mapped = map_current(store.generations, MODEL, generations)
    assert mapped is not None
    assert mapped.row == newer
    mapped.close()


def test_a_forked_child_keeps_the_file_in_use(
    store: SqliteStore, generations: Generations, row: Generation
) -> None:
    mapped = MappedGeneration(generations, row)
    made(store, generations)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(writing)
        os.read(reading, 1)
        found = mapped.nearest(np.ones(DIMENSIONS, np.float32), 3, 100)
        os._exit(0 if len(found) == 3 else 1)
    os.close(reading)
    mapped.close()
    assert generations.clean(store.generations) == []
    os.close(writing)
    assert os.waitpid(child, 0)[1] == 0
    assert generations.clean(store.generations) == ["1.ann", "1.slots", "1.words"]
