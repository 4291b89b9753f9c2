"""Which role gets a task that names only its type.

Each role that declares the type draws from what is believed of it (Thompson sampling): a role that
is known to be good draws high, one of which little is known draws anything, and so is tried now and
then. What it did at tasks like this one counts more than the rest of its type. What it draws is
divided by how busy it is. The answer explains itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from khive_supervisor.profiles.posterior import Beta
from khive_supervisor.tasks import likeness
from khive_supervisor.tasks.likeness import NOTHING_ALIKE, AlikeAttempt, AlikeEvidence
from khive_supervisor.tasks.model import QueueDepth, Record, RoleRow
from khive_supervisor.tasks.records import expertise

#: Where every role's budget takes tasks.
NONE_EXCEEDED: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class Score:
    """How one candidate did in a selection; `n`: how many executions the belief is worth.

    `alike` is what its attempts at tasks like this one say.
    """

    role: str
    belief: Beta
    load: float
    draw: float
    alike: AlikeEvidence = NOTHING_ALIKE

    @property
    def score(self) -> float:
        """What it draws, shared among what it has to do."""
        return self.draw / (1.0 + self.load)

    def explained(self) -> dict[str, Any]:
        """For people and agents to read."""
        low, high = self.belief.interval()
        alike = self.alike
        success = {"success": round(alike.success, 4)} if alike.weight else {}
        return {
            "role": self.role,
            "mean": round(self.belief.mean, 4),
            "interval": [round(low, 4), round(high, 4)],
            "n": round(self.belief.ess, 2),
            "load": round(self.load, 3),
            "draw": round(self.draw, 4),
            "score": round(self.score, 4),
            **({"alike": {"attempts": alike.attempts, **success}} if alike.attempts else {}),
        }


@dataclass(frozen=True, slots=True)
class RoleSelection:
    """The role that was selected, and how all did, best first."""

    role: str
    scores: tuple[Score, ...]
    #: Roles that were passed over, and why.
    skipped: Mapping[str, str] = field(default_factory=dict)

    def explained(self) -> dict[str, Any]:
        """For people and agents to read."""
        passed_over = [{"role": role, "because": why} for role, why in self.skipped.items()]
        alike = any(score.alike.attempts for score in self.scores)
        return {
            "selected": self.role,
            "because": "the highest score: a draw from what its record is worth, divided by 1 + "
            "load (tasks for each of its workers)"
            + ("; attempts at tasks like this one (alike) count more" if alike else ""),
            "candidates": [score.explained() for score in self.scores],
            **({"skipped": passed_over} if passed_over else {}),
        }


def candidates(roles: Iterable[RoleRow], task_type: str) -> list[RoleRow]:
    """The roles that declare a type of task: those in service, or if there is none, all."""
    declared = [role for role in roles if task_type in role.task_types]
    return [role for role in declared if role.in_service] or declared


def load(role: RoleRow, depth: QueueDepth) -> float:
    """Tasks that wait and are being done, for each worker."""
    return (depth.queued + depth.leased) / max(1, role.workers)


def select(
    roles: Sequence[RoleRow],
    task_type: str,
    records: Sequence[Record],
    depths: Mapping[str, QueueDepth],
    today: int,
    rng: Random,
    exceeded: Mapping[str, str] = NONE_EXCEEDED,
    alike: Sequence[AlikeAttempt] = (),
) -> RoleSelection | None:
    """Select a role for a type of task; None if no role declares it.

    `exceeded`: the roles whose budget takes no task now, and why. They are passed over, unless
    there are no others. `alike`: attempts of any role at tasks like this one.
    """
    found = candidates(roles, task_type)
    skipped = {role.role: exceeded[role.role] for role in found if role.role in exceeded}
    if len(skipped) == len(found):
        skipped = {}
    scores = []
    for role in (role for role in found if role.role not in skipped):
        own = [record for record in records if record.role == role.role]
        near = likeness.evidence(alike, role.role, role.digest, today)
        belief = likeness.weighed(expertise(own, task_type, role.digest, today), near)
        draw = rng.betavariate(belief.alpha, belief.beta)
        busy = load(role, depths.get(role.role, IDLE))
        scores.append(Score(role.role, belief, busy, draw, near))
    if not scores:
        return None
    scores.sort(key=lambda one: (-one.score, one.role))
    return RoleSelection(scores[0].role, tuple(scores), skipped)


#: A role with nothing to do.
IDLE = QueueDepth()
