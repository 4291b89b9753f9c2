"""Whether steps of workflows are lost, repeated or begun too early while everything is killed.

Graphs are given all at once; the supervisor's processes are killed one by one and all together. A
thread of the benchmark's sees to what is due as the supervisor does, with a clock that jumps: so
times and schedules are seen to by two at once that disagree about the time.
"""

from __future__ import annotations

import random
import subprocess
import threading
import time
from collections import Counter

from benchmarks.core.context import Context
from benchmarks.core.processes import command_of, kill, processes_of
from benchmarks.core.report import Row
from benchmarks.roles.rolework import RoleWork, working
from khive_supervisor.errors import KhiveError
from khive_supervisor.sqlite.store import SqliteStore
from khive_supervisor.supervision.roles import clockwork
from khive_supervisor.tasks.model import NewTask
from khive_supervisor.workflows.model import CANCEL, RUN, NewRun, NewSchedule, PlannedStep

ROLES = {"one": 3, "two": 3}
GRAPHS, TASKS = 1000, 10
#: Seconds between two kills of a process, and of all of them; between two jumps of the clock.
KILL_EVERY, ALL_EVERY, JUMP_EVERY = 0.5, 15.0, 1.0
#: Seconds by which a clock jumps, either way.
JUMPS = (-86_400.0, -7200.0, -60.0, 0.0, 60.0, 7200.0, 86_400.0)
#: Seconds without the end of any task after which a run is stuck; the kills have ended then.
STUCK_AFTER = 120.0
#: More than a task can lose by kills: that it was killed is not its fault.
ATTEMPTS = 100
SETTINGS = """[supervisor]
restart_backoff = "0.01s"
restart_backoff_max = "0.05s"
restart_limit = 1000
restart_window = "1s"
"""


def graph(number: int, draw: random.Random) -> NewRun:
    """Return a graph whose steps each come after up to three of those before."""
    steps = []
    for at in range(TASKS):
        before = draw.sample(range(at), min(at, draw.randint(0, 3)))
        after = tuple((f"s{one}", draw.choice((CANCEL, RUN))) for one in sorted(before))
        payload = {"step": at, "before": [f"{{{{steps.{name}.result.step}}}}" for name, _ in after]}
        task = NewTask(draw.choice([*ROLES]), payload=payload, attempts_max=ATTEMPTS)
        steps.append(PlannedStep(f"s{at}", task, after))
    later = time.time() + draw.uniform(0, 20) if number % 10 == 0 else None
    return NewRun(f"graph-{number}", {}, {}, tuple(steps), start_at=later)


class Blows:
    """Kills one at a time and all at once, until told to stop.

    A supervisor that was killed is started again before the next one is: to start takes longer than
    half a second, so that nothing would ever run.
    """

    def __init__(self, bench: RoleWork) -> None:
        self.done: Counter[str] = Counter()
        self.over = threading.Event()
        self._bench = bench
        self._draw = random.Random(5)

    def run(self) -> None:
        """Do it until it is over; the supervisor runs then."""
        all_at = time.monotonic() + ALL_EVERY
        while not self.over.wait(KILL_EVERY):
            victims = processes_of(self._bench.khive.home)
            if time.monotonic() >= all_at:
                all_at += ALL_EVERY
                for pid in victims:
                    kill(pid)
                self.done["everything"] += 1
            elif victims:
                pid = self._draw.choice(victims)
                self.done[command_of(pid).rpartition("-m ")[2].split(" --")[0]] += 1
                kill(pid)
            self._start()
        self._start()

    def _start(self) -> None:
        found = [command_of(pid) for pid in processes_of(self._bench.khive.home)]
        if any(" start" in command for command in found):
            return
        try:
            self._bench.khive.start()
        except subprocess.CalledProcessError:
            self.done["start failed"] += 1


def jump(path: str, over: threading.Event, seen: Counter[str]) -> None:
    """See to what is due by a clock that jumps, until it is over."""
    draw = random.Random(3)
    with SqliteStore(path, guarded=False) as store:
        while not over.wait(JUMP_EVERY):
            try:
                clockwork.look(store, time.time() + draw.choice(JUMPS))
                seen["jumps"] += 1
            except KhiveError as error:
                seen[type(error).__name__] += 1


def measure(context: Context) -> list[Row]:
    """The row of workflows under kills."""
    graphs = context.times(GRAPHS)
    with working(context.work) as bench:
        bench.configure(ROLES, settings=SETTINGS)
        bench.khive.start()
        bench.until_ready(ROLES)
        with SqliteStore(str(bench.khive.store), guarded=False) as store:
            return [_measured(bench, store, graphs)]


def _measured(bench: RoleWork, store: SqliteStore, graphs: int) -> Row:
    draw, seen = random.Random(1), Counter[str]()
    step = {"name": "task", "role": "one", "payload": {"step": 0}}
    schedule = NewSchedule("each-minute", "* * * * *", {"name": "each-minute", "steps": [step]})
    number = store.schedules.add(schedule).id
    blows = Blows(bench)
    path = str(bench.khive.store)
    threads = [
        threading.Thread(target=blows.run, daemon=True),
        threading.Thread(target=jump, args=(path, blows.over, seen), daemon=True),
    ]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    runs = [store.workflows.begin(graph(at, draw))[0].id for at in range(graphs)]
    left = _until_done(store)
    took = time.monotonic() - began
    blows.over.set()
    for thread in threads:
        thread.join()
    firings = store.schedules.firings(number, 10_000)
    return _row(store, runs, left, blows, seen, took, len(firings))


def _until_done(store: SqliteStore) -> int:
    """Return how many runs are left when none is, or nothing has ended for too long."""
    last, moved_at = -1, time.monotonic()
    while True:
        left = _value(store, "SELECT count(*) FROM workflow_runs WHERE state = 'running'")
        ended = _value(store, "SELECT count(*) FROM tasks WHERE ended_at IS NOT NULL")
        if ended != last:
            last, moved_at = ended, time.monotonic()
        if not left or time.monotonic() - moved_at > STUCK_AFTER:
            return left
        time.sleep(0.5)


def _value(store: SqliteStore, sql: str) -> int:
    return int(store.database.value(sql) or 0)


def _row(
    store: SqliteStore, runs: list[int], left: int, blows: Blows, seen: Counter[str], took: float,
    firings: int,
) -> Row:  # fmt: skip
    accepted = _value(
        store,
        "SELECT count(*) FROM (SELECT task_id FROM task_events WHERE what = 'done' "
        "GROUP BY task_id HAVING count(*) > 1)",
    )
    undone = _value(store, "SELECT count(*) FROM tasks WHERE state != 'done'")
    early = _value(
        store,
        "SELECT count(*) FROM task_after a JOIN task_events b ON b.task_id = a.task_id "
        "AND b.what = 'leased' WHERE NOT EXISTS (SELECT 1 FROM task_events e "
        "WHERE e.task_id = a.on_task AND e.what = 'done' AND e.seq < b.seq)",
    )
    twice = _value(
        store,
        "SELECT count(*) FROM (SELECT run_id, step FROM task_waits WHERE run_id IS NOT NULL "
        "GROUP BY run_id, step HAVING count(*) > 1)",
    )
    again = _value(store, "SELECT count(*) FROM task_events WHERE what = 'requeued'")
    fenced = _value(store, "SELECT count(*) FROM task_events WHERE what = 'fenced'")
    tasks = len(runs) * TASKS
    bad = accepted or undone or early or twice or left
    return Row(
        what=f"{len(runs)} graphs of {TASKS} tasks, a process killed every "
        f"{KILL_EVERY * 1000:.0f} ms that the supervisor runs, everything "
        f"every {ALL_EVERY:g} s, a clock that jumps",
        target="each task accepted once, no order violated, 0 stuck",
        khive=f"{accepted + twice} accepted twice, {undone} of {tasks} not done, {early} begun "
        f"before what they wait for, {left} runs stuck; {sum(blows.done.values())} kills, {again} "
        f"tasks begun again, {took:.0f} s",
        met=not bad,
        notes=(
            (
                f"SIGKILL. A tenth of the graphs begins at a time; a schedule of each minute ran "
                f"{firings} times, each due time once. The clock of a second look at "
                f"what is due jumped {seen['jumps']} times by up to a day. Results refused since "
                f"their claim was lost: {fenced}."
            ),
        ),
        data={"kills": dict(blows.done), "seconds": took, "requeued": again, "fenced": fenced},
    )
