"""Whether tasks are lost or done twice while workers and the supervisor are killed."""

from __future__ import annotations

import random
import subprocess
import threading
import time
from collections import Counter

from benchmarks.core.context import Context
from benchmarks.core.processes import kill
from benchmarks.core.report import Row
from benchmarks.roles.rolework import RoleWork, Submitter, account, run_all, working
from khive_supervisor.errors import KhiveError

ROLES = {"one": 2, "two": 2}
TASKS, PACE = 10_000, 160.0
#: Seconds between two kills of a worker, and between two reloads; kills of the supervisor.
KILL_EVERY, RELOAD_EVERY, SUPERVISORS = 0.2, 1.5, 5
#: Workers are started again at once, however often they die.
SETTINGS = """[supervisor]
restart_backoff = "0.01s"
restart_backoff_max = "0.05s"
restart_limit = 1000
restart_window = "1s"
"""


class Killer:
    """Kills, restarts and reloads until it is told to stop."""

    def __init__(self, bench: RoleWork, seconds: float) -> None:
        self.done: Counter[str] = Counter()
        self.reloads: Counter[str] = Counter()
        self._bench = bench
        self._seconds = seconds
        self._draw = random.Random(7)
        self._over = threading.Event()

    def run(self) -> None:
        """Do it all for as long as tasks are given."""
        changing = threading.Thread(target=self._reload, daemon=True)
        changing.start()
        began = time.monotonic()
        at = 0
        while (passed := time.monotonic() - began) < self._seconds:
            if passed > self._seconds * (self.done["supervisor"] + 0.5) / SUPERVISORS:
                self._kill_supervisor()
            self._kill_worker()
            at += 1
            time.sleep(max(0.0, began + at * KILL_EVERY - time.monotonic()))
            at = max(at, int((time.monotonic() - began) / KILL_EVERY))
        self._over.set()
        changing.join()

    def _kill_worker(self) -> None:
        try:
            pids = self._bench.pids()
        except (KhiveError, OSError):
            return
        if pids:
            kill(self._draw.choice(pids))
            self.done["workers"] += 1

    def _kill_supervisor(self) -> None:
        kill(self._bench.khive.status()["pid"])
        self.done["supervisor"] += 1
        while True:
            try:
                return self._bench.khive.start()
            except subprocess.CalledProcessError as error:
                self.done[f"start failed: {error.stderr[-200:]}"] += 1

    def _reload(self) -> None:
        turn = 0
        while not self._over.wait(RELOAD_EVERY):
            turn += 1
            self._bench.configure(ROLES, turn=turn, settings=SETTINGS)
            try:
                self.reloads[self._bench.reload()["state"]] += 1
            except (KhiveError, OSError):
                self.reloads["not answered"] += 1


def measure(context: Context) -> list[Row]:
    """The row of tasks under kills."""
    tasks = context.times(TASKS)
    with working(context.work) as bench:
        bench.configure(ROLES, settings=SETTINGS)
        bench.khive.start()
        bench.until_ready(ROLES)
        numbers = range(tasks)
        submitters = [
            Submitter(bench, role, numbers[at :: len(ROLES)], PACE / len(ROLES), again=True)
            for at, role in enumerate(ROLES)
        ]
        killer = Killer(bench, tasks / PACE)
        given = run_all(submitters, killer.run)
        began = time.monotonic()
        found = account(bench, given.tasks)
        after = time.monotonic() - began
    lost = found.lost + tasks - len(given.tasks)
    return [
        Row(
            what=f"{tasks} tasks while a worker is killed every {KILL_EVERY * 1000:.0f} ms, the "
            f"supervisor {killer.done['supervisor']} times, and roles are reloaded",
            target="0 lost, 0 accepted twice",
            khive=f"{lost} lost, {found.doubled} accepted twice; {killer.done['workers']} workers "
            f"killed, {found.counts.get('requeued', 0)} tasks begun again",
            met=not (lost or found.doubled),
            notes=(
                (
                    f"SIGKILL; the supervisor is started again at once. {PACE:g} tasks a second by "
                    f"agents.assign; what was not acknowledged ({given.repeated} times) was sent "
                    "again with the same idempotency key in a new conversation. Results that were "
                    f"refused since their claim was lost: {found.counts.get('fenced', 0)}. "
                    f"Reloads: {dict(killer.reloads)}. All was done {after:.1f} s after the last "
                    "was given."
                ),
            ),
            data={
                "events": found.counts,
                "kills": dict(killer.done),
                "reloads": dict(killer.reloads),
                "errors": dict(given.refused),
                "after_s": after,
            },
        )
    ]
