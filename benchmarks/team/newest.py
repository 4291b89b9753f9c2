"""Reads in strict mode: what one node has acknowledged, looked for at once on another one."""

from __future__ import annotations

import mmap
import multiprocessing
import struct
import tempfile
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from benchmarks.core.context import Context
from benchmarks.core.report import Row, Sample
from benchmarks.team.nodes import Node, nodes, postgres
from benchmarks.team.shared import driver_is_missing
from khive_supervisor.store.model import NewEntry

#: Reads in all, of so many readers; each reader's without waiting, for comparison.
READS, READERS = 200_000, 4
PLAIN = 5_000
#: Seconds between two writes of the writer.
PACE = 0.01
_NUMBER = struct.Struct("q")


def measure(context: Context) -> list[Row]:
    """How many reads were stale, with strict mode and without, and own writes that were missed."""
    if missing := driver_is_missing():
        return missing
    with tempfile.TemporaryDirectory(prefix="kt", dir="/tmp") as name, postgres() as server:
        path = Path(name) / "acknowledged"
        path.write_bytes(_NUMBER.pack(0))
        with nodes(server.url, 2, Path(name)) as (one, two):
            return [_row(_run(one, two, str(path), context.times(READS)))]


@dataclass(frozen=True, slots=True)
class ReadCounts:
    """What came of reads: how many were stale, of how many; milliseconds; of own writes."""

    reads: int
    stale: int
    taken: tuple[float, ...]
    plain: int
    plain_stale: int
    own: int
    own_missed: int
    seconds: float


def _run(one: Node, two: Node, path: str, reads: int) -> ReadCounts:
    spawn = multiprocessing.get_context("spawn")
    end = spawn.Event()
    ours, theirs = spawn.Pipe()
    writer = spawn.Process(
        target=_write, args=(Node(one.home, one.url), path, end, theirs), daemon=True
    )
    writer.start()
    ours.recv()
    began, readers = time.perf_counter(), []
    for _ in range(READERS):
        mine, its = spawn.Pipe()
        args = (Node(two.home, two.url), path, reads // READERS, its)
        process = spawn.Process(target=_read, args=args, daemon=True)
        process.start()
        readers.append((process, mine))
    found = [mine.recv() for _, mine in readers]
    seconds = time.perf_counter() - began
    end.set()
    own, missed = ours.recv()
    for process in (writer, *(process for process, _ in readers)):
        process.join(20)
    stale = sum(strict for strict, _, _ in found)
    taken = tuple(one for _, _, some in found for one in some)
    plain_stale = sum(plain for _, plain, _ in found)
    count = reads // READERS * READERS
    return ReadCounts(count, stale, taken, PLAIN * READERS, plain_stale, own, missed, seconds)


def _write(node: Node, path: str, end: object, pipe: Connection) -> None:
    """Write entries with growing numbers; tell of each once it is acknowledged, and read it."""
    missed = number = 0
    with node.open() as store, open(path, "r+b") as file, mmap.mmap(file.fileno(), 8) as shared:
        while not end.is_set():  # type: ignore[attr-defined]  # an Event, whose type is private
            number += 1
            store.entries.add([NewEntry("memory", "default", "semantic", "", f"note {number}")])
            shared[:] = _NUMBER.pack(number)
            missed += store.entries.recent(limit=1)[0].content != f"note {number}"
            if number == 1:
                pipe.send("ready")
            time.sleep(PACE)
    pipe.send((number, missed))


def _read(node: Node, path: str, count: int, pipe: Connection) -> None:
    """Read; stale is what has not what was acknowledged before the read began."""
    stale, taken = [0, 0], []
    with node.open() as store, open(path, "r+b") as file, mmap.mmap(file.fileno(), 8) as shared:
        for strict, times in ((False, PLAIN), (True, count)):
            for _ in range(times):
                (wanted,) = _NUMBER.unpack(shared[:])
                began = time.perf_counter()
                if strict:
                    store.catch_up()
                newest = store.entries.recent(limit=1)
                if strict:
                    taken.append((time.perf_counter() - began) * 1000)
                found = int(newest[0].content.partition(" ")[2]) if newest else 0
                stale[strict] += found < wanted
    pipe.send((stale[True], stale[False], taken[:: max(1, len(taken) // 5000)]))


def _row(found: ReadCounts) -> Row:
    taken = Sample(found.taken)
    return Row(
        what=f"strict reads on another node, {READERS} readers, beside a writer",
        target="0 stale; own writes read in the next call: 100 %",
        khive=f"{found.stale} of {found.reads:,} stale, {taken.show('ms', 50, 99)}; own writes "
        f"missed: {found.own_missed} of {found.own:,}",
        peers=(f"without waiting: {found.plain_stale} of {found.plain:,} stale",),
        met=found.stale == 0 and found.own_missed == 0,
        notes=(f"{found.seconds:.0f} s; stale: without what was acknowledged before it began.",),
        data={"stale": found.stale, "reads": found.reads, "taken": taken.as_dict()},
    )
