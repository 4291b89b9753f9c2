"""Killed writers, full disks, and readers while the index is replaced: nothing is lost or wrong."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from khive_supervisor.index.vectors.build import build
from khive_supervisor.index.vectors.generation import Generations
from khive_supervisor.sqlite.store import SqliteStore
from khive_supervisor.store.model import NewEntry

ROOT = Path(__file__).parents[2]
CHILD = str(Path(__file__).with_name("store_child.py"))
MODEL, DIMENSIONS = "model", 16

Process = subprocess.Popen[bytes]


def start(*arguments: str, before: tuple[str, ...] = ()) -> Process:
    return subprocess.Popen(
        [*before, sys.executable, CHILD, *arguments],
        # Unbuffered: `communicate` would not see what `readline` has read ahead.
        bufsize=0,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"},
    )


@contextmanager
def ended(process: Process) -> Iterator[None]:
    """Whatever the test does, its process and pipes are gone afterwards."""
    try:
        yield
    finally:
        process.kill()
        process.communicate()


class Ledger:
    """What a writer has acknowledged: the last word on each entry."""

    def __init__(self) -> None:
        self.live: dict[int, bool] = {}

    def take(self, output: bytes) -> int:
        """Read a killed writer's lines; how many. A line that has no end was not said."""
        lines = output.split(b"\n")[:-1]
        for line in lines:
            word, *ids = line.split()
            self.live |= {int(one): word == b"live" for one in ids}
        return len(lines)

    def check(self, store: SqliteStore, started: int) -> None:
        """Everything acknowledged is there, and no more than one step of each writer besides."""
        found = {entry.id: entry.live for entry in store.entries.page(0, 10**6)}
        differing = {one for one, live in self.live.items() if found.get(one) != live}
        assert differing <= set(found), "an acknowledged entry is lost"
        # A step that was durable but whose line was not written in time kills at most one entry.
        assert len(differing) <= started
        assert all(self.live[one] and not found[one] for one in differing)
        assert store.quick_check() == []
        without = store.vectors.missing(MODEL, 10**6)
        assert all(entry.title.startswith("title -") for entry in without)


def test_what_was_acknowledged_survives_kill_9(tmp_path: Path) -> None:
    path = str(tmp_path / "khive.db")
    ledger, chance, said = Ledger(), random.Random(1), 0
    for round_number in range(1, 21):
        process = start("write", path, f"only {round_number}")
        with ended(process):
            assert process.stdout is not None
            first = process.stdout.readline()
            rest = b"".join(process.stdout.readline() for _ in range(chance.randrange(40)))
            process.kill()
            output, errors = process.communicate()
        assert errors == b""
        said += ledger.take(first + rest + output)
        with SqliteStore(path) as store:
            ledger.check(store, round_number)
    assert said > 200


def test_two_writers_lose_nothing_and_one_outlives_the_other(tmp_path: Path) -> None:
    path = str(tmp_path / "khive.db")
    SqliteStore(path).close()
    ledger = Ledger()
    for round_number in range(1, 6):
        one, two = (start("write", path, f"{name} {round_number}") for name in ("one", "two"))
        with ended(one), ended(two):
            assert one.stdout is not None
            assert two.stdout is not None
            taken = [one.stdout.readline() for _ in range(20)]
            one.kill()
            output, _ = one.communicate()
            # The other goes on, whatever the first one held when it died.
            other = [two.stdout.readline() for _ in range(60)]
            two.kill()
            rest, errors = two.communicate()
        assert errors == b""
        ledger.take(b"".join(taken) + output)
        ledger.take(b"".join(other) + rest)
        with SqliteStore(path) as store:
            ledger.check(store, 2 * round_number)
            assert len(store.entries.namespaces()) == 2 * round_number


def small_disk(directory: Path) -> tuple[str, ...]:
    """A command's prefix that gives it a disk of two megabytes, or () where none can be mounted."""
    directory.mkdir()
    script = 'mount -t tmpfs -o size=2m small "$0" && exec "$@"'
    for how in (["--mount"], ["--user", "--map-root-user", "--mount"]):
        prefix = ("unshare", *how, "sh", "-c", script, str(directory))
        try:
            tried = subprocess.run([*prefix, "true"], capture_output=True)
        except FileNotFoundError:
            continue
        if tried.returncode == 0:
            return prefix
    return ()


@pytest.mark.parametrize("means", ["disk", "limit"])
def test_a_full_disk_refuses_writes_keeps_reads_and_recovers(tmp_path: Path, means: str) -> None:
    directory = tmp_path / "disk"
    prefix = small_disk(directory) if means == "disk" else ()
    directory.mkdir(exist_ok=True)
    limit = "" if prefix else "1500000"
    process = start("fill", str(directory / "khive.db"), limit, before=prefix)
    output, errors = process.communicate()
    assert (process.returncode, errors) == (0, b"")
    words = output.split()
    assert words[0] == b"full"
    assert words[-2] == b"done"
    assert int(words[-1]) > 3


def add(store: SqliteStore, rows: np.ndarray, name: str) -> list[int]:
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    entries = [NewEntry("memory", "n", "k", name, str(n)) for n in range(len(rows))]
    added = store.entries.add(entries, [row.astype("<f2").tobytes() for row in rows], MODEL)
    return [one.id for one in added]


@pytest.mark.long
def test_readers_during_a_hundred_publishes_are_right_and_survive(tmp_path: Path) -> None:
    """Old files are removed as soon as nobody maps them, while readers go from one to the next."""
    chance = np.random.default_rng(5)
    with SqliteStore(str(tmp_path / "khive.db")) as store:
        generations = Generations(store.path)
        near = np.eye(DIMENSIONS)[:1] + np.arange(5)[:, None] * np.eye(DIMENSIONS)[1:2] * 0.1
        wanted = add(store, near, "near")
        readers = [start("read", store.path, ",".join(map(str, wanted))) for _ in range(4)]
        for reader in readers:
            assert reader.stdout is not None
            assert reader.stdout.readline() == b"ready\n"
        for number in range(100):
            far = chance.normal(size=(20, DIMENSIONS))
            far[:, 0] = -np.abs(far[:, 0])
            ids = add(store, far, f"far {number}")
            store.entries.forget(ids[:3])
            assert build(store, generations, MODEL, DIMENSIONS, trees=3) is not None
            generations.clean(store.generations)
        for reader in readers:
            output, errors = reader.communicate()
            assert (reader.returncode, errors) == (0, b"")
            word, searches, seen = output.split()
            assert word == b"searched"
            assert int(searches) > 50
            assert int(seen) > 5
        generations.clean(store.generations)
        left = [name for name in os.listdir(generations.directory) if name.endswith(".ann")]
        assert left == ["100.ann"]
