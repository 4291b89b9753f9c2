"""How a claimed task is done: by the role's own handler, by a candidate, or by its fallback.

All of it is part of the transactions of `ClaimTable`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from khive_supervisor.budgets.account import UNLIMITED, Account
from khive_supervisor.budgets.amounts import text
from khive_supervisor.routing.model import (
    FREE,
    FailedOverAnswer,
    RouteAnswer,
    RouteChoice,
    RoutedTask,
    Unavailable,
)
from khive_supervisor.sqlite.engine.database import Database
from khive_supervisor.sqlite.tasks.routing import RoutedAttempt, RoutingTable
from khive_supervisor.tasks.lease import Moment
from khive_supervisor.tasks.model import FALLBACK, Claim, Claimant

#: Seconds until a task is looked at again whose candidates cannot do it, if nothing says when that
#: may change.
LOOK_AGAIN = 30.0


@dataclass(frozen=True, slots=True)
class ClaimWay:
    """A claim as it goes to the worker: under which digest, what is set aside, and why so."""

    claim: Claim
    digest: str
    reserved: int = 0
    detail: str = ""
    route: RouteAnswer | None = None


@dataclass(frozen=True, slots=True)
class ClaimMoment:
    """When a claim is made: on the clock since boot, on the wall, and how the budget stands."""

    now: Moment
    wall: float
    account: Account | None


class ClaimWays:
    """Finds the way of each task that is claimed, and another one when that fails."""

    def __init__(self, database: Database, routing: RoutingTable) -> None:
        self._database = database
        self._routing = routing

    def find(self, claim: Claim, claimant: Claimant, at: ClaimMoment) -> ClaimWay | None:
        """Return how a task is done; None: no candidate can now, and it waits for one."""
        choice = None
        if claimant.candidates:
            choice = self._choose(claim.id, claim.task_type, claimant, frozenset(), at)
            if choice.offer is not None:
                return _by_candidate(claim, claimant, at.account, choice)
        account = at.account
        if account is not None and account.limits is not None and account.exceeded:
            claim = replace(claim, fallback=account.limits.fallback)
            if claim.fallback:
                return ClaimWay(claim, FALLBACK, detail=f"by the fallback: {account.why()}")
        if choice is None:
            return ClaimWay(claim, claimant.digest, *_aside(account))
        self._defer(claim.id, choice, at.now)
        return None

    def _choose(
        self, task_id: int, task_type: str, claimant: Claimant, tried: frozenset[str],
        at: ClaimMoment,
    ) -> RouteChoice:  # fmt: skip
        asked, size = self._database.rows(
            "SELECT candidate, length(payload) FROM tasks WHERE id = ?", [task_id]
        )[0]
        state = UNLIMITED if at.account is None else at.account.state
        task = RoutedTask(task_type, size, asked, tried)
        return self._routing.choose(claimant, task, state, at.now, at.wall)

    def _defer(self, task_id: int, choice: RouteChoice, now: Moment) -> None:
        """Have a task wait for its candidates; the next one may need others."""
        wait = now.at + LOOK_AGAIN if choice.retry_at is None else choice.retry_at
        self._database.update("tasks", task_id, not_before=wait, boot=now.boot)

    def another(
        self,
        task_id: int,
        attempt: RoutedAttempt,
        claimant: Claimant,
        why: Unavailable,
        at: ClaimMoment,
    ) -> RouteAnswer | None:
        """Return who takes the place of a candidate that could not do its task; None: nobody."""
        choice = self._choose(task_id, attempt.task_type, claimant, attempt.tried, at)
        if choice.offer is None:
            return None
        failed: FailedOverAnswer = {"candidate": attempt.route["candidate"], "because": why.kind}
        before = attempt.route.get("failed_over", [])
        return {**choice.explained(), "failed_over": [*before, failed]}


def _by_candidate(
    claim: Claim, claimant: Claimant, account: Account | None, choice: RouteChoice
) -> ClaimWay:
    """Return a claim that a candidate has; for a free one nothing is set aside."""
    assert choice.offer is not None
    reserved, aside = (0, "") if choice.offer.price == FREE else _aside(account)
    detail = f"by {choice.offer.name}: {choice.because}" + (f"; {aside}" if aside else "")
    named = replace(claim, candidate=choice.offer.name)
    return ClaimWay(named, claimant.digest, reserved, detail, choice.explained())


def _aside(account: Account | None) -> tuple[int, str]:
    """Return what is set aside for a task that is claimed, and that in words."""
    if account is None or account.limits is None or account.reserve is None:
        return 0, ""
    amount = account.reserve.amount
    return amount, f"{text(amount, account.limits.unit)} is set aside"
