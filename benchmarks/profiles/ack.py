"""How long it takes until feedback is acknowledged, beside what a bare durable commit costs."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw

from benchmarks.core.context import Context
from benchmarks.core.installation import Installation, installed
from benchmarks.core.processes import begin_together
from benchmarks.core.report import Row, Sample

#: Times the p50 of one bare commit that one writer may take.
TIMES_BARE = 3.0
WRITERS, EVENTS = 16, 4000


@dataclass(frozen=True, slots=True)
class Wrote:
    """What writers did together."""

    times: Sample
    a_second: float
    errors: dict[str, int]


def measure(context: Context) -> list[Row]:
    """The rows of acknowledged feedback."""
    count = context.times(EVENTS)
    with installed(context.work, context.prepared) as khive:
        bare = _bare(khive.store.with_name("bare.db"), count // 4)
        one = _write(khive, 1, count // 4)
        many = _write(khive, WRITERS, count)
        again = _write(khive, 1, count // 4)
        bare_again = _bare(khive.store.with_name("bare.db"), count // 4)
    bare = Sample(bare.values + bare_again.values)
    alone = Sample(one.times.values + again.times.values)
    rate = (one.a_second + again.a_second) / 2
    locked = sum(n for w in (one, many, again) for error, n in w.errors.items() if "lock" in error)
    failed = sum(n for w in (one, many, again) for n in w.errors.values())
    return [
        Row(
            what="feedback acknowledged, one writer",
            target=f"p50 <= {TIMES_BARE:g}x one bare durable commit",
            khive=f"{alone.show('ms', 50, 99)} = {alone.p50 / bare.p50:.1f}x",
            peers=(f"one row committed, bare SQLite: {bare.show('ms', 50, 99)}",),
            met=alone.p50 <= TIMES_BARE * bare.p50,
            notes=("brain.feedback as sessions run it; WAL, synchronous=FULL, the same disk.",),
            data={"khive": alone.as_dict(), "bare": bare.as_dict()},
        ),
        Row(
            what=f"the same, {WRITERS} writers at once, events a second",
            target="no fewer than one writer; nobody is told that the store is locked",
            khive=f"{many.a_second:.0f}/s = {many.a_second / rate:.0%} of one writer's "
            f"{rate:.0f}/s; locked: {locked}; {many.times.show('ms', 50, 99)}, max "
            f"{max(many.times.values):.0f} ms",
            met=many.a_second >= rate and failed == 0,
            notes=("Counted while all of them write; 5 before are not counted, as with one.",),
            data={"many": many.times.as_dict(), "rate": many.a_second, "one": rate,
                  "errors": many.errors},
        ),
    ]  # fmt: skip


def _bare(file: Path, count: int) -> Sample:
    connection = apsw.Connection(str(file))
    for pragma in ("journal_mode = WAL", "synchronous = FULL"):
        connection.execute(f"PRAGMA {pragma}").fetchall()
    with suppress(apsw.SQLError):
        connection.execute("CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT)").fetchall()
    times = []
    for number in range(count):
        began = time.perf_counter()
        connection.execute("INSERT INTO t (b) VALUES (?)", [f"row {number}"]).fetchall()
        times.append((time.perf_counter() - began) * 1000)
    connection.close()
    return Sample(tuple(times))


def _write(khive: Installation, writers: int, count: int) -> Wrote:
    """Let so many processes give so much feedback together, each about other entries."""
    script = str(Path(__file__).with_name("feedback_writer.py"))
    started = [
        subprocess.Popen(
            [
                *(sys.executable, "-P", script, f"w{time.monotonic_ns()}"),
                *map(str, (count // writers, at + 1, writers)),
            ],
            env=khive.environment,
            cwd=khive.home,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for at in range(writers)
    ]
    begin_together(started)
    said: list[dict[str, Any]] = [json.loads(process.communicate()[0]) for process in started]
    # While all of them write: the last ones of a slower process are not sixteen at once.
    begun, over = max(s["began"] for s in said), min(s["ends"][-1] for s in said)
    together = sum(begun < end <= over for s in said for end in s["ends"])
    errors: dict[str, int] = {}
    for answer in said:
        for error, times in answer["errors"].items():
            errors[error] = errors.get(error, 0) + times
    times = Sample(tuple(t for s in said for t in s["times"]))
    return Wrote(times, together / (over - begun), errors)
