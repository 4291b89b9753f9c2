"""Who holds which task: claims with tokens, and outcomes that count once."""

# ruff: noqa: S608 - statements are put together from this package's constants; values are bound
from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from khive_supervisor.budgets.account import Account
from khive_supervisor.errors import InvalidInput
from khive_supervisor.history.model import AttemptEnd
from khive_supervisor.routing.model import RouteAnswer, Unavailable
from khive_supervisor.sqlite.audit.table import AuditTable, fingerprint
from khive_supervisor.sqlite.engine.database import Database, Value
from khive_supervisor.sqlite.tasks.budgets import BudgetTable
from khive_supervisor.sqlite.tasks.executions import ExecutionTable
from khive_supervisor.sqlite.tasks.releases import DEADLINE, ReleaseTable
from khive_supervisor.sqlite.tasks.roles import RoleTable
from khive_supervisor.sqlite.tasks.routing import RoutedAttempt, RoutingTable, routed
from khive_supervisor.sqlite.tasks.rows import CLAIMED_COLUMNS, claim_of
from khive_supervisor.sqlite.tasks.ways import ClaimMoment, ClaimWay, ClaimWays
from khive_supervisor.tasks import lease, states
from khive_supervisor.tasks.bounds import (
    error_text,
    json_text,
    log_tail,
    progress_text,
    result_text,
)
from khive_supervisor.tasks.lease import Moment
from khive_supervisor.tasks.model import (
    CANCELLED,
    CLAIMED,
    DONE,
    ENDED,
    FAILED,
    FAILED_OVER,
    FENCED,
    LEASED,
    QUEUED,
    REQUEUED,
    Claim,
    Claimant,
    Finished,
    Outcome,
)
from khive_supervisor.text import wellformed

#: Whether a queued task may be claimed at `?2` in the boot `?3` by the node `?4`, which does those
#: of the members `?5` (JSON; null: of everybody). Of older ones nobody knows who gave them.
_DUE = (
    "waiting = 0 AND (not_before <= ?2 OR boot != ?3) AND node IN ('', ?4) AND (?5 IS NULL OR "
    "coalesce((SELECT member FROM task_members WHERE task_id = tasks.id), '') "
    "IN (SELECT '' UNION ALL SELECT value FROM json_each(?5)))"
)
_NEXT = (
    f"SELECT {CLAIMED_COLUMNS} FROM tasks WHERE role = ?1 AND state = 'queued' AND {_DUE} "
    "ORDER BY priority DESC, id LIMIT 1"
)


#: Among the givers: all members of the team.
EVERYBODY = "*"
#: Tasks that a claim looks at whose candidates cannot do them now.
_LOOKS = 20
_HELD = (
    "SELECT state, token, attempts, attempts_max, cancel_asked, role, task_type, digest, worker, "
    "route FROM tasks"
)


@dataclass(frozen=True, slots=True)
class _Held:
    """What the row of a task says of the attempt that holds it."""

    state: str
    token: int
    attempts: int
    attempts_max: int
    cancel_asked: int
    role: str
    task_type: str
    digest: str
    worker: str | None
    route: str | None

    @property
    def routed(self) -> RoutedAttempt | None:
        """Return the candidate that has it; None where the role has one handler."""
        return routed(self.role, self.task_type, self.route)


class ClaimTable(ReleaseTable):
    """The part of `TaskStore` for those who do the work."""

    def __init__(
        self,
        database: Database,
        clock: Callable[[], float],
        audit: AuditTable,
        roles: RoleTable,
        budgets: BudgetTable,
        executions: ExecutionTable,
        routing: RoutingTable,
        node: str = "",
        now: Callable[[], Moment] = lease.now,
    ) -> None:
        super().__init__(database, clock, audit, executions)
        self._node = node
        self._now = now
        self._roles = roles
        self._budgets = budgets
        self._routing = routing
        self._ways = ClaimWays(database, routing)

    def now(self) -> Moment:
        return self._now()

    def claim(self, claimant: Claimant, now: Moment) -> Claim | None:
        # A look first: most wake-ups find nothing, and should not wait for the write lock.
        waiting = f"SELECT 1 FROM tasks WHERE role = ?1 AND state = 'queued' AND {_DUE} LIMIT 1"
        asked: list[Value] = [claimant.role, now.at, now.boot, self._node, self._givers(claimant)]
        if not self._database.rows(waiting, asked):
            return None
        if not may_begin(self._budgets.check(claimant.role, self._clock())):
            return None
        if self._routing.all_wait(claimant, now):
            return None
        asked_at = self._clock()
        with self._database.write():
            wall = self._clock()
            # A team's turn may have been waited for: the lease begins when the claim is made.
            waited = wall - asked_at if self._database.shared else 0.0
            return self._claim(claimant, now.after(max(0.0, waited)), wall)

    def _givers(self, claimant: Claimant) -> str | None:
        """Return whose tasks somebody does, as JSON; None: everybody's, as on one machine."""
        if not self._node or EVERYBODY in claimant.givers:
            return None
        return json.dumps([self._database.value("SELECT member FROM replica"), *claimant.givers])

    def _claim(self, claimant: Claimant, now: Moment, wall: float) -> Claim | None:
        for _ in range(_LOOKS):
            claim = self._next(claimant, now, wall)
            # Under the write lock: nobody else can set aside the same rest of a limit.
            account = self._budgets.check(claimant.role, wall)
            if claim is None or not may_begin(account):
                return None
            way = self._ways.find(claim, claimant, ClaimMoment(now, wall, account))
            if way is not None:
                self._hold(way, claimant, wall)
                return way.claim
        return None

    def _next(self, claimant: Claimant, now: Moment, wall: float) -> Claim | None:
        """Return the role's next task, as it will be once claimed; late ones fail on the way."""
        asked: list[Value] = [
            claimant.role, now.at, now.boot, self._node, self._givers(claimant),
        ]  # fmt: skip
        while rows := self._database.rows(_NEXT, asked):
            claim = claim_of(rows[0], now.after(claimant.lease))
            if claim.deadline is None or wall < claim.deadline:
                return claim
            self._log.end(claim.id, wall, FAILED, claim.token - 1, DEADLINE)
            self.waits.ended(claim.id, wall)
        return None

    def _hold(self, way: ClaimWay, claimant: Claimant, wall: float) -> None:
        claim = way.claim
        self._database.update(
            "tasks", claim.id,
            state=LEASED, token=claim.token, attempts=claim.attempts, worker=claimant.worker,
            generation=claimant.generation, digest=way.digest, boot=claim.lease.boot,
            lease_until=claim.lease.at, progress=None, reserved=way.reserved,
            route=None if way.route is None else self._passed(json.dumps(way.route)),
            by_fallback=int(bool(claim.fallback)), started_at=wall,
        )  # fmt: skip
        self._log.add(claim.id, wall, CLAIMED, claim.token, claimant.worker, way.detail)

    def renew(self, task_id: int, token: int, until: Moment) -> bool:
        return self._while_held("boot = ?, lease_until = ?", [until.boot, until.at], task_id, token)

    def progress(self, task_id: int, token: int, text: str) -> bool:
        return self._while_held("progress = ?", [progress_text(text)], task_id, token)

    def note_log(self, task_id: int, token: int, text: str) -> bool:
        return self._while_held("log_tail = ?", [log_tail(self._written(text))], task_id, token)

    def note_session(self, task_id: int, token: int, session: str, counted: int) -> bool:
        change = "agent_session = ?, agent_counted = ?"
        return self._while_held(change, [session, counted], task_id, token)

    def _while_held(self, change: str, values: Sequence[Value], task_id: int, token: int) -> bool:
        with self._database.write():
            changed = self._database.changed(
                f"UPDATE tasks SET {change} WHERE id = ? AND token = ? AND state = 'leased'",
                [*values, task_id, token],
            )
        return changed == 1

    def cancelled(self, task_id: int, token: int) -> bool:
        return not self._database.rows(
            "SELECT 1 FROM tasks WHERE id = ? AND token = ? AND state = 'leased' "
            "AND NOT cancel_asked",
            [task_id, token],
        )

    def finish(
        self,
        task_id: int,
        token: int,
        outcome: Outcome,
        now: Moment,
        next_claim: Claimant | None = None,
    ) -> Finished:
        if outcome.state not in (DONE, FAILED, CANCELLED):
            raise InvalidInput(
                f"An attempt cannot come out {outcome.state!r}.",
                hint=f"It is {DONE}, {FAILED} or {CANCELLED}.",
            )
        outcome = self._admitted(outcome)
        result = self._passed(result_text(outcome.result)) if outcome.state == DONE else None
        with self._database.write():
            wall = self._clock()
            accepted, state = self._accept(task_id, token, outcome, result, now, wall)
            following = None if next_claim is None else self._claim(next_claim, now, wall)
        return Finished(accepted, state, following)

    def _admitted(self, outcome: Outcome) -> Outcome:
        """Return an outcome as it may be kept."""
        gate = self._database.gate
        return replace(
            outcome,
            result=gate.written_data(wellformed.data(outcome.result)),
            error=self._written(outcome.error),
            log_tail=self._written(outcome.log_tail),
            place=gate.written_data(wellformed.data(outcome.place)),
        )

    def _written(self, text: str | None) -> str | None:
        return None if text is None else self._database.gate.written(wellformed.text(text))

    def _passed(self, text: str) -> str:
        return self._database.gate.passed(text)

    def _accept(
        self,
        task_id: int,
        token: int,
        outcome: Outcome,
        result: str | None,
        now: Moment,
        wall: float,
    ) -> tuple[bool, str | None]:
        """Return whether the outcome counts, and the state of the task now; None: there is none."""
        rows = self._database.rows(f"{_HELD} WHERE id = ?", [task_id])
        if not rows:
            return False, None
        held = _Held(*rows[0])
        if held.routed is None:
            outcome = replace(outcome, unavailable=None)
        if held.state != LEASED or held.token != token:
            detail = f"{outcome.state}, when the task was {held.state} with token {held.token}"
            self._log.add(task_id, wall, FENCED, token, None, detail)
            return False, held.state
        after = states.after_outcome(
            outcome, held.attempts, held.attempts_max, now, cancel_asked=bool(held.cancel_asked)
        )
        self._store(task_id, outcome, result, after, wall)
        what = REQUEUED if after.state == QUEUED else after.state
        more = {} if result is None else {"result": fingerprint(result)}
        if not after.returned:  # nobody has attempted it
            entry = self._executions.record(task_id, AttemptEnd.of(outcome, after.state), wall)
            more["execution"] = f"e{entry}"
        error = error_text(outcome.error) or ""
        self._log.add(task_id, wall, what, token, held.worker, error, more=more)
        self._count(task_id, held, outcome, after, wall)
        self._note_route(task_id, held, outcome, after, now, wall)
        if after.state in ENDED:
            self.waits.ended(task_id, wall)
        return True, after.state

    def _store(
        self, task_id: int, outcome: Outcome, result: str | None, after: states.After, wall: float
    ) -> None:
        """Write what an attempt came to into the row of its task."""
        not_before, boot = _wait(after)
        self._database.update(
            "tasks", task_id,
            state=after.state, result=result, error=error_text(outcome.error),
            log_tail=log_tail(outcome.log_tail),
            quality=outcome.quality if after.state == DONE else None,
            not_before=not_before, boot=boot, lease_until=None,
            ended_at=wall if after.state in ENDED else None,
        )  # fmt: skip
        self._database.rows(
            "UPDATE tasks SET place = ?1 WHERE id = ?2 AND place IS NOT ?1",
            [self._passed(json_text("place", outcome.place)) if outcome.place else None, task_id],
        )

    def _count(
        self, task_id: int, held: _Held, outcome: Outcome, after: states.After, wall: float
    ) -> None:
        """Add what an attempt used and how it came out to its role's spending and records."""
        self._budgets.count(task_id, held.token, wall, outcome.usage)
        if after.state != CANCELLED and outcome.unavailable is None:
            success = after.state == DONE
            self._roles.count(
                held.role, held.task_type, held.digest, wall,
                success=success, quality=outcome.quality if success else None,
                latency=outcome.latency,
            )  # fmt: skip

    def _note_route(
        self, task_id: int, held: _Held, outcome: Outcome, after: states.After, now: Moment,
        wall: float,
    ) -> None:  # fmt: skip
        """Add what an attempt says of its candidate."""
        if after.returned:
            self._database.update("tasks", task_id, attempts=held.attempts - 1)
        attempt = held.routed
        if attempt is None or after.state == CANCELLED:
            return
        if outcome.unavailable is not None:
            self._routing.failed(attempt, outcome.unavailable, now)
        else:
            self._routing.ended(attempt, outcome, now, wall)

    def fail_over(
        self, task_id: int, token: int, claimant: Claimant, why: Unavailable, now: Moment
    ) -> RouteAnswer | None:
        with self._database.write():
            rows = self._database.rows(
                f"{_HELD} WHERE id = ? AND token = ? AND state = 'leased' AND NOT cancel_asked",
                [task_id, token],
            )
            attempt = _Held(*rows[0]).routed if rows else None
            if attempt is None:
                return None
            self._routing.failed(attempt, why, now)
            wall = self._clock()
            at = ClaimMoment(now, wall, self._budgets.check(claimant.role, wall))
            route = self._ways.another(task_id, attempt, claimant, why, at)
            if route is not None:
                self._database.update("tasks", task_id, route=self._passed(json.dumps(route)))
                detail = f"{attempt.route['candidate']} to {route['candidate']}: {why.kind}"
                self._log.add(task_id, wall, FAILED_OVER, token, claimant.worker, detail)
            return route


def may_begin(account: Account | None) -> bool:
    """Return True if a task may be claimed now: by its role's own handler, or the fallback."""
    return account is None or account.fits or (account.exceeded and not account.blocks)


def _wait(after: states.After) -> tuple[float, str]:
    """Return the columns `not_before` and `boot`."""
    if after.not_before is None:
        return 0.0, ""
    return after.not_before.at, after.not_before.boot
