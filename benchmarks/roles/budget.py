"""Whether what is spent is exact, and limits hold, while workers and the supervisor are killed."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field

from benchmarks.core.context import Context
from benchmarks.core.processes import kill
from benchmarks.core.report import Row
from benchmarks.reload.reload_kill import SETTINGS
from benchmarks.roles.rolework import RoleWork, working
from khive_supervisor.errors import KhiveError
from khive_supervisor.sqlite.store import SqliteStore
from khive_supervisor.store.tasks import TaskStore
from khive_supervisor.tasks.model import DONE, NewTask, TaskEvent

TASKS, WORKERS = 1000, 4
#: Limits that are reached one after the other; the last is never.
PHASES = 5
#: Millionths of a dollar: what is set aside for a task, and the most that one uses.
RESERVE, MOST = 1000, 2000
#: Seconds between two disturbances, and what they are, in an order that is drawn anew each time.
EVERY, WHAT = 0.1, ("worker",) * 8 + ("reload",) * 3 + ("supervisor",)

HANDLER = """import time


def spend(context, payload):
    context.spend(cost=payload["cost"] / 1_000_000)
    time.sleep(0.02)
    if payload["fails"] and context.attempt == 1:
        raise RuntimeError("as it was asked to")
    return payload["cost"]
"""
#: What takes a claim back without an outcome; its detail tells it from a failed attempt.
TAKEN_BACK = ("its worker died, or was not heard of", "its worker was stopped")


@dataclass(slots=True)
class Held:
    """What the ledger and the events say, in the order of what happened."""

    accepted: int = 0
    expected: int = 0
    spent: int = 0
    twice: int = 0
    #: Claims that were granted although they did not fit.
    wrongly: int = 0
    #: The most beyond a limit, and the most beyond that and what was set aside for the tasks that
    #: were at work when the last one was begun.
    over: int = 0
    beyond: int = 0
    events: Counter[str] = field(default_factory=Counter)


class Bench:
    """A role with a budget under fire."""

    def __init__(self, work: RoleWork, store: SqliteStore, limits: list[int]) -> None:
        self.done: Counter[str] = Counter()
        #: For each phase, its limit and the last event of it.
        self.phases: list[tuple[int, int]] = []
        self._work, self._store, self._limits = work, store, limits
        self._draw = random.Random(7)
        self._turn = 0
        self._next: list[str] = []

    def run(self) -> None:
        """Reach each limit in turn, killing and reloading; only then is the next one set."""
        for limit in self._limits:
            self._configure(limit)
            self._until_reload()
            while not self._reached():
                self._disturb(limit)
            self.phases.append((limit, self._store.tasks.last_event()))

    def _reached(self) -> bool:
        """Whether nothing is at work, and nothing more will be before a limit is raised."""
        depths = self._store.tasks.queue_depths()
        if not depths:
            return True
        (account,) = self._store.budgets.accounts()
        return account.exceeded and not any(depth.leased for depth in depths.values())

    def _configure(self, limit: int) -> None:
        configure(self._work, limit, self._turn)

    def _until_reload(self) -> None:
        """Reload until it is answered: the limit is in force then."""
        while True:
            with suppress(KhiveError, OSError):
                if self._work.reload()["state"] == "done":
                    return
            time.sleep(0.05)

    def _disturb(self, limit: int) -> None:
        time.sleep(EVERY)
        if not self._next:
            self._next = list(WHAT)
            self._draw.shuffle(self._next)
        what = self._next.pop()
        if what == "supervisor":
            kill(self._work.khive.status()["pid"])
            self._work.khive.start()
        elif what == "reload":
            self._turn += 1
            self._configure(limit)
            with suppress(KhiveError, OSError):
                os.kill(self._work.khive.status()["pid"], signal.SIGHUP)
        else:
            with suppress(KhiveError, OSError):
                if pids := self._work.pids():
                    kill(self._draw.choice(pids))
        self.done[what] += 1


def configure(work: RoleWork, limit: int, turn: int) -> None:
    """The role with a limit; another `turn` is another definition of it."""
    work.khive.write_configuration(
        f'[embedder]\nkind = "none"\n{SETTINGS}\n[[roles]]\nrole = "spender"\n'
        f'task_types = ["spend"]\nworkers = {WORKERS}\nattempts = 100\n'
        f'timeout = "{100 + turn}s"\ncwd = "{work.directory}"\n'
        'handler = { python = "handlers:spend" }\n'
        f"budget = {{ monthly = {limit / 1_000_000}, reserve = {RESERVE / 1_000_000} }}\n"
    )


def judge(store: SqliteStore, costs: dict[int, int], phases: list[tuple[int, int]]) -> Held:
    """Go through everything that happened, in order, with the limit that held then."""
    found = Held()
    ledger = {}
    for one in store.budgets.spending(limit=1_000_000):
        found.twice += (one.task_id, one.token) in ledger
        ledger[one.task_id, one.token] = one.usage.cost
    running: set[tuple[int, int]] = set()
    at = aside = 0
    for event in _events(store.tasks):
        while event.seq > phases[at][1]:
            at += 1
        limit, key = phases[at][0], (event.task_id, event.token)
        found.events[event.what] += 1
        if event.what == "leased":
            running.add(key)
            aside = RESERVE * len(running)
            found.wrongly += found.spent + aside > limit
            continue
        ends = event.what in (DONE, "failed", "requeued", "dead")
        if not ends:
            continue
        running.discard(key)
        if event.what != "dead" and event.detail not in TAKEN_BACK:
            found.accepted += 1
            found.expected += costs[event.task_id]
            found.spent += ledger.get(key, 0)
            found.over = max(found.over, found.spent - limit)
            found.beyond = max(found.beyond, found.spent - limit - aside)
    return found


def _events(tasks: TaskStore) -> Iterator[TaskEvent]:
    after = 0
    while events := tasks.events(after, 10_000):
        yield from events
        after = events[-1].seq


@contextmanager
def _spending(context: Context) -> Iterator[tuple[RoleWork, SqliteStore]]:
    with working(context.work) as work:
        work.write(HANDLER)
        work.khive.store.parent.mkdir(parents=True, mode=0o700)
        with closing(SqliteStore(str(work.khive.store))) as store:
            yield work, store


def _queue(tasks: TaskStore, count: int) -> dict[int, int]:
    """Tasks and what each attempt at them costs; one in twenty fails once."""
    draw = random.Random(14)
    costs = {}
    for number in range(count):
        payload = {"cost": draw.randrange(1, MOST + 1), "fails": number % 20 == 0}
        task, _ = tasks.assign(NewTask("spender", payload=payload, attempts_max=100))
        costs[task.id] = payload["cost"]
    return costs


def measure(context: Context) -> list[Row]:
    """The row of budgets under kills."""
    with _spending(context) as (work, store):
        costs = _queue(store.tasks, context.times(TASKS))  # before a limit would refuse them
        whole = sum(costs.values())
        limits = [whole * phase // PHASES for phase in range(1, PHASES)] + [10 * whole]
        configure(work, limits[0], 0)
        began = time.monotonic()
        work.khive.start()
        bench = Bench(work, store, limits)
        bench.run()
        took = time.monotonic() - began
        found = judge(store, costs, bench.phases)
        (account,) = store.budgets.accounts()
        counted = account.spent[1].cost
    exact = found.spent == found.expected == counted and not found.twice
    held = not found.wrongly and found.beyond <= 0
    return [
        Row(
            what=f"{len(costs)} tasks with costs, {WORKERS} workers, {len(limits) - 1} limits "
            "reached, while workers and the supervisor are killed and roles reloaded",
            target="spent = sum of accepted results; no limit exceeded by more than was set aside "
            "for the tasks at work",
            khive=f"${counted / 1e6:.6f} spent, ${found.expected / 1e6:.6f} accepted; "
            f"{found.wrongly} claims beyond a limit, at most ${found.over / 1e6:.6f} over it",
            met=exact and held,
            notes=(_note(bench, found, took),),
            data={
                "events": dict(found.events),
                "kills": dict(bench.done),
                "limits": limits,
                "over": found.over,
                "beyond": found.beyond,
                "seconds": took,
            },
        )
    ]


def _note(bench: Bench, found: Held, took: float) -> str:
    return (
        f"SIGKILL: {bench.done['worker']} workers, {bench.done['supervisor']} supervisors; "
        f"{bench.done['reload']} reloads. {found.accepted} outcomes were accepted, "
        f"{found.events['requeued']} times a task was begun again. A task uses up to "
        f"{MOST // RESERVE} times what is set aside for it, so that a limit can be exceeded at "
        f"all. Judged from the ledger and the events in their order, with the limit of the time. "
        f"{took:.1f} s."
    )
