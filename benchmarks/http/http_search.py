"""What HTTP adds to a search, against the same search on a session's pipe, and at rest."""

from __future__ import annotations

import time
from contextlib import closing

from benchmarks.core.context import Context
from benchmarks.core.installation import installed
from benchmarks.core.processes import memory_of, processor_seconds
from benchmarks.core.report import Row, Sample
from benchmarks.core.session import Session
from benchmarks.http.http_client import CONFIGURATION, HttpSession, fill

#: Milliseconds that HTTP may add to the median.
LIMIT = 5.0
#: Searches of each kind, those before them that are not counted, and entries that are searched.
SEARCHES, WARM_UP, ENTRIES = 400, 30, 1000
#: Seconds at rest.
REST = 10.0


def measure(context: Context) -> list[Row]:
    """The row of searches over HTTP."""
    count = WARM_UP + context.times(SEARCHES)
    with installed(context.work) as khive:
        khive.write_configuration(CONFIGURATION)
        khive.start()
        queries = fill(khive, max(ENTRIES, count))
        over: dict[str, list[float]] = {"http": [], "stdio": []}
        with Session(khive.attach()) as local, closing(HttpSession(khive)) as remote:
            local.initialize()
            remote.initialize()
            for number in range(count):
                # Each its own query, since the embedder remembers; in turn, for the same weather.
                ours, theirs = queries[number], queries[-1 - number]
                over["http"].append(remote.search(ours)[0])
                over["stdio"].append(local.search(theirs)[0])
            pid = next(c["pid"] for c in khive.status()["children"] if c["name"] == "http")
            used = processor_seconds([pid])
            time.sleep(REST)
            used = processor_seconds([pid]) - used
            memory = memory_of(pid)
    found = {name: Sample(tuple(values[WARM_UP:])) for name, values in over.items()}
    added = found["http"].p50 - found["stdio"].p50
    return [
        Row(
            what="a search by MCP over HTTP, and the same on a session's pipe",
            target=f"p50 <= {LIMIT:g} ms more",
            khive=f"HTTP {found['http'].show('ms', 50, 99)}; pipe "
            f"{found['stdio'].show('ms', 50, 99)}; {added:+.2f} ms; the worker at rest: "
            f"{(memory.rest + memory.index) / 2**20:.0f} MB (PSS), "
            f"{memory.dirty / 2**20:.0f} MB its own, {used / REST:.4%} of a core",
            met=added <= LIMIT,
            notes=(
                (
                    f"{ENTRIES} short entries, made by the row; distinct queries, in turn over "
                    f"both; {WARM_UP} before are not counted. One connection that is kept, in a "
                    f"session of the handshake era. At rest: {REST:g} s with both sessions open."
                ),
            ),
            data={
                **{name: sample.as_dict() for name, sample in found.items()},
                "pss_bytes": memory.rest + memory.index,
                "dirty_bytes": memory.dirty,
                "rest_seconds_used": used,
            },
        )
    ]
