"""Whether the router finds who is good at what, through an outage and beyond a budget.

The store, the choice and the breakers are the real ones; who does a task is drawn by a candidate's
true skill at the task's type, which nobody knows. Time is the simulation's own.
"""

from __future__ import annotations

import datetime as dt
import random
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.core.context import Context
from benchmarks.core.report import Row
from khive_supervisor.budgets.limits import BudgetLimits
from khive_supervisor.routing.model import RATE_LIMITED, CandidateOffer, Unavailable
from khive_supervisor.sqlite.store import SqliteStore
from khive_supervisor.tasks.lease import Moment
from khive_supervisor.tasks.model import (
    DONE,
    FAILED,
    Claim,
    Claimant,
    Finished,
    NewTask,
    Outcome,
    Usage,
)

TASKS, WORLDS = 10_000, 5
TYPES = ("fix", "review", "docs")
NAMES = ("dear", "cheap", "free")
OFFERS = tuple(CandidateOffer(name, f"digest-{name}", name) for name in NAMES)
ME = Claimant("coder", "worker", 1, "whole", candidates=OFFERS)
#: Skills are drawn between these, for each candidate and type; the dear one is the best on average.
SKILLS = (0.6, 0.95)
#: Dollars that a task takes; by up to half of that more or less.
COSTS = {"dear": 0.30, "cheap": 0.06, "free": 0.0}
#: Seconds that a task takes, and that a refusal takes.
SECONDS, REFUSED = 30.0, 1.0
#: The first moment: a Monday's, and a month's.
BEGINS = dt.datetime(2026, 6, 1, tzinfo=dt.UTC).timestamp()
#: The part of the tasks while the dear one is away. The budget is this share of what the best
#: candidate for each type would cost, and is near its limit from the other one on.
AWAY, BUDGET, NEAR = (0.30, 0.36), 0.92, 0.98
MICRO = 1_000_000
#: Success that the router may be behind the best fixed choice.
BEHIND = 0.02
#: Tasks of one transaction: nothing is measured of the disk here.
TOGETHER = 500


@dataclass(slots=True)
class World:
    """The truth of one replay: skills by candidate and type, and luck and price of each task."""

    seed: int
    tasks: int
    skills: dict[str, dict[str, float]] = field(init=False)
    types: list[str] = field(init=False)
    luck: list[float] = field(init=False)
    scale: list[float] = field(init=False)

    def __post_init__(self) -> None:
        """Draw it."""
        draw = random.Random(self.seed)
        skills = [{one: draw.uniform(*SKILLS) for one in TYPES} for _ in NAMES]
        skills.sort(key=lambda one: -sum(one.values()))
        self.skills = dict(zip(NAMES, skills, strict=True))
        self.types = draw.choices(TYPES, k=self.tasks)
        self.luck = [draw.random() for _ in range(self.tasks)]
        self.scale = [draw.uniform(0.5, 1.5) for _ in range(self.tasks)]

    def done(self, name: str, number: int) -> bool:
        """Return whether a candidate does a task well."""
        return self.luck[number] < self.skills[name][self.types[number]]

    def cost(self, name: str, number: int) -> float:
        """Return what that costs in dollars."""
        return COSTS[name] * self.scale[number]

    @property
    def limit(self) -> float:
        """Return the budget in dollars."""
        best = {one: max(NAMES, key=lambda name: self.skills[name][one]) for one in TYPES}
        return BUDGET * sum(self.cost(best[self.types[at]], at) for at in range(self.tasks))

    def fixed(self, name: str) -> tuple[float, float]:
        """Return success and cost if one did all tasks, never away and without a budget."""
        good = sum(self.done(name, number) for number in range(self.tasks))
        return good / self.tasks, sum(self.cost(name, number) for number in range(self.tasks))

    def hindsight(self) -> str:
        """Return the best fixed choice."""
        return max(NAMES, key=lambda name: self.fixed(name)[0])

    def within(self, name: str) -> float:
        """Return the success of a fixed choice that the budget binds, with the free one beyond it.

        It is never away.
        """
        good, spent, limit = 0, 0.0, self.limit
        for number in range(self.tasks):
            who = name if spent < limit else "free"
            good, spent = good + self.done(who, number), spent + self.cost(who, number)
        return good / self.tasks


@dataclass(slots=True)
class Replayed:
    """What came of a world's tasks by the router."""

    success: float
    cost: float
    had: Counter[str]
    failed_over: int
    unexplained: int
    lost: int
    beyond: int


class Replay:
    """One worker that does all tasks of a world, one after the other, as a role's worker does."""

    def __init__(self, path: Path, world: World) -> None:
        self._world = world
        self._now, self._wall = Moment("boot", 0.0), BEGINS
        self._store = SqliteStore(str(path), clock=lambda: self._wall)
        self._failed_over = 0

    def run(self) -> Replayed:
        """Return what came of it."""
        limits = BudgetLimits(
            monthly=round(self._world.limit * MICRO), near=round(NEAR * MICRO), free=True
        )
        with self._store:
            self._store.budgets.set_limits({"coder": limits})
            with self._store.transaction():
                ids = [self._give(number) for number in range(self._world.tasks)]
            claim: Claim | None = None
            while claim is not None or self._store.tasks.queue_depths():
                with self._store.transaction():
                    for _ in range(TOGETHER):
                        claim = claim or self._store.tasks.claim(ME, self._now)
                        if claim is None:
                            self._pass(SECONDS)
                        else:
                            claim = self._do(claim, claim.id - ids[0])
            return self._counted(ids)

    def _give(self, number: int) -> int:
        new = NewTask("coder", self._world.types[number], {"number": number}, attempts_max=1)
        return self._store.tasks.assign(new)[0].id

    def _pass(self, seconds: float) -> None:
        self._now, self._wall = self._now.after(seconds), self._wall + seconds

    def _do(self, claim: Claim, number: int) -> Claim | None:
        """Do one task by its candidate, or by the next ones; return the claim that follows."""
        tasks, candidate, fault = self._store.tasks, claim.candidate, Unavailable(RATE_LIMITED)
        while self._away(candidate, number):
            self._pass(REFUSED)
            route = tasks.fail_over(claim.id, claim.token, ME, fault, self._now)
            if route is None:
                outcome = Outcome(FAILED, error="429", unavailable=fault)
                return self._end(claim, outcome).next
            candidate = route["candidate"]
            self._failed_over += 1
        self._pass(SECONDS)
        usage = Usage(round(self._world.cost(candidate, number) * MICRO), 1000)
        if self._world.done(candidate, number):
            return self._end(claim, Outcome(DONE, {}, latency=SECONDS, usage=usage)).next
        failed = Outcome(FAILED, error="wrong", latency=SECONDS, usage=usage, final=True)
        return self._end(claim, failed).next

    def _away(self, candidate: str, number: int) -> bool:
        begins, ends = (round(share * self._world.tasks) for share in AWAY)
        return candidate == "dear" and begins <= number < ends

    def _end(self, claim: Claim, outcome: Outcome) -> Finished:
        return self._store.tasks.finish(claim.id, claim.token, outcome, self._now, ME)

    def _counted(self, ids: Sequence[int]) -> Replayed:
        ended = [one for number in ids if (one := self._store.tasks.find(number)) is not None]
        routes = [one.route for one in ended if one.route is not None]
        explained = [r for r in routes if r["because"] and len(r["considered"]) == len(OFFERS)]
        whole = [one for one in ended if one.state in (DONE, FAILED) and one.attempts == 1]
        usage = self._store.budgets.accounts()[0].spent
        month = next(one for one in usage if one.window.name == "month")
        return Replayed(
            sum(one.state == DONE for one in ended) / len(ids),
            month.cost / MICRO,
            Counter(route["candidate"] for route in routes),
            self._failed_over,
            len(ids) - len(explained),
            len(ids) - len(whole),
            sum("exceeded" in route["because"] for route in routes),
        )


def measure(context: Context) -> list[Row]:
    """The row of the router."""
    work = context.work / "router"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    tasks = context.times(TASKS)
    worlds = [World(seed, tasks) for seed in range(1, context.times(WORLDS) + 1)]
    return [_row([(one, Replay(work / f"{one.seed}.db", one).run()) for one in worlds], tasks)]


def _row(found: Sequence[tuple[World, Replayed]], tasks: int) -> Row:
    fixed = [world.fixed(world.hindsight()) for world, _ in found]
    gains = [one.success - good for (_, one), (good, _) in zip(found, fixed, strict=True)]
    gain, cost = _mean(gains), _mean([one.cost for _, one in found])
    lost, unexplained = sum(one.lost for _, one in found), sum(o.unexplained for _, o in found)
    best, dearer = _mean([good for good, _ in fixed]), _mean([price for _, price in fixed])
    within = _mean([max(world.within(name) for name in NAMES) for world, _ in found])
    had = sum((one.had for _, one in found), Counter[str]())
    share = {name: f"{had[name] / had.total():.0%}" for name in NAMES}
    return Row(
        what=f"router: {tasks} tasks, three candidates of unknown skill and price, one fails for a "
        f"while, the budget runs out; {len(found)} worlds",
        target="success within 2 points of the best fixed choice in hindsight, cost lower; 0 tasks "
        "lost, every choice explained",
        khive=f"{_mean([o.success for _, o in found]):.1%} succeed, {gain * 100:+.1f} points "
        f"({', '.join(f'{one * 100:+.1f}' for one in gains)}), ${cost:,.0f}; {lost} lost, "
        f"{unexplained} unexplained; by the dear {share['dear']}, the cheap {share['cheap']}, the "
        f"free {share['free']}",
        peers=(
            f"best fixed choice, never away, no budget: {best:.1%}, ${dearer:,.0f}",
            f"the same within the budget, the free one beyond it: {within:.1%}",
        ),
        met=gain >= -BEHIND and cost < dearer and not lost and not unexplained,
        notes=(
            (
                f"Constructed: skills from {SKILLS[0]:g} to {SKILLS[1]:g} are drawn for each of "
                f"{len(TYPES)} types and candidates, which are sorted so that the dearer is better "
                "on average, not at each type. The dear one answers 429 for "
                f"{AWAY[1] - AWAY[0]:.0%} of the tasks; the budget is {BUDGET:.0%} of what the "
                "best candidate for each type would cost. The store, the choice, budgets, "
                f"breakers and failover are the real ones: {sum(o.failed_over for _, o in found)} "
                f"failovers within an attempt, {sum(o.beyond for _, o in found)} tasks beyond the "
                "budget."
            ),
        ),
        data={"gains": gains, "costs": [one.cost for _, one in found], "had": dict(had)},
    )


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
