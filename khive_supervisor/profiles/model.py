"""Profiles, their events and their bindings, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from khive_supervisor.profiles.names import ACTIVE
from khive_supervisor.profiles.posterior import Beta

#: The profile that serves whatever no binding names.
DEFAULT = "balanced-recall-v1"
#: Matches every actor, namespace or kind of consumer in a binding.
ANY = "*"
#: The priors of a profile that is not seeded: their means are 0.7, 0.2 and 0.1.
RELEVANCE, SALIENCE, TEMPORAL = Beta(7.0, 3.0), Beta(2.0, 8.0), Beta(1.0, 9.0)
#: Priorities of bindings are from minus this to this.
PRIORITY_LIMIT = 1000

# --- kinds of events ------------------------------------------------------------------------------

CREATED, RESET, LIFECYCLE, PURGED = "created", "reset", "lifecycle", "purged"
FEEDBACK, AUTO_FEEDBACK, IMPLICIT = "feedback", "auto_feedback", "implicit"
#: Those that a profile's `events` counts.
COUNTED_KINDS = (FEEDBACK, AUTO_FEEDBACK, IMPLICIT)
#: What events can be counted by.
EVENT_GROUPS = ("kind", "signal", "profile", "day", "actor")


@dataclass(frozen=True, slots=True)
class Weights:
    """The three posteriors of a profile, or their priors."""

    relevance: Beta = RELEVANCE
    salience: Beta = SALIENCE
    temporal: Beta = TEMPORAL

    def items(self) -> tuple[tuple[str, Beta], ...]:
        """The weights' names and posteriors, in the order of `signals.WEIGHTS`."""
        return (
            ("relevance", self.relevance),
            ("salience", self.salience),
            ("temporal", self.temporal),
        )


@dataclass(frozen=True, slots=True)
class Profile:
    """A profile as stored. Times are unix seconds of the wall clock.

    `epoch` counts its resets, `events` the feedback that was logged for it; in a copy that was
    cached, `events` and `updated_at` may be a little behind, the posteriors never.
    """

    id: int
    name: str
    description: str
    consumer_kind: str
    lifecycle: str
    builtin: bool
    epoch: int
    events: int
    created_at: float
    updated_at: float
    priors: Weights
    weights: Weights

    @property
    def active(self) -> bool:
        """Whether it may serve."""
        return self.lifecycle == ACTIVE


@dataclass(frozen=True, slots=True)
class Binding:
    """Which profile serves whom; `*` in a field matches everything."""

    profile: str
    actor: str = ANY
    namespace: str = ANY
    consumer_kind: str = ANY
    priority: int = 0
    created_at: float = 0.0

    @property
    def key(self) -> tuple[str, str, str]:
        """What it matches: one binding for each."""
        return self.actor, self.namespace, self.consumer_kind


@dataclass(frozen=True, slots=True)
class BindingFilter:
    """Which bindings; a field that is None does not count."""

    profile: str | None = None
    actor: str | None = None
    namespace: str | None = None
    consumer_kind: str | None = None

    def matches(self, binding: Binding) -> bool:
        """Whether every field that is given is the binding's own."""
        return all(
            wanted is None or wanted == found
            for wanted, found in (
                (self.profile, binding.profile),
                (self.actor, binding.actor),
                (self.namespace, binding.namespace),
                (self.consumer_kind, binding.consumer_kind),
            )
        )


#: Lets every binding through.
ALL_BINDINGS = BindingFilter()


@dataclass(frozen=True, slots=True)
class NewEvent:
    """Feedback to be recorded. Without a signal it is noted and counts nothing.

    `scorer_run` and `serve` together name a judgement that is counted once, whoever sends it.
    """

    profile: str
    kind: str
    signal: str | None = None
    entry_id: int | None = None
    actor: str = ""
    namespace: str = ""
    session: str = ""
    scorer_run: str | None = None
    serve: str | None = None
    latency_us: int | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Recorded:
    """What became of one event: its number, what the signal says, and how much of it counted.

    `duplicate`: the judgement had been recorded before, as `seq`; nothing was done.
    """

    seq: int
    weight: float
    counted: float
    duplicate: bool = False


@dataclass(frozen=True, slots=True)
class ProfileEvent:
    """An event as logged. `weight`: what the signal says; `counted`: what of it was admitted."""

    seq: int
    at: float
    kind: str
    signal: str | None
    entry_id: int | None
    weight: float
    counted: float
    actor: str
    namespace: str
    session: str
    scorer_run: str | None
    serve: str | None
    detail: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Target:
    """What a profile has learned about one entry, from how many events."""

    posterior: Beta
    events: int


@dataclass(frozen=True, slots=True)
class Mass:
    """How much one source has said of late about one target, as of a time."""

    mass: float
    at: float


@dataclass(frozen=True, slots=True)
class ProfileState:
    """Everything that events have made of a profile; masses by (entry id, source)."""

    weights: Weights
    targets: Mapping[int, Target]
    masses: Mapping[tuple[int, str], Mass]
    events: int
    epoch: int
    lifecycle: str


@dataclass(frozen=True, slots=True)
class EventCount:
    """A number of events of one group, and the sum of what counted."""

    group: str
    events: int
    counted: float
