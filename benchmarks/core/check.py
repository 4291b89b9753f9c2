"""What it costs to know, at each use, that what is cached is still true."""

from __future__ import annotations

import time
from collections.abc import Callable

from benchmarks.core.context import Context
from benchmarks.core.installation import installed
from benchmarks.core.report import Row, Sample
from khive_supervisor.freshness import BINDINGS, POSTERIORS, PROFILES, Fresh, Versions
from khive_supervisor.profiles.snapshot import load_snapshot
from khive_supervisor.sqlite.store import SqliteStore
from khive_supervisor.store.model import NewEntry

#: Microseconds, p50.
LIMIT = 10.0
STILL, MOVED, RELOADED = 50_000, 1000, 300


def measure(context: Context) -> list[Row]:
    """The rows of the check at use."""
    with installed(context.work, context.prepared) as khive:
        mine, other = SqliteStore(str(khive.store)), SqliteStore(str(khive.store))
        value = Fresh(
            Versions(mine),
            (PROFILES, POSTERIORS, BINDINGS),
            lambda: load_snapshot(mine.profiles.all, mine.bindings.all),
        )
        value.get()
        still = _timed(value.get, context.times(STILL))
        reread = _timed(
            lambda: load_snapshot(mine.profiles.all, mine.bindings.all), context.times(MOVED)
        )
        moved, reread_moved, reloaded = [], [], []
        for number in range(context.times(MOVED)):
            _add(other, f"unrelated {number}")
            moved.append(_once(value.get))
            _add(other, f"unrelated, too {number}")
            reread_moved.append(_once(lambda: load_snapshot(mine.profiles.all, mine.bindings.all)))
        for number in range(context.times(RELOADED)):
            other.profiles.create(f"p{number}") if number < 5 else other.profiles.reset("p1")
            reloaded.append(_once(value.get))
        mine.close()
        other.close()
    unrelated, theirs = Sample(tuple(moved)), Sample(tuple(reread_moved))
    return [
        Row(
            what="check at use: nothing was committed",
            target=f"p50 < {LIMIT:g} µs",
            khive=still.show("µs", 50, 99),
            peers=("cached once: 0", f"read at every call: {reread.show('µs', 50, 99)}"),
            met=still.p50 < LIMIT,
            data={"khive": still.as_dict(), "every": reread.as_dict()},
        ),
        Row(
            what="the same, first use after something else was committed",
            target="p50 below that of reading again",
            khive=unrelated.show("µs", 50, 99),
            peers=("cached once: 0", f"read at every call: {theirs.show('µs', 50, 99)}"),
            met=unrelated.p50 < theirs.p50,
            notes=(
                (
                    "A memory was stored by another connection: SQLite looks at the log, and "
                    "the counters are read. When profiles did change, and are loaded: "
                    f"{Sample(tuple(reloaded)).show('µs', 50, 99)}."
                ),
            ),
            data={"khive": unrelated.as_dict(), "every": theirs.as_dict()},
        ),
    ]


def _add(store: SqliteStore, content: str) -> None:
    store.entries.add([NewEntry("memory", "default", "note", "", content)])


def _once(work: Callable[[], object]) -> float:
    """Microseconds."""
    began = time.perf_counter_ns()
    work()
    return (time.perf_counter_ns() - began) / 1000


def _timed(work: Callable[[], object], count: int) -> Sample:
    return Sample(tuple(_once(work) for _ in range(count)))
