"""How many tasks a second go through: queued, done, and the result stored, each durable."""

from __future__ import annotations

import time
from contextlib import closing

from benchmarks import huey_queue
from benchmarks.context import Context
from benchmarks.processes import wait_until
from benchmarks.report import Row
from benchmarks.rolework import account, working
from benchmarks.venvs import venv, version_of
from khive_supervisor.store import SqliteStore

ROLES = {"one": 2}
TASKS = 5_000
#: Tasks a second.
LIMIT = 500.0


def measure(context: Context) -> list[Row]:
    """The row of throughput."""
    count = context.times(TASKS)
    with working(context.work) as bench:
        bench.configure(ROLES)
        bench.khive.start()
        bench.until_ready(ROLES)
        given: dict[int, int] = {}
        with (
            closing(bench.khive.verbs()) as client,
            closing(SqliteStore(str(bench.khive.store), guarded=False)) as store,
        ):
            began = time.monotonic()
            for number in range(count):
                answer = client.request("agents.assign", {"role": "one", "payload": number})
                given[int(answer["task"].removeprefix("t"))] = number
            queued = time.monotonic() - began
            wait_until(lambda: not store.tasks.queue_depths(), "all tasks have ended")
            seconds = time.monotonic() - began
        found = account(bench, given)
    workers = sum(ROLES.values())
    peers = {
        name: huey_queue.measure(context.work, count, workers, fsync=fsync)
        for name, fsync in (("each durable", True), ("as it comes", False))
    }
    python, _ = venv(context.work / "huey", "huey")
    name = f"huey {version_of(python, 'huey')}" if python else "huey"
    return [
        Row(
            what=f"tasks queued, done and their results stored, {workers} workers",
            target=f">= {LIMIT:g} a second",
            khive=f"{count / seconds:.0f} a second (n {count}); all were queued after "
            f"{queued / seconds:.0%} of the time",
            peers=tuple(
                f"{name}, {how}: {why or f'{rate:.0f} a second'}"
                for how, (rate, why) in peers.items()
            ),
            met=count / seconds >= LIMIT and not (found.lost or found.doubled),
            notes=(
                (
                    "Of a function that returns its payload, queued by one client, one call of "
                    "agents.assign at a time. huey: SqliteHuey, two worker processes, queued by "
                    "one process; with fsync (durable) and as it comes. huey removes a task from "
                    "its store when a worker takes it: what a killed worker held is gone, nothing "
                    "fences a late result, and it keeps no record of what happened."
                ),
            ),
            data={
                "per_second": count / seconds,
                "seconds": seconds,
                "queued_s": queued,
                "huey": {how: rate for how, (rate, _) in peers.items()},
                "lost": found.lost,
            },
        )
    ]
