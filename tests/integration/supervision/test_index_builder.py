"""The index builder as a process: embeds, builds, publishes, tidies up, and can be killed."""

from __future__ import annotations

import json
import os
import random
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from khive_workers.index_builder import BuildPlan, Work
from numpy.typing import NDArray

from khive_supervisor import exitcodes
from khive_supervisor.embed.base import Embedder
from khive_supervisor.errors import EmbedderUnavailable, InvalidInput
from khive_supervisor.index.vectors.generation import Generations
from khive_supervisor.index.vectors.reader import VectorIndex
from khive_supervisor.sqlite.store import SqliteStore
from khive_supervisor.store.model import NewEntry

ROOT = Path(__file__).parents[3]
MODEL, DIMENSIONS = "model", 16

Vectors = NDArray[np.float32]


class HashEmbedder:
    """A stand-in of 16 dimensions: equal texts have equal vectors; `fail` may refuse a batch."""

    model_id, dimensions = MODEL, DIMENSIONS

    def __init__(self, fail: Callable[[Sequence[str]], None] = lambda texts: None) -> None:
        self._fail = fail

    def embed(self, texts: Sequence[str]) -> Vectors:
        self._fail(texts)
        rows = [np.random.default_rng(sum(text.encode())).normal(size=16) for text in texts]
        found: Vectors = np.array(rows, np.float32)
        found /= np.linalg.norm(found, axis=1, keepdims=True)
        return found


def fill(store: SqliteStore, count: int, vectors: bool = False) -> None:
    entries = [NewEntry("memory", "n", "k", "title", f"content {n}") for n in range(count)]
    data = HashEmbedder().embed([f"{one.title}\n{one.content}" for one in entries])
    rows = [row.astype("<f2").tobytes() for row in data]
    store.entries.add(entries, rows if vectors else None, MODEL if vectors else None)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    with SqliteStore(str(tmp_path / "khive.db")) as opened:
        yield opened


def work(
    store: SqliteStore, embedder: Embedder | None, events: list[dict[str, Any]], **plan: Any
) -> bool:
    values = {"minimum": 10, "trees": 3} | plan
    return Work(store, BuildPlan(MODEL, DIMENSIONS, **values), embedder, events.append).run()


def kinds(events: list[dict[str, Any]]) -> list[str]:
    return [event["event"] for event in events]


def test_it_embeds_builds_and_has_nothing_left_to_do(store: SqliteStore) -> None:
    fill(store, 70)
    events: list[dict[str, Any]] = []
    assert work(store, HashEmbedder(), events)
    assert kinds(events) == ["embedding"] * 3 + ["building", "published"]
    assert [(e["done"], e["total"]) for e in events[:3]] == [(32, 70), (64, 70), (70, 70)]
    assert (events[-1]["generation"], events[-1]["items"]) == (1, 70)
    again: list[dict[str, Any]] = []
    assert work(store, HashEmbedder(), again)
    assert again == []
    assert work(store, HashEmbedder(), again, force=True)
    assert kinds(again) == ["building", "published", "removed"]


def test_a_few_entries_are_embedded_but_not_built(store: SqliteStore) -> None:
    fill(store, 9)
    events: list[dict[str, Any]] = []
    assert work(store, HashEmbedder(), events)
    assert kinds(events) == ["embedding"]


def test_an_absent_embedder_puts_off_only_the_embedding(store: SqliteStore) -> None:
    fill(store, 20, vectors=True)
    store.entries.add([NewEntry("memory", "n", "k", "t", "new")])

    def away(texts: Sequence[str]) -> None:
        raise EmbedderUnavailable("It is away.")

    for embedder in (None, HashEmbedder(away)):
        events: list[dict[str, Any]] = []
        assert not work(store, embedder, events, force=True)
        assert "waiting" in kinds(events)
        assert "published" in kinds(events)


def test_one_text_that_is_refused_keeps_no_other_from_its_vector(store: SqliteStore) -> None:
    fill(store, 40)

    def refuse(texts: Sequence[str]) -> None:
        if any("content 7" in text for text in texts):
            raise InvalidInput("Not this one.")

    events: list[dict[str, Any]] = []
    assert not work(store, HashEmbedder(refuse), events)
    assert [event["entry"] for event in events if event["event"] == "left_out"] == [8]
    assert store.vectors.stats(MODEL).missing == 1
    assert "published" in kinds(events)


def test_nonsense_of_an_embedder_is_not_stored(store: SqliteStore) -> None:
    fill(store, 3)

    class Nonsense(HashEmbedder):
        def embed(self, texts: Sequence[str]) -> Vectors:
            return np.full((len(texts), 16), np.nan, np.float32)

    assert not work(store, Nonsense(), [])
    assert store.vectors.stats(MODEL).vectors == 0


def test_a_damaged_generation_is_built_again(store: SqliteStore) -> None:
    fill(store, 20)
    work(store, HashEmbedder(), [])
    row = store.generations.current(MODEL)
    assert row is not None
    path = Path(Generations(store.path).path(row))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.unlink()
    path.write_bytes(data)
    events: list[dict[str, Any]] = []
    assert work(store, HashEmbedder(), events)
    assert kinds(events) == ["damaged", "building", "published", "removed"]


def test_a_change_of_model_is_complete_before_the_old_one_goes(store: SqliteStore) -> None:
    fill(store, 20)
    store.vectors.put("old", [(n, b"12") for n in range(1, 21)])

    def away_in_the_middle(texts: Sequence[str]) -> None:
        if store.vectors.stats(MODEL).vectors:
            raise EmbedderUnavailable("It is away.")

    fill(store, 50)
    assert not work(store, HashEmbedder(away_in_the_middle), [])
    assert store.vectors.stats("old").vectors == 20
    events: list[dict[str, Any]] = []
    assert work(store, HashEmbedder(), events)
    assert {"event": "dropped", "vectors": 20} in events
    assert store.vectors.stats(MODEL).other_models == 0


# --- as a process ---------------------------------------------------------------------------------


def start(store: SqliteStore, *options: str, **keywords: Any) -> subprocess.Popen[bytes]:
    argv = [
        sys.executable, "-P", "-m", "khive_workers.index_builder", "--store", store.path,
        "--model-id", MODEL, "--dimensions", str(DIMENSIONS), "--minimum", "10", "--trees", "3",
    ]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'workers'}"}
    return subprocess.Popen([*argv, *options], stdout=subprocess.PIPE, env=environment, **keywords)


def finish(process: subprocess.Popen[bytes]) -> list[dict[str, Any]]:
    output, _ = process.communicate()
    return [json.loads(line) for line in output.splitlines()]


def test_the_process_publishes_and_reports(store: SqliteStore) -> None:
    fill(store, 30, vectors=True)
    process = start(store)
    events = finish(process)
    assert process.returncode == exitcodes.OK
    assert kinds(events) == ["building", "published"]
    index = VectorIndex(store, MODEL, DIMENSIONS)
    query = HashEmbedder().embed(["title\ncontent 3"])[0]
    assert index.search(query, 1)[0][0] == 4
    index.close()


def test_a_second_builder_leaves_at_once(store: SqliteStore) -> None:
    fill(store, 30, vectors=True)
    with Generations(store.path).builder_lock() as mine:
        assert mine
        process = start(store)
        assert finish(process) == [{"event": "busy"}]
        assert process.returncode == exitcodes.TEMPORARY


def test_it_ends_with_its_parent(store: SqliteStore, tmp_path: Path) -> None:
    fill(store, 5)
    ours, theirs = socket.socketpair()
    # An embedder that never answers: only the parent's end can end it.
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(tmp_path / "s"))
    listening.listen()
    process = start(
        store, "--embedder-socket", str(tmp_path / "s"), "--parent-fd", str(theirs.fileno()),
        pass_fds=[theirs.fileno()],
    )  # fmt: skip
    theirs.close()
    connection, _ = listening.accept()
    ours.close()
    assert finish(process) == []
    assert process.returncode == exitcodes.OK
    connection.close()
    listening.close()


def test_a_refused_store_is_an_error_with_its_code(tmp_path: Path) -> None:
    path = tmp_path / "khive.db"
    with SqliteStore(str(path)) as store:
        store.database.rows("PRAGMA user_version = 999")
        process = start(store, stderr=subprocess.PIPE)
        output, errors = process.communicate()
    assert process.returncode == exitcodes.STORE_REFUSED
    assert json.loads(output)["code"] == "store_refused"
    assert b"newer release" in errors


@pytest.mark.long
def test_killed_at_any_instant_it_does_no_harm(store: SqliteStore) -> None:
    """Kill it after a random time, many times over; then let it end, and look at everything."""
    fill(store, 3000, vectors=True)
    assert finish(start(store))[-1]["event"] == "published"
    index = VectorIndex(store, MODEL, DIMENSIONS)
    generations = Generations(store.path)
    query = HashEmbedder().embed(["title\ncontent 77"])[0]
    expected = [one for one, _ in index.search(query, 5)]
    chance = random.Random(4)
    for _ in range(25):
        process = start(store, "--force")
        try:
            # It starts in about 150 ms and is done in about 250.
            process.wait(timeout=chance.uniform(0.1, 0.35))
        except subprocess.TimeoutExpired:
            process.kill()
        process.communicate()
        row = store.generations.current(MODEL)
        assert row is not None
        generations.verify(row)
        assert [one for one, _ in index.search(query, 5)] == expected
        assert not index.state().problem
    finish(start(store, "--force"))
    current = store.generations.current(MODEL)
    assert current is not None
    index.refresh()
    finish(start(store))
    left = {name for name in os.listdir(generations.directory) if not name.startswith(".")}
    parts = ("ann", "slots", "words")
    assert left == {f"{current.generation}.{part}" for part in parts}
    assert [row.generation for row in store.generations.all()] == [current.generation]
    assert store.quick_check() == []
    index.close()
