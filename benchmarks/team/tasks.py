"""Tasks that three nodes share while workers, replicators and the server are killed."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.context import SpawnProcess
from pathlib import Path

from benchmarks.core.context import Context
from benchmarks.core.report import Row
from benchmarks.team.nodes import Node, NoPostgres, Postgres, nodes, postgres, wait_until
from benchmarks.team.shared import driver_is_missing
from khive_supervisor.budgets.limits import BudgetLimits
from khive_supervisor.errors import KhiveError
from khive_supervisor.sqlite.store import SqliteStore
from khive_supervisor.tasks.model import DONE, Claimant, NewTask, Outcome, RoleRow, TaskEvent, Usage

TASKS, NODES, WORKERS = 10_000, 3, 2
#: Seconds that a lease lasts, and by which the clocks of the nodes differ.
LEASE, SKEWS = 10.0, (-1800.0, 0.0, 1800.0)
#: Seconds between two looks of a worker for claims whose lease is over, as supervisors do it.
RELEASE_EVERY = 1.0
#: Seconds between two kills, and of what, in an order that is drawn anew each time.
EVERY, WHAT = 1.5, ("worker",) * 6 + ("replicator",) * 3 + ("server",)
#: Seconds that all of it may take.
_DEADLINE = 3000.0
_SPAWN = multiprocessing.get_context("spawn")


@dataclass(slots=True)
class Kept:
    """What came of the tasks, as one node's copy tells it."""

    done: int = 0
    twice: int = 0
    #: Claims that were taken back before their lease was over.
    foreign: int = 0
    taken_back: int = 0
    #: Seconds after which the first of them was.
    soonest: float = float("inf")
    spent: int = 0
    expected: int = 0
    leases: dict[tuple[int, int], float] = field(default_factory=dict)


def measure(context: Context) -> list[Row]:
    """The row of tasks in a team."""
    if missing := driver_is_missing():
        return missing
    count = max(context.times(TASKS), 300)
    with (
        tempfile.TemporaryDirectory(prefix="kt", dir="/tmp") as name,
        postgres() as server,
        nodes(server.url, NODES, Path(name)) as found,
    ):
        _give(found[0], count)
        began = time.perf_counter()
        kills = _TaskKiller(server, found).run(count)
        seconds = time.perf_counter() - began
        wait_until(lambda: len({_position(node) for node in found}) == 1, 60)
        kept = [_judge(node) for node in found]
    return [_row(count, kept, kills, seconds)]


def _row(count: int, kept: Sequence[Kept], kills: dict[str, int], seconds: float) -> Row:
    one = kept[0]
    exact = one.spent == one.expected
    alike = all((k.done, k.spent) == (one.done, one.spent) for k in kept)
    killed = ", ".join(f"{number} x {what}" for what, number in kills.items())
    return Row(
        what=f"{count:,} tasks of a role that {NODES} nodes serve, their clocks an hour apart",
        target="0 lost, 0 accepted twice, 0 foreign leases released, budget exact",
        khive=f"{count - one.done} lost, {one.twice} twice, {one.foreign} foreign, budget "
        f"{'exact' if exact else f'{one.spent} of {one.expected}'}; {seconds:.0f} s",
        met=one.done == count and not one.twice and not one.foreign and exact and alike,
        notes=(
            f"Killed: {killed}; {one.taken_back} claims were taken back after their lease.",
            f"The soonest of these after {one.soonest:.1f} s, of {LEASE:g}.",
        ),
        data={"seconds": seconds, "kills": kills},
    )


def _give(node: Node, count: int) -> None:
    with node.open() as store:
        store.roles.set([RoleRow("spender", ("spend",), "d", 1, WORKERS, 1000, True)])
        store.budgets.set_limits({"spender": BudgetLimits(monthly=10**12, reserve=10)})
        for begin in range(0, count, 500):
            with store.transaction():
                for number in range(begin, min(begin + 500, count)):
                    store.tasks.assign(NewTask("spender", "spend", {"cost": number % 97 + 1}))


def _position(node: Node) -> int:
    with node.plain() as store:
        row = store.replica()
    return row.number if row is not None else -1


class _TaskKiller:
    """Keeps workers and kills them, the replicators and the server, until all tasks have ended."""

    def __init__(self, server: Postgres, found: Sequence[Node]) -> None:
        self._server, self._nodes = server, found
        self._draw = random.Random(18)
        self._workers: dict[int, SpawnProcess] = {}
        self._next: list[str] = []

    def run(self, count: int) -> dict[str, int]:
        """Return how often what was killed."""
        kills: dict[str, int] = {}
        until = time.monotonic() + _DEADLINE
        try:
            while _left(self._nodes[0], count) and time.monotonic() < until:
                self._keep_workers()
                time.sleep(EVERY)
                what = self._drawn()
                self._kill(what)
                kills[what] = kills.get(what, 0) + 1
        finally:
            for worker in self._workers.values():
                worker.kill()
                worker.join()
        return kills

    def _keep_workers(self) -> None:
        for place in range(NODES * WORKERS):
            worker = self._workers.get(place)
            if worker is None or not worker.is_alive():
                node = self._nodes[place % NODES]
                worker = _SPAWN.Process(
                    target=_work, args=(Node(node.home, node.url), SKEWS[place % NODES])
                )
                worker.start()
                self._workers[place] = worker

    def _drawn(self) -> str:
        if not self._next:
            self._next = list(WHAT)
            self._draw.shuffle(self._next)
        return self._next.pop()

    def _kill(self, what: str) -> None:
        if what == "worker":
            self._draw.choice([*self._workers.values()]).kill()
        elif what == "replicator":
            node = self._draw.choice(self._nodes)
            node.stop(kill=True)
            node.start()
        else:
            self._kill_server()

    def _kill_server(self) -> None:
        if self._draw.random() < 0.5:
            self._server.stop()
        else:
            os.kill(self._server.pid, signal.SIGKILL)
        wait_until(self._started, 60)

    def _started(self) -> bool:
        with suppress(NoPostgres):
            self._server.start()
            return True
        return False


def _left(node: Node, count: int) -> int:
    with node.plain() as store:
        done = store.database.value("SELECT count(*) FROM tasks WHERE state = 'done'")
    return count - int(done)


def _work(node: Node, skew: float) -> None:
    """Do tasks on a node until killed; its clock on the wall is off by so many seconds."""
    real = time.time
    time.time = lambda: real() + skew
    claimant = Claimant("spender", f"w{os.getpid()}", 1, "d", lease=LEASE)
    pause, release_at = threading.Event(), 0.0
    with node.open() as store:
        while True:
            try:
                if time.monotonic() >= release_at:
                    store.tasks.release_expired(store.tasks.now())
                    release_at = time.monotonic() + RELEASE_EVERY
                _do_one(store, claimant, pause)
            except KhiveError:
                pause.wait(0.2)


def _do_one(store: SqliteStore, claimant: Claimant, pause: threading.Event) -> None:
    claim = store.tasks.claim(claimant, store.tasks.now())
    if claim is None:
        pause.wait(0.1)
        return
    cost = int(claim.payload["cost"])
    outcome = Outcome(DONE, cost, usage=Usage(cost=cost))
    store.tasks.finish(claim.id, claim.token, outcome, store.tasks.now())


def _judge(node: Node) -> Kept:
    """Go through all that happened to the tasks, in its order."""
    kept, ended = Kept(), set[int]()
    with node.plain() as store:
        for task in store.database.rows("SELECT id FROM tasks WHERE state = 'done'"):
            kept.done += 1
            kept.expected += (int(task[0]) - 1) % 97 + 1
        kept.spent = sum(one.usage.cost for one in store.budgets.spending(limit=10**6))
        last = 0
        while page := store.tasks.events(last):
            for event in page:
                _take(kept, event, ended)
            last = page[-1].seq
    return kept


def _take(kept: Kept, event: TaskEvent, ended: set[int]) -> None:
    if event.what == "leased":
        kept.leases[event.task_id, event.token] = event.at
    elif event.what == "done":
        kept.twice += event.task_id in ended
        ended.add(event.task_id)
    elif event.what in ("requeued", "dead"):
        kept.taken_back += 1
        begun = kept.leases[event.task_id, event.token]
        # The server's clock, as two nodes have measured it: they differ by a part of a second.
        kept.soonest = min(kept.soonest, event.at - begun)
        kept.foreign += event.at - begun < LEASE - 0.5
