"""How many tasks a second go through: queued, done, and the result stored, each durable."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from benchmarks.core.context import Context
from benchmarks.core.processes import wait_until
from benchmarks.core.report import Row
from benchmarks.core.venvs import venv, version_of
from benchmarks.roles import huey_queue
from benchmarks.roles.rolework import Submitter, account, run_all, working
from khive_supervisor.sqlite.store import SqliteStore

ROLES = {"one": 2}
TASKS = 5_000
#: Tasks a second.
LIMIT = 500.0
#: How many queue at once.
CLIENTS = (1, 4)
#: Tasks a second of each: more than there can be.
AT_ONCE = 1e6


@dataclass(frozen=True, slots=True)
class Through:
    """Tasks a second, the share of the time until all were queued, and what was lost or doubled."""

    rate: float
    queued: float
    wrong: int


def measure(context: Context) -> list[Row]:
    """The row of throughput."""
    count = context.times(TASKS)
    through = {clients: _through(context.work, clients, count) for clients in CLIENTS}
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
            khive="; ".join(
                f"queued by {_clients(clients)}: {one.rate:.0f} a second"
                for clients, one in through.items()
            )
            + f" (n {count})",
            peers=tuple(
                f"{name}, {how}: {why or f'{rate:.0f} a second'}"
                for how, (rate, why) in peers.items()
            ),
            met=max(one.rate for one in through.values()) >= LIMIT
            and not any(one.wrong for one in through.values()),
            notes=(
                (
                    "Of a function that returns its payload, from the first call of agents.assign "
                    "to the last result stored; each client has one call under way, and the "
                    "target is for the better of both. All were queued after "
                    + ", ".join(f"{one.queued:.0%}" for one in through.values())
                    + " of the time. huey: SqliteHuey, two worker processes, queued by "
                    "one process; with fsync (durable) and as it comes. huey removes a task from "
                    "its store when a worker takes it: what a killed worker held is gone, nothing "
                    "fences a late result, and it keeps no record of what happened."
                ),
            ),
            data={
                "per_second": {clients: one.rate for clients, one in through.items()},
                "huey": {how: rate for how, (rate, _) in peers.items()},
            },
        )
    ]


def _through(work: Path, clients: int, count: int) -> Through:
    with working(work) as bench:
        bench.configure(ROLES)
        bench.khive.start()
        bench.until_ready(ROLES)
        numbers = range(count)
        submitters = [
            Submitter(bench, "one", numbers[at::clients], AT_ONCE) for at in range(clients)
        ]
        with closing(SqliteStore(str(bench.khive.store), guarded=False)) as store:
            began = time.monotonic()
            given = run_all(submitters)
            queued = time.monotonic() - began
            wait_until(lambda: not store.tasks.queue_depths(), "all tasks have ended")
            seconds = time.monotonic() - began
        found = account(bench, given.tasks)
    wrong = found.lost + found.doubled + given.refused.total()
    return Through(count / seconds, queued / seconds, wrong)


def _clients(number: int) -> str:
    return "one client" if number == 1 else f"{number} clients"
