"""A store that several nodes share: what its writes cost, and how soon others have them."""

from __future__ import annotations

import importlib
import importlib.util
import multiprocessing
import os
import tempfile
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from benchmarks.core.context import Context
from benchmarks.core.report import Row, Sample
from benchmarks.team.nodes import Node, nodes, postgres
from khive_supervisor.sqlite.store import SqliteStore
from khive_supervisor.store.model import NewEntry

#: Writes of one writer that are timed; seconds that eight write; entries of a plain store.
WRITES, SECONDS = 400, 5.0
#: Writers, and the nodes that they are spread over.
WRITERS, NODES = 8, 4
#: Seconds between two paced writes.
PACE = 0.02
_VECTOR = 768


def measure(context: Context) -> list[Row]:
    """The rows of a team; each has a server and nodes of its own."""
    if missing := driver_is_missing():
        return missing
    with tempfile.TemporaryDirectory(prefix="kt", dir="/tmp") as name, postgres() as server:
        directory = Path(name)
        rows = [_acknowledged(server.url, directory, context.times(WRITES))]
        rows.append(_searchable(server.url, directory, context.times(WRITES)))
        rows.append(_many(server.url, directory))
    return rows


def driver_is_missing() -> list[Row]:
    """Return what is said where nothing of a team can be measured; empty where it can."""
    if importlib.util.find_spec("psycopg") is not None:
        return []
    why = "not measured: it needs the extra (.venv/bin/pip install '.[postgres]')"
    return [Row(what="a team's store", target="measured", khive=why)]


def connected(url: str) -> Any:
    """Return a connection to the server, by what is an extra for users."""
    return importlib.import_module("psycopg").connect(url, autocommit=True)


def _empty(url: str) -> None:
    with connected(url) as connection:
        connection.execute("DROP SCHEMA IF EXISTS khive CASCADE")


def _entry(text: str) -> NewEntry:
    return NewEntry("memory", "default", "semantic", "", f"{text} {'lorem ipsum dolor ' * 14}")


def add(store: SqliteStore, text: str) -> float:
    """Return the seconds that a write took until it was acknowledged."""
    began = time.perf_counter()
    store.entries.add([_entry(text)], [os.urandom(_VECTOR)], "m")
    return time.perf_counter() - began


def _made(directory: Path, name: str) -> Path:
    made = directory / name
    made.mkdir()
    return made


def _acknowledged(url: str, directory: Path, count: int) -> Row:
    """A write of one node beside a row of the same size that is committed on the same server."""
    _empty(url)
    bare, team = [], []
    with (
        nodes(url, 1, _made(directory, "ack")) as (node,),
        node.open() as store,
        connected(url) as connection,
    ):
        connection.execute("CREATE TABLE IF NOT EXISTS bare (id bigserial, data bytea)")
        for number in range(count):
            team.append(add(store, f"note {number}"))
            began = time.perf_counter()
            connection.execute("INSERT INTO bare (data) VALUES (%s)", (os.urandom(2000),))
            bare.append(time.perf_counter() - began)
    ours, theirs = _sample(team), _sample(bare)
    return Row(
        what="a memory with its vector, acknowledged by a team's server",
        target="p50 at most 3 times a bare commit there",
        khive=ours.show("ms", 50, 99),
        peers=(f"a bare INSERT: {theirs.show('ms', 50, 99)}",),
        met=ours.p50 <= 3 * theirs.p50,
        notes=("Written in turn, on a loopback; the entry's audit and counters are in it.",),
        data={"ours": ours.as_dict(), "bare": theirs.as_dict()},
    )


def _searchable(url: str, directory: Path, count: int) -> Row:
    """Paced writes of a node, until the other one finds them by a word and has their vectors."""
    _empty(url)
    found = []
    with (
        nodes(url, 2, _made(directory, "found")) as (one, two),
        one.open() as writer,
        two.plain() as reader,
    ):
        for number in range(count):
            began = time.perf_counter()
            writer.entries.add([_entry(f"word{number}")], [os.urandom(_VECTOR)], "m")
            while not _is_there(reader, number):
                time.sleep(0.0005)
            found.append(time.perf_counter() - began)
            time.sleep(PACE)
    ours = _sample(found)
    return Row(
        what="written on one node, found by word and with its vector on another",
        target="p50 25 ms, p99 100 ms",
        khive=ours.show("ms", 50, 99),
        met=ours.p50 <= 25 and ours.quantile(0.99) <= 100,
        notes=("From the call of the writer, two nodes, 50 writes a second at most.",),
        data=ours.as_dict(),
    )


def _is_there(store: SqliteStore, number: int) -> bool:
    return bool(store.full_text.match(f"word{number}", 1)) and store.vectors.last_seq("m") > number


def _many(url: str, directory: Path) -> Row:
    """Eight writers on four nodes, without a pause; no number may be missing."""
    _empty(url)
    with nodes(url, NODES, _made(directory, "many")) as found:
        total, latencies = _write_all(url, found)
        with connected(url) as connection:
            row = connection.execute(
                "SELECT count(DISTINCT number), max(number) FROM khive.log"
            ).fetchone()
    assert row is not None
    rate, ours = total / SECONDS, _sample(latencies)
    return Row(
        what=f"writes a second, {WRITERS} writers on {NODES} nodes",
        target="at least 300, no number missing",
        khive=f"{rate:.0f}; {ours.show('ms', 50, 99)}",
        met=rate >= 300 and row[0] == row[1],
        notes=(f"{row[0]} rows of the log, the last one is {row[1]}; nodes apply all meanwhile.",),
        data={"rate": rate, "latency": ours.as_dict()},
    )


def _write_all(url: str, found: Sequence[Node]) -> tuple[int, list[float]]:
    """Return how many writes were acknowledged, and how long each took."""
    spawn = multiprocessing.get_context("spawn")
    pipes, processes = [], []
    for number in range(WRITERS):
        ours, theirs = spawn.Pipe()
        node = found[number % len(found)]
        process = spawn.Process(target=_writer, args=(Node(node.home, url), number, theirs))
        process.start()
        pipes.append(ours)
        processes.append(process)
    for pipe in pipes:
        pipe.recv()
    for pipe in pipes:
        pipe.send("go")
    taken = [one for pipe in pipes for one in pipe.recv()]
    for process in processes:
        process.join()
    return len(taken), taken


def _writer(node: Node, number: int, pipe: Connection) -> None:
    with node.open() as store:
        store.entries.recent(limit=1)
        pipe.send("ready")
        pipe.recv()
        end, taken = time.perf_counter() + SECONDS, []
        while time.perf_counter() < end:
            taken.append(add(store, f"writer {number} note {len(taken)}"))
        pipe.send(taken)


def _sample(seconds: Sequence[float]) -> Sample:
    return Sample(tuple(one * 1000 for one in seconds))
