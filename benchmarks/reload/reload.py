"""Whether reloads that change every role lose, refuse or delay tasks."""

from __future__ import annotations

import time
from collections import Counter

from benchmarks.core.context import Context
from benchmarks.core.report import Row
from benchmarks.roles.rolework import RoleWork, Submitter, account, run_all, working

ROLES = {"one": 2, "two": 2}
TASKS, RELOADS = 10_000, 50
#: Tasks before the first reload, to compare with.
STILL = 3_000
#: Tasks a second, of all roles together.
PACE = 200.0
#: How much longer the slowest hundredth may wait during reloads.
LIMIT = 2.0


def measure(context: Context) -> list[Row]:
    """The row of reloads under load."""
    tasks, reloads, still = (context.times(n) for n in (TASKS, RELOADS, STILL))
    ended: Counter[str] = Counter()
    times: list[float] = []
    with working(context.work) as bench:
        bench.configure(ROLES)
        bench.khive.start()
        bench.until_ready(ROLES)
        before = run_all(_submitters(bench, 0, still))

        def change() -> None:
            each = tasks / PACE / reloads
            first = time.monotonic()
            for turn in range(1, reloads + 1):
                bench.configure(ROLES, turn=turn)
                began = time.monotonic()
                result = bench.reload()
                times.append((time.monotonic() - began) * 1000)
                ended[result["state"]] += 1
                time.sleep(max(0.0, first + turn * each - time.monotonic()))

        during = run_all(_submitters(bench, still, tasks), change)
        found = account(bench, before.tasks | during.tasks)
        gaps = bench.gaps(ROLES)
    quiet, busy = found.sample(before.tasks), found.sample(during.tasks)
    refused = before.refused.total() + during.refused.total()
    factor = busy.quantile(0.99) / quiet.quantile(0.99)
    gap = sum(gaps.values())
    wrong = refused or found.lost or found.doubled or gap or ended["done"] != reloads
    return [
        Row(
            what=f"{tasks} tasks during {reloads} reloads that change every role, "
            f"{sum(ROLES.values())} workers",
            target=f"0 refused, lost, accepted twice; p99 wait <= {LIMIT:g}x; 0 ms without a "
            "ready worker",
            khive=f"{refused} refused, {found.lost} lost, {found.doubled} accepted twice; wait "
            f"{busy.show('ms', 50, 99)}; without reloads {quiet.show('ms', 50, 99)}: p99 "
            f"{factor:.1f}x; {gap:.0f} ms without a ready worker",
            met=not wrong and factor <= LIMIT,
            notes=(
                (
                    f"{len(ROLES)} roles of two workers that call a function; {PACE:g} tasks a "
                    f"second by agents.assign, at most {during.behind:.0f} ms behind that. Wait: "
                    "from queued to claimed, by the times of the tasks' events. Without a ready "
                    "worker: by what the pools write to the log at each change of how many take "
                    f"tasks. Reloads ended: {dict(ended)}, at most {max(times):.0f} ms each."
                ),
            ),
            data={
                "during": busy.as_dict(),
                "still": quiet.as_dict(),
                "gaps_ms": gaps,
                "events": found.counts,
                "reload_ms": times,
            },
        )
    ]


def _submitters(bench: RoleWork, first: int, count: int) -> list[Submitter]:
    """One for each role; their numbers are distinct."""
    numbers = range(first, first + count)
    return [
        Submitter(bench, role, numbers[at :: len(ROLES)], PACE / len(ROLES))
        for at, role in enumerate(ROLES)
    ]
