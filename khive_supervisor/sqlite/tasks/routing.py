"""Candidates in the store: who gets a claimed task, who is available, and what each has learned."""

# ruff: noqa: S608 - statements are put together from this module's constants; values are bound
from __future__ import annotations

import json
from collections.abc import Callable, Collection
from dataclasses import dataclass
from random import Random
from typing import cast

from khive_supervisor.routing import breaker as breakers
from khive_supervisor.routing.breaker import CLOSED, Breaker
from khive_supervisor.routing.choice import choose
from khive_supervisor.routing.learning import FORGOTTEN
from khive_supervisor.routing.model import (
    CandidateRecord,
    RouteAnswer,
    RouteChoice,
    RoutedTask,
    RoutingFacts,
    Unavailable,
)
from khive_supervisor.sqlite.audit.table import AuditTable
from khive_supervisor.sqlite.engine.database import Database
from khive_supervisor.store.tasks import RoutingStore
from khive_supervisor.tasks.lease import Moment
from khive_supervisor.tasks.model import DONE, Claimant, Outcome, Usage
from khive_supervisor.tasks.records import day_of

_BREAKERS = "digest, state, faults, boot, until, fault"
_RECORDS = (
    "digest, task_type, day, executions, successes, quality_sum, qualities, latency_sum, cost, "
    "tokens"
)
_AMONG = "(SELECT value FROM json_each(?))"
_NOTHING = Usage()


@dataclass(frozen=True, slots=True)
class RoutedAttempt:
    """An attempt of a task that a candidate has, as its outcome is judged by."""

    role: str
    task_type: str
    route: RouteAnswer

    @property
    def subject(self) -> str:
        """Return what the audit chain calls the candidate."""
        return subject_of(self.role, self.route["candidate"])

    @property
    def tried(self) -> frozenset[str]:
        """Return the candidates that have been tried in this attempt."""
        before = (one["candidate"] for one in self.route.get("failed_over", []))
        return frozenset((*before, self.route["candidate"]))


def subject_of(role: str, candidate: str) -> str:
    """Return what the audit chain calls a candidate of a role."""
    return f"role/{role}/candidate/{candidate}"


def routed(role: str, task_type: str, route: str | None) -> RoutedAttempt | None:
    """Return what a row says of the candidate that has its task; None: it has none."""
    if route is None:
        return None
    return RoutedAttempt(role, task_type, cast("RouteAnswer", json.loads(route)))


class RoutingTable(RoutingStore):
    """`RoutingStore` on SQLite; what has no docstring of its own there is part of transactions."""

    def __init__(
        self,
        database: Database,
        clock: Callable[[], float],
        audit: AuditTable,
        rng: Random | None = None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._audit = audit
        self._rng = rng or Random()  # noqa: S311 - explores, keeps no secret

    def breakers(self, digests: Collection[str], now: Moment) -> dict[str, Breaker]:
        rows = self._database.rows(
            f"SELECT {_BREAKERS} FROM breakers WHERE digest IN {_AMONG}", [_as_json(digests)]
        )
        return {
            digest: Breaker(state, faults, until if boot == now.boot else now.at, fault)
            for digest, state, faults, boot, until, fault in rows
        }

    def records(self, digests: Collection[str], since: int = 0) -> list[CandidateRecord]:
        rows = self._database.rows(
            f"SELECT {_RECORDS} FROM candidate_records WHERE digest IN {_AMONG} AND day >= ? "
            "ORDER BY day, digest, task_type",
            [_as_json(digests), since],
        )
        return [CandidateRecord(*row) for row in rows]

    def close_breaker(self, role: str, candidate: str, digest: str) -> bool:
        with self._database.write():
            return self._close(role, subject_of(role, candidate), digest, {"by_hand": True})

    def _close(self, role: str, subject: str, digest: str, detail: dict[str, object]) -> bool:
        """Let tasks go to a candidate, those of the role that wait for one among them."""
        if not self._database.changed("DELETE FROM breakers WHERE digest = ?", [digest]):
            return False
        self._database.rows(
            "UPDATE tasks SET not_before = 0, boot = '' WHERE role = ? AND state = 'queued' "
            "AND waiting = 0 AND boot != ''",
            [role],
        )
        self._tell("candidate.available", subject, digest, detail)
        return True

    # --- parts of the transactions of tasks -------------------------------------------------------

    def all_wait(self, claimant: Claimant, now: Moment) -> bool:
        """Return True if there are candidates, and none of them may be asked now."""
        digests = {one.digest for one in claimant.candidates}
        return bool(digests) and digests == self._waits(digests, now).keys()

    def _waits(self, digests: Collection[str], now: Moment) -> dict[str, float]:
        """Return from when those may be asked that may not be asked now."""
        found = self.breakers(digests, now)
        waits = ((digest, one.waits_until(now.at)) for digest, one in found.items())
        return {digest: until for digest, until in waits if until is not None}

    def choose(
        self, claimant: Claimant, task: RoutedTask, budget: str, now: Moment, wall: float
    ) -> RouteChoice:
        """Choose who does a task, and note that it has one."""
        digests = {one.digest for one in claimant.candidates}
        today = day_of(wall)
        facts = RoutingFacts(
            now.at,
            today,
            budget,
            tuple(self.records(digests, today - FORGOTTEN)),
            self._waits(digests, now),
        )
        chosen = choose(claimant.candidates, task, facts, self._rng)
        if chosen.offer is not None:
            known = self.breakers([chosen.offer.digest], now)
            for digest, one in known.items():
                self._keep(digest, breakers.took(one, now.at), now)
        return chosen

    def _keep(self, digest: str, breaker: Breaker, now: Moment) -> None:
        self._database.rows(
            f"INSERT INTO breakers ({_BREAKERS}) VALUES (?, ?, ?, ?, ?, ?) "
            "ON CONFLICT (digest) DO UPDATE SET state = excluded.state, faults = excluded.faults, "
            "boot = excluded.boot, until = excluded.until, fault = excluded.fault",
            [digest, breaker.state, breaker.faults, now.boot, breaker.until, breaker.fault],
        )

    def failed(self, attempt: RoutedAttempt, why: Unavailable, now: Moment) -> None:
        """Note that a candidate could not do its task."""
        digest = attempt.route["digest"]
        before = self.breakers([digest], now).get(digest, Breaker())
        after = breakers.failed(before, why, now.at, self._rng.random())
        self._keep(digest, after, now)
        if before.state != after.state:
            detail = {"fault": why.kind, "seconds": round(after.until - now.at, 1)}
            self._tell("candidate.unavailable", attempt.subject, digest, detail)

    def ended(self, attempt: RoutedAttempt, outcome: Outcome, now: Moment, wall: float) -> None:
        """Count what a candidate did, and note that it is there."""
        digest = attempt.route["digest"]
        before = self.breakers([digest], now).get(digest)
        if before is not None and breakers.answered(before).state == CLOSED:
            self._close(attempt.role, attempt.subject, digest, {})
        success = outcome.state == DONE
        quality = outcome.quality if success else None
        usage = outcome.usage or _NOTHING
        self._database.rows(
            f"INSERT INTO candidate_records ({_RECORDS}) VALUES (?, ?, ?, 1, ?, ?, ?, ?, ?, ?) "
            "ON CONFLICT (digest, task_type, day) DO UPDATE SET executions = executions + 1, "
            "successes = successes + excluded.successes, "
            "quality_sum = quality_sum + excluded.quality_sum, "
            "qualities = qualities + excluded.qualities, "
            "latency_sum = latency_sum + excluded.latency_sum, "
            "cost = cost + excluded.cost, tokens = tokens + excluded.tokens",
            [
                digest, attempt.task_type, day_of(wall), int(success), quality or 0.0,
                int(quality is not None), outcome.latency, usage.cost, usage.tokens,
            ],
        )  # fmt: skip

    def rate(self, attempt: RoutedAttempt, day: int, before: float | None, quality: float) -> None:
        """Replace one execution's quality by another."""
        self._database.rows(
            "UPDATE candidate_records SET quality_sum = quality_sum + ?, "
            "qualities = qualities + ? WHERE digest = ? AND task_type = ? AND day = ?",
            [
                quality - (before or 0.0), int(before is None), attempt.route["digest"],
                attempt.task_type, day,
            ],
        )  # fmt: skip

    def _tell(self, kind: str, subject: str, digest: str, detail: dict[str, object]) -> None:
        self._audit.append(self._clock(), kind, subject, {"digest": digest, **detail})


def _as_json(digests: Collection[str]) -> str:
    return json.dumps(sorted(digests))
