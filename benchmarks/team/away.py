"""The server of a team away for a minute, while two nodes read and write."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.core.context import Context
from benchmarks.core.report import Row, Sample
from benchmarks.team.nodes import Node, NoPostgres, Postgres, nodes, postgres, wait_until
from benchmarks.team.shared import driver_is_missing
from khive_supervisor.errors import KhiveError, StoreUnavailable
from khive_supervisor.sqlite.store import SqliteStore
from khive_supervisor.store.model import NewEntry

#: Seconds that the server is away, and those within which everything is caught up.
AWAY, CAUGHT_UP = 60.0, 5.0
#: Writers of each node, beside a reader, and the seconds between two acts of one.
WRITERS, PACE = 2, 0.02
#: Seconds of load before the server is stopped, and after it is there again.
_LOAD = 3.0


@dataclass(slots=True)
class Load:
    """What two nodes have done: writes that were acknowledged, and when; reads; errors."""

    end: threading.Event = field(default_factory=threading.Event)
    acknowledged: list[tuple[float, str]] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    reads: list[tuple[float, float]] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    unclear: list[str] = field(default_factory=list)


def measure(context: Context) -> list[Row]:
    """The row of a server that is away."""
    if missing := driver_is_missing():
        return missing
    away = 6.0 if context.quick else AWAY
    with (
        tempfile.TemporaryDirectory(prefix="kt", dir="/tmp") as name,
        postgres() as server,
        nodes(server.url, 2, Path(name)) as found,
    ):
        load = Load()
        threads = _begin(found, load)
        time.sleep(_LOAD)
        stopped, back = stop_for(server, away)
        caught_up = _caught_up(found, load, back)
        time.sleep(_LOAD)
        load.end.set()
        for thread in threads:
            thread.join()
        wait_until(lambda: len({_position(node) for node in found}) == 1, 60)
        lost = max(_lost(node, load) for node in found)
    return [_row(load, lost, stopped, back, caught_up)]


def _row(load: Load, lost: int, stopped: float, back: float, caught_up: float) -> Row:
    meanwhile = [taken for at, taken in load.reads if stopped < at < back]
    before = Sample(tuple(taken for at, taken in load.reads if at < stopped))
    sample, refused = Sample(tuple(meanwhile)), Sample(tuple(load.refused or [0.0]))
    return Row(
        what=f"the server away for {back - stopped:.0f} s (stopped at once) while two nodes write "
        "and read",
        target="0 acknowledged writes lost, all reads served, caught up within 5 s",
        khive=f"{lost} of {len(load.acknowledged):,} lost; {len(load.unread)} reads failed, "
        f"{sample.show('ms', 50, 99)}; caught up after {caught_up:.2f} s",
        peers=(f"reads before: {before.show('ms', 50, 99)}",),
        met=not lost and not load.unread and len(meanwhile) > 0 and caught_up <= CAUGHT_UP,
        notes=(
            f"Writes that were refused meanwhile: {refused.show('ms', 50, 99)}.",
            f"Of {len(load.unclear)} nobody could say at once whether they were stored.",
        ),
        data={"caught_up": caught_up, "lost": lost, "reads": sample.as_dict()},
    )


def _begin(found: Sequence[Node], load: Load) -> list[threading.Thread]:
    threads = []
    for number, node in enumerate(found):
        names = [f"w{number}{one}" for one in range(WRITERS)]
        threads += [threading.Thread(target=_write, args=(node, load, name)) for name in names]
        threads.append(threading.Thread(target=_read, args=(node, load)))
    for thread in threads:
        thread.start()
    return threads


def _write(node: Node, load: Load, name: str) -> None:
    with node.open() as store:
        number = 0
        while not load.end.wait(PACE):
            number += 1
            text = f"{name} {number}"
            began = time.perf_counter()
            try:
                store.entries.add([NewEntry("memory", "default", "semantic", "", text)])
            except StoreUnavailable as error:
                load.refused.append((time.perf_counter() - began) * 1000)
                if "may or may not" in error.message:
                    load.unclear.append(text)
            else:
                load.acknowledged.append((time.perf_counter(), text))


def _read(node: Node, load: Load) -> None:
    with node.plain() as store:
        number = 0
        while not load.end.wait(PACE):
            number += 1
            began = time.perf_counter()
            try:
                store.full_text.match(f"w00 {number}", 10)
            except KhiveError as error:
                load.unread.append(error.message)
            load.reads.append((began, (time.perf_counter() - began) * 1000))


def stop_for(server: Postgres, seconds: float) -> tuple[float, float]:
    """Stop the server for so long; return when it was stopped, and when it answered again."""
    server.stop()
    stopped = time.perf_counter()
    time.sleep(seconds)
    wait_until(lambda: _started(server), 60)
    return stopped, time.perf_counter()


def _started(server: Postgres) -> bool:
    try:
        server.start()
    except NoPostgres:
        return False
    return True


def _caught_up(found: Sequence[Node], load: Load, back: float) -> float:
    """Return the seconds until writes of each node are acknowledged and are on the other one."""
    names = [f"w{number}" for number in range(len(found))]

    def news() -> list[str]:
        first = [
            [text for at, text in load.acknowledged if at > back and text.startswith(name)][:1]
            for name in names
        ]
        return [text for texts in first for text in texts]

    wait_until(lambda: len(news()) == len(names), 60)
    wait_until(lambda: all(_has(node, news()) for node in found), 60)
    return time.perf_counter() - back


def _has(node: Node, texts: Sequence[str]) -> bool:
    return set(texts) <= _texts(node)


def _texts(node: Node) -> set[str]:
    with node.plain() as store:
        return _contents(store)


def _contents(store: SqliteStore) -> set[str]:
    return {one.content for one in store.entries.recent(limit=1_000_000)}


def _lost(node: Node, load: Load) -> int:
    there = _texts(node)
    return sum(text not in there for _, text in load.acknowledged)


def _position(node: Node) -> int:
    with node.plain() as store:
        row = store.replica()
    return row.number if row is not None else -1
