"""Whether selection by what is like a task beats selection by its type alone."""

from __future__ import annotations

import random
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter

from benchmarks.core.context import Context
from benchmarks.core.report import Row, Sample
from benchmarks.roles.attempts import TYPE, SessionTask, attempt_store, read_sessions
from benchmarks.roles.selection import BUSY, DAY, ROLES, WORKERS, drawn_rates, interval
from khive_supervisor.packs.agents.selecting import LOOKED_AT, attempts_alike
from khive_supervisor.tasks import selection
from khive_supervisor.tasks.likeness import AlikeAttempt
from khive_supervisor.tasks.model import QueueDepth, Record, RoleRow

#: Replays in other orders with other draws.
REPLAYS = 200
#: Assignments whose look is timed.
TIMED = 50
#: Points that may be lost where likeness says nothing.
LOST = 0.5

_DIGEST = "as it is"
_NAMES = tuple(f"role-{at}" for at in range(ROLES))

#: For each task, the tasks that are most like it, and how like.
Neighbours = Sequence[Sequence[tuple[int, float]]]


@dataclass(frozen=True, slots=True)
class Replay:
    """Tasks as they are replayed: the kind of each, how it ended, and what is most like it."""

    kinds: Sequence[str]
    resolved: Sequence[bool]
    near: Neighbours

    def rates(self, seed: int) -> dict[str, list[float]]:
        """The true success rate of each role at each kind; their average is the recorded one."""
        return drawn_rates(zip(self.kinds, self.resolved, strict=True), seed)


def measure(context: Context) -> list[Row]:
    """The rows of selection by likeness, where it tells kinds apart and where it does not."""
    if context.sessions is None:
        sys.exit("selection-alike is measured with agents' sessions: name them with --sessions.")
    tasks = read_sessions(context.sessions)
    near, took = _neighbours(tasks)
    kinds, resolved = [task.repository for task in tasks], [task.resolved for task in tasks]
    strewn = random.Random("kinds").sample(kinds, len(kinds))
    worlds = {
        "kinds are repositories": (kinds, 0.0),
        "kinds strewn over the tasks": (strewn, -LOST),
        "one kind": (["one"] * len(tasks), -LOST),
    }
    rows = [
        _row(context, name, Replay(given, resolved, near), least)
        for name, (given, least) in worlds.items()
    ]
    took_row = Row(
        what=f"the look for attempts alike in an assignment, among {len(tasks)}",
        target="",
        khive=Sample(tuple(took)).show("ms", 50, 99),
        met=None,
    )
    return [*rows, took_row]


def _neighbours(tasks: Sequence[SessionTask]) -> tuple[list[list[tuple[int, float]]], list[float]]:
    """What is like each task, of all tasks, and how long it took to find out in milliseconds."""
    names = {f"role{number}": number for number in range(len(tasks))}
    near, took = [], []
    with attempt_store(*names) as store:
        store.within("all")
        for name, number in names.items():
            store.tried(tasks[number], name)
        for task in tasks[:TIMED]:
            began = perf_counter()
            attempts_alike(store.context, TYPE, {"prompt": task.prompt})
            took.append((perf_counter() - began) * 1000)
        for number, task in enumerate(tasks):
            found = attempts_alike(store.context, TYPE, {"prompt": task.prompt}, most=len(tasks))
            others = [(names[one.role], one.likeness) for one in found]
            near.append([(other, likeness) for other, likeness in others if other != number])
    return near, took


def _row(context: Context, name: str, world: Replay, least: float) -> Row:
    seeds = range(context.times(REPLAYS))
    count = len(world.kinds)
    by = {
        alike: [_replay(world, world.rates(seed), seed, alike=alike) for seed in seeds]
        for alike in (True, False)
    }
    gains = [100 * (a - b) / count for a, b in zip(by[True], by[False], strict=True)]
    low, high = interval(gains)
    ours, theirs = (sum(by[alike]) / len(seeds) / count for alike in (True, False))
    mean = sum(gains) / len(gains)
    return Row(
        what=f"selection by what is like a task, {count} tasks of one type; {name}",
        target="95 % interval of the gain above 0" if least == 0.0 else f"no loss above {LOST}",
        khive=f"{ours:.1%} succeed; {mean:+.1f} points [{low:+.1f}, {high:+.1f}]",
        peers=(f"by type alone: {theirs:.1%}",),
        met=low > 0.0 if least == 0.0 else mean >= least,
        notes=(
            (
                "Constructed: all tasks are of one type, and at each kind within it the roles' "
                "true success rates lie evenly around the recorded share of resolved tasks, as in "
                "`selection`; who is good at what is drawn for each replay. Nobody is told the "
                "kinds. What is like a task is looked up once, by the product's own search in a "
                f"store of all; a replay sees the first {LOOKED_AT} that had been done by then. "
                "Strewn: every task has the kind of another one, so that likeness says nothing. "
                "The constants were chosen on commits of four repositories."
            ),
        ),
        data={"gain": Sample(tuple(gains)).as_dict(), "interval": [low, high]},
    )


def _replay(world: Replay, rates: Mapping[str, Sequence[float]], seed: int, *, alike: bool) -> int:
    """Go through all tasks once; return how many succeeded."""
    count = len(world.kinds)
    roles = [RoleRow(name, (TYPE,), _DIGEST, workers=WORKERS) for name in _NAMES]
    luck, draw = random.Random(f"luck {seed}"), random.Random(f"draw {seed}")
    records: dict[tuple[str, int], Record] = {}
    done: dict[int, AlikeAttempt] = {}
    at_work: list[tuple[int, int, str, bool]] = []
    successes = 0
    for at, task in enumerate(random.Random(seed).sample(range(count), count)):
        day = at // DAY
        for ended in [one for one in at_work if one[0] <= at]:
            at_work.remove(ended)
            _count(records, done, ended, day)
        depths = {name: QueueDepth(leased=sum(w[2] == name for w in at_work)) for name in _NAMES}
        near = _near(world.near[task], done) if alike else []
        known = list(records.values())
        chosen = selection.select(roles, TYPE, known, depths, day, draw, alike=near)
        assert chosen is not None
        success = luck.random() < rates[world.kinds[task]][_NAMES.index(chosen.role)]
        at_work.append((at + BUSY, task, chosen.role, success))
        successes += success
    return successes


def _near(
    found: Sequence[tuple[int, float]], done: Mapping[int, AlikeAttempt]
) -> list[AlikeAttempt]:
    """Return what had been done by then of the tasks that are most like one."""
    known = [(done[task], likeness) for task, likeness in found if task in done][:LOOKED_AT]
    return [
        AlikeAttempt(one.role, one.digest, one.day, one.success, likeness)
        for one, likeness in known
    ]


def _count(
    records: dict[tuple[str, int], Record],
    done: dict[int, AlikeAttempt],
    ended: tuple[int, int, str, bool],
    day: int,
) -> None:
    """Count an outcome when it is known, as the store does."""
    _, task, role, success = ended
    old = records.get((role, day)) or Record(role, TYPE, _DIGEST, day, 0, 0)
    records[role, day] = Record(
        role, TYPE, _DIGEST, day, old.executions + 1, old.successes + success
    )
    done[task] = AlikeAttempt(role, _DIGEST, day, float(success), 1.0)
