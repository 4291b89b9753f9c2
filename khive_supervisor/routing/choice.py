"""The choice of a candidate for one task, with its reasons; pure.

In this order: what the caller asked for, the rules of the candidates, who is available, what the
budget allows, and what was learned. Each step only narrows what the one before has left.

What was learned decides by Thompson sampling: each candidate draws from what is believed of it.
Of those whose draw is within `MARGIN` of the highest, the cheapest does the task.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from khive_supervisor.profiles.posterior import Beta
from khive_supervisor.routing import learning
from khive_supervisor.routing.model import (
    FREE,
    CandidateOffer,
    Considered,
    RouteChoice,
    RoutedTask,
    RoutingFacts,
)

#: Points of success that may be given up for a cheaper candidate.
MARGIN = 0.01
#: The share of the executions at a type that may go to others than the best known, and how many
#: of them may in any case, for each candidate.
EXPLORED, EXPLORED_LEAST = 0.1, 10.0

_Offers = list[CandidateOffer]


@dataclass(frozen=True, slots=True)
class _Compared:
    """One candidate that could do the task: what is believed of it, and what it drew."""

    offer: CandidateOffer
    belief: Beta
    draw: float
    cost: float | None

    @property
    def cheapness(self) -> tuple[int, float]:
        """Return what the cheaper one has less of: its class, then what its tasks have cost."""
        return self.offer.rank, self.cost or 0.0


def choose(
    offers: Sequence[CandidateOffer], task: RoutedTask, facts: RoutingFacts, rng: Random
) -> RouteChoice:
    """Choose a candidate for a task; every one that is passed over has its reason."""
    narrowing = _Narrowing(offers)
    reasons = _narrow(narrowing, task, facts)
    if not narrowing.left:
        return RouteChoice(
            None, narrowing.last, narrowing.passed_over(), _retry_at(narrowing, facts)
        )
    compared = [_compare(one, task, facts, rng) for one in narrowing.left]
    found, why = _select(compared)
    considered = (*(_considered(one) for one in compared), *narrowing.passed_over())
    return RouteChoice(found.offer, "; ".join([*reasons, why]), considered)


class _Narrowing:
    """The candidates that are left after each step, and why the others are not."""

    def __init__(self, offers: Sequence[CandidateOffer]) -> None:
        self.left: _Offers = list(offers)
        self.last = "there are no candidates"
        self.waiting: _Offers = []
        self._gone: list[Considered] = []

    def keep(self, test: Callable[[CandidateOffer], bool], why: str) -> None:
        """Pass over those that fail a test."""
        kept = [one for one in self.left if test(one)]
        for one in self.left:
            if one not in kept:
                self.last = why
                self._gone.append(Considered(one.name, one.price, why))
        self.left = kept

    def passed_over(self) -> tuple[Considered, ...]:
        """Return those that are not left."""
        return tuple(self._gone)


def _narrow(narrowing: _Narrowing, task: RoutedTask, facts: RoutingFacts) -> list[str]:
    """Take the steps before learning; return those that decided something, in words."""
    reasons = []
    if any(one.name == task.asked for one in narrowing.left):
        narrowing.keep(lambda one: one.name == task.asked, "the task asks for another")
        reasons.append("the task asks for it")
    elif any(one.takes(task.task_type, task.size) for one in narrowing.left):
        narrowing.keep(
            lambda one: one.takes(task.task_type, task.size), "its rules exclude the task"
        )
    narrowing.keep(lambda one: one.name not in task.tried, "it could not do it just now")
    narrowing.waiting = list(narrowing.left)
    narrowing.keep(lambda one: one.digest not in facts.waits, "it is not available")
    return [*reasons, *_within_budget(narrowing, facts.budget)]


def _within_budget(narrowing: _Narrowing, budget: str) -> list[str]:
    before = len(narrowing.left)
    if budget == "exceeded":
        narrowing.keep(lambda one: one.price == FREE, "the budget is exceeded")
    elif budget == "near" and narrowing.left:
        dearest = max(one.rank for one in narrowing.left)
        cheapest = min(one.rank for one in narrowing.left)
        narrowing.keep(lambda one: one.rank < dearest or dearest == cheapest, "the budget is near")
    if before == len(narrowing.left) or not narrowing.left:
        return []
    return [f"the budget is {budget}"]


def _retry_at(narrowing: _Narrowing, facts: RoutingFacts) -> float | None:
    """Return when the first candidate that waits may be asked again."""
    return min(
        (facts.waits[one.digest] for one in narrowing.waiting if one.digest in facts.waits),
        default=None,
    )


def _compare(
    offer: CandidateOffer, task: RoutedTask, facts: RoutingFacts, rng: Random
) -> _Compared:
    belief = learning.belief(facts.records, offer.digest, task.task_type, facts.today)
    cost = learning.mean_cost(facts.records, offer.digest, task.task_type)
    return _Compared(offer, belief, rng.betavariate(belief.alpha, belief.beta), cost)


def _considered(one: _Compared) -> Considered:
    return Considered(
        one.offer.name, one.offer.price, belief=one.belief, draw=one.draw, cost=one.cost
    )


def _select(compared: Sequence[_Compared]) -> tuple[_Compared, str]:
    """Return the one that does it, and why; exploration is bounded."""
    if len(compared) == 1:
        return compared[0], "no other is left"
    drawn = _cheapest(compared, lambda one: one.draw)
    known = _cheapest(compared, lambda one: one.belief.mean)
    if drawn is known:
        return drawn, f"the cheapest within {MARGIN:g} of the highest draw, and the best known"
    if _may_explore(compared, known):
        return drawn, f"the cheapest within {MARGIN:g} of the highest draw"
    return known, "the best known: enough tasks went to others"


def _cheapest(compared: Sequence[_Compared], value: Callable[[_Compared], float]) -> _Compared:
    best = max(value(one) for one in compared)
    return min((one for one in compared if value(one) >= best - MARGIN), key=lambda c: c.cheapness)


def _may_explore(compared: Sequence[_Compared], known: _Compared) -> bool:
    counts = [one.belief.ess - learning.PRIOR_STRENGTH for one in compared]
    total = sum(counts)
    elsewhere = total - (known.belief.ess - learning.PRIOR_STRENGTH)
    return elsewhere < max(EXPLORED_LEAST * (len(compared) - 1), EXPLORED * total)
