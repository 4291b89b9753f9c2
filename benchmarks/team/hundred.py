"""A hundred nodes of a team: what each write costs the server and those that are told of it."""

from __future__ import annotations

import multiprocessing
import os
import selectors
import tempfile
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

from benchmarks.core.context import Context
from benchmarks.core.processes import processor_seconds
from benchmarks.core.report import Row, Sample
from benchmarks.team.nodes import Node, Postgres, nodes, postgres
from benchmarks.team.shared import add, connected, driver_is_missing

#: Nodes that only listen and read what was written; processes that they are spread over.
LISTENERS, PROCESSES = 100, 4
#: Writes a second of the one node that writes, and for how many seconds.
PACE, SECONDS = 0.05, 20.0


def measure(context: Context) -> list[Row]:
    """The row of a hundred nodes, beside the same without them."""
    if missing := driver_is_missing():
        return missing
    seconds = 5.0 if context.quick else SECONDS
    with (
        tempfile.TemporaryDirectory(prefix="kt", dir="/tmp") as name,
        postgres() as server,
        nodes(server.url, 1, Path(name)) as (node,),
    ):
        alone, quiet, _ = _write(server, node, seconds, ())
        listeners = _begin(server.url)
        pids = [process.pid for _, process in listeners if process.pid is not None]
        beside, busy, told = _write(server, node, seconds, pids)
        late = _end(listeners)
    writes = len(beside.values)
    server_busy, server_alone = 1000 * busy / writes, 1000 * quiet / len(alone.values)
    each = 1000 * told / writes / LISTENERS
    return [
        Row(
            what=f"one node writes {1 / PACE:.0f} times a second at most, and {LISTENERS} others "
            "are told and read each change",
            target="measured",
            khive=f"{beside.show('ms', 50, 99)} a write; told after {late.show('ms', 50, 99)}",
            peers=(f"without the others: {alone.show('ms', 50, 99)}",),
            notes=(
                f"Processor of the server: {server_busy:.2f} ms a write, alone {server_alone:.2f}.",
                f"Each of the others, which have no replica to apply it to: {each:.3f} ms a write.",
            ),
            data={"beside": beside.as_dict(), "alone": alone.as_dict(), "late": late.as_dict()},
        )
    ]


def _write(
    server: Postgres, node: Node, seconds: float, others: Sequence[int]
) -> tuple[Sample, float, float]:
    """Return what paced writes took, and what the server's and other processes used meanwhile."""
    used = _used(server)
    told = processor_seconds(others)
    taken, end = [], time.perf_counter() + seconds
    with node.open() as store:
        while (began := time.perf_counter()) < end:
            taken.append(add(store, f"note {began} {time.time()}") * 1000)
            time.sleep(max(0.0, PACE - (time.perf_counter() - began)))
        time.sleep(0.2)
        after = _used(server)
        spent = sum(seconds - used.get(pid, 0.0) for pid, seconds in after.items())
    return Sample(tuple(taken)), spent, processor_seconds(others) - told


def _used(server: Postgres) -> dict[int, float]:
    """Return what each process of a server has used so far."""
    children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text(encoding="ascii")
    return {int(pid): processor_seconds([int(pid)]) for pid in (*children.split(), server.pid)}


def _begin(url: str) -> list[tuple[Connection, SpawnProcess]]:
    spawn = multiprocessing.get_context("spawn")
    found = []
    for _ in range(PROCESSES):
        ours, theirs = spawn.Pipe()
        process = spawn.Process(target=_listen, args=(url, LISTENERS // PROCESSES, theirs))
        process.start()
        found.append((ours, process))
    for pipe, _ in found:
        pipe.recv()
    return found


def _end(listeners: Sequence[tuple[Connection, SpawnProcess]]) -> Sample:
    """Return how late each change was at each listener, in milliseconds."""
    late: list[float] = []
    for pipe, process in listeners:
        pipe.send("end")
        late += pipe.recv()
        process.join()
    return Sample(tuple(late))


def _listen(url: str, count: int, pipe: Connection) -> None:
    """Be so many nodes that are told of changes and read them; say how late each one came."""
    late: list[float] = []
    selector = selectors.DefaultSelector()
    for _ in range(count):
        connection = connected(url)
        connection.execute("LISTEN khive")
        (here,) = connection.execute("SELECT number FROM khive.head").fetchone()
        selector.register(connection.fileno(), selectors.EVENT_READ, [connection, int(here)])
    selector.register(pipe, selectors.EVENT_READ)
    pipe.send(os.getpid())
    while True:
        for key, _ in selector.select():
            if key.data is None:
                pipe.send(late)
                return
            _take(key.data, late)


def _take(listener: list[Any], late: list[float]) -> None:
    """Read what is newer, if something was told."""
    connection, here = listener
    if not list(connection.notifies(timeout=0)):
        return
    rows = connection.execute(
        "SELECT number, changes, extract(epoch FROM at)::float8 FROM khive.log WHERE number > %s "
        "ORDER BY number", (here,),
    ).fetchall()  # fmt: skip
    now = time.time()
    for number, _, at in rows:
        if number > listener[1]:  # of its parts, the first
            late.append((now - at) * 1000)
            listener[1] = number
