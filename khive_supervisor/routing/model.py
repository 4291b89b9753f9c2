"""Candidates as a choice sees them, and what there is to know of each; pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypedDict

from khive_supervisor.profiles.posterior import Beta

#: The classes of prices, the cheapest first.
PRICES = ("free", "cheap", "standard", "dear")
FREE = PRICES[0]

#: Why a candidate could not work. It is no fault of the task, and says nothing of the skill.
RATE_LIMITED, OVERLOADED = "rate_limited", "overloaded"
NO_KEY, NO_PROGRAM = "no_key", "no_program"
FAULTS = (RATE_LIMITED, OVERLOADED, NO_KEY, NO_PROGRAM)


@dataclass(frozen=True, slots=True)
class CandidateOffer:
    """A candidate as its role offers it, in the order of the configuration.

    `task_types` empty: all. `size_min` and `size_max` are bytes of a payload; 0 is no bound.
    """

    name: str
    digest: str
    price: str = "standard"
    task_types: tuple[str, ...] = ()
    size_min: int = 0
    size_max: int = 0

    def takes(self, task_type: str, size: int) -> bool:
        """Return True if its rules let it do a task."""
        if self.task_types and task_type not in self.task_types:
            return False
        return self.size_min <= size and not 0 < self.size_max < size

    @property
    def rank(self) -> int:
        """Return how dear its class is: 0 is the cheapest."""
        return PRICES.index(self.price)


@dataclass(frozen=True, slots=True)
class Unavailable:
    """An attempt that a candidate could not make.

    `kind` is one of `FAULTS`, `retry_after` the seconds that it named, if it did. `begun`: it may
    have changed something before, so that nobody else can simply take its place.
    """

    kind: str
    retry_after: float | None = None
    begun: bool = False


@dataclass(frozen=True, slots=True)
class CandidateRecord:
    """How one candidate did at a type of task on one day (days since 1970, UTC).

    `cost` is in millionths of a US dollar. Attempts that it could not make are in none.
    """

    digest: str
    task_type: str
    day: int
    executions: int
    successes: int
    quality_sum: float = 0.0
    qualities: int = 0
    latency_sum: float = 0.0
    cost: int = 0
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class RoutedTask:
    """A task that a candidate is chosen for: `size` is its payload's, in bytes.

    `asked` is the candidate that the caller named; `tried` could not do it in this attempt.
    """

    task_type: str
    size: int = 0
    asked: str = ""
    tried: frozenset[str] = frozenset()


class ConsideredAnswer(TypedDict, total=False):
    """One candidate of a choice as it is stored and shown; `interval` is only shown."""

    candidate: str
    price: str
    mean: float
    interval: list[float]
    n: float
    draw: float
    cost: float
    passed_over: str


class FailedOverAnswer(TypedDict):
    """A candidate that could not do the task, before another one was chosen."""

    candidate: str
    because: str


class RouteAnswer(TypedDict, total=False):
    """Why a candidate has a task, as it is stored and shown."""

    candidate: str
    digest: str
    because: str
    considered: list[ConsideredAnswer]
    failed_over: list[FailedOverAnswer]


@dataclass(frozen=True, slots=True)
class Considered:
    """One candidate in a choice; `passed_over` is why it was not among those compared.

    `cost` is what a task of this type takes on average, in dollars; None: not known.
    """

    name: str
    price: str
    passed_over: str = ""
    belief: Beta | None = None
    draw: float = 0.0
    cost: float | None = None

    def explained(self) -> ConsideredAnswer:
        """Return it as it is stored: without the interval, which takes longer than the choice."""
        shown: ConsideredAnswer = {"candidate": self.name, "price": self.price}
        if self.belief is not None:
            shown["mean"] = round(self.belief.mean, 4)
            shown["n"] = round(self.belief.ess, 2)
            shown["draw"] = round(self.draw, 4)
        if self.cost is not None:
            shown["cost"] = round(self.cost, 6)
        if self.passed_over:
            shown["passed_over"] = self.passed_over
        return shown


def with_intervals(route: RouteAnswer) -> RouteAnswer:
    """Return a stored choice as it is shown: with the interval of what was believed of each."""
    if "considered" not in route:
        return route
    return {**route, "considered": [_with_interval(one) for one in route["considered"]]}


def _with_interval(one: ConsideredAnswer) -> ConsideredAnswer:
    if "mean" not in one or "n" not in one:
        return one
    mean = min(max(one["mean"], 1e-4), 1.0 - 1e-4)  # as it was rounded
    low, high = Beta(one["n"] * mean, one["n"] * (1.0 - mean)).interval()
    return {**one, "interval": [round(low, 4), round(high, 4)]}


@dataclass(frozen=True, slots=True)
class RouteChoice:
    """What was chosen, and why. No `offer`: nobody can do it now; `retry_at` is when to look again.

    `retry_at` None: only another budget or configuration can change it.
    """

    offer: CandidateOffer | None
    because: str
    considered: tuple[Considered, ...] = ()
    retry_at: float | None = None

    def explained(self) -> RouteAnswer:
        """Return it for people and programs."""
        offer = self.offer
        return {
            "candidate": offer.name if offer else "",
            "digest": offer.digest if offer else "",
            "because": self.because,
            "considered": [one.explained() for one in self.considered],
        }


@dataclass(frozen=True, slots=True)
class RoutingFacts:
    """What is known when a choice is made.

    Attributes:
        records: of the candidates' digests, any order.
        waits: by digest, from when a candidate may be asked that is not available now.
        budget: the state of the role's account.
        now: seconds on the clock that the breakers' times are of.
        today: days since 1970.
    """

    now: float
    today: int
    budget: str = "unlimited"
    records: tuple[CandidateRecord, ...] = ()
    waits: Mapping[str, float] = field(default_factory=dict)
