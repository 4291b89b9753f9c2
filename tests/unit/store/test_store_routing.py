"""Candidates in the store: who gets a claimed task, who is available, what each has learned."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from engines import Engine
from support import Clock

from khive_supervisor.budgets.limits import BudgetLimits
from khive_supervisor.routing.breaker import HALF_OPEN, OPEN
from khive_supervisor.routing.model import (
    NO_KEY,
    OVERLOADED,
    RATE_LIMITED,
    CandidateOffer,
    RouteAnswer,
    Unavailable,
)
from khive_supervisor.store.interface import Store
from khive_supervisor.tasks.lease import Moment
from khive_supervisor.tasks.model import (
    CANCELLED,
    DONE,
    FAILED,
    QUEUED,
    Claim,
    Claimant,
    NewTask,
    Outcome,
    Task,
    Usage,
)
from khive_supervisor.tasks.records import DAY, day_of

NOW = Moment("boot", 1000.0)
DEAR, FREE = CandidateOffer("dear", "d1", "dear"), CandidateOffer("free", "f1", "free")
ME = Claimant("r", "w1", 3, "whole", candidates=(DEAR, FREE))
ONE = replace(ME, candidates=(DEAR,))
BOTH = ("d1", "f1")
BUSY = Outcome(FAILED, error="429", unavailable=Unavailable(RATE_LIMITED, 20.0))


@pytest.fixture
def clock() -> Clock:
    return Clock(100.0 * DAY)


@pytest.fixture
def store(engine: Engine, tmp_path: Path, clock: Clock) -> Iterator[Store]:
    with engine(str(tmp_path / "khive.db"), clock=clock) as opened:
        yield opened


def add(store: Store, **more: Any) -> int:
    return store.tasks.assign(NewTask(**{"role": "r", "task_type": "t", **more}))[0].id


def take(store: Store, who: Claimant = ME, now: Moment = NOW) -> Claim:
    claim = store.tasks.claim(who, now)
    assert claim is not None
    return claim


def task(store: Store, number: int) -> Task:
    found = store.tasks.find(number)
    assert found is not None
    return found


def route_of(store: Store, number: int) -> RouteAnswer:
    route = task(store, number).route
    assert route is not None
    return route


def end(store: Store, claim: Claim, outcome: Outcome, now: Moment = NOW) -> str | None:
    return store.tasks.finish(claim.id, claim.token, outcome, now).state


def audited(store: Store, kind: str) -> list[str]:
    return [one.subject for one in store.audit.entries() if one.kind == kind]


def test_a_claim_names_its_candidate_and_the_task_says_why(store: Store) -> None:
    number = add(store, candidate="free")
    claim = take(store)
    assert (claim.candidate, claim.id) == ("free", number)
    route = route_of(store, number)
    assert (route["candidate"], route["digest"]) == ("free", "f1")
    assert {one["candidate"] for one in route["considered"]} == {"dear", "free"}
    assert task(store, number).digest == "whole"  # what the role's records go by


def test_what_was_done_is_counted_for_the_candidate_by_type_and_day(
    store: Store, clock: Clock
) -> None:
    usage = Usage(cost=250_000, tokens=90)
    for outcome in (
        Outcome(DONE, result=1, quality=0.5, latency=2.0, usage=usage),
        Outcome(DONE, result=1, usage=usage),
        Outcome(FAILED, error="no", final=True),
        Outcome(CANCELLED),
    ):
        add(store)
        end(store, take(store, ONE), outcome)
    (found,) = store.routing.records(BOTH)
    today = day_of(clock.now)
    assert (found.digest, found.task_type, found.day) == ("d1", "t", today)
    assert (found.executions, found.successes) == (3, 2)  # what was cancelled says nothing
    assert (found.quality_sum, found.qualities) == (0.5, 1)
    assert (found.cost, found.tokens, found.latency_sum) == (500_000, 180, 2.0)
    assert store.routing.records(BOTH, today + 1) == []
    assert store.routing.records(["other"]) == []


def test_feedback_counts_for_the_candidate_that_did_it(store: Store) -> None:
    number = add(store)
    end(store, take(store, ONE), Outcome(DONE, result=1))
    store.tasks.feedback(number, 0.25)
    store.tasks.feedback(number, 0.75)
    (found,) = store.routing.records(BOTH)
    assert (found.quality_sum, found.qualities) == (0.75, 1)


def test_a_fault_opens_the_breaker_and_costs_no_attempt(store: Store) -> None:
    number = add(store)
    claim = take(store, ONE)
    assert end(store, claim, BUSY) == QUEUED
    assert task(store, number).attempts == 0
    assert store.routing.records(BOTH) == []
    opened = store.routing.breakers(BOTH, NOW)["d1"]
    assert (opened.state, opened.faults, opened.fault) == (OPEN, 1, RATE_LIMITED)
    assert 1020.0 <= opened.until <= 1024.0
    assert audited(store, "candidate.unavailable") == ["role/r/candidate/dear"]
    # Nobody may have it before its time, and then one task probes it.
    assert store.tasks.claim(ONE, NOW) is None
    later = NOW.after(25.0)
    add(store)
    probe = take(store, ONE, later)
    assert store.routing.breakers(BOTH, later)["d1"].state == HALF_OPEN
    assert store.tasks.claim(ONE, later) is None
    end(store, probe, Outcome(FAILED, error="wrong", final=True), later)
    assert store.routing.breakers(BOTH, later) == {}  # it failed, so it is there
    assert audited(store, "candidate.available") == ["role/r/candidate/dear"]
    assert take(store, ONE, later)


def test_a_probe_that_fails_waits_longer(store: Store) -> None:
    add(store)
    busy = replace(BUSY, unavailable=Unavailable(OVERLOADED))
    end(store, take(store, ONE), busy)
    later = NOW.after(15.0)
    end(store, take(store, ONE, later), busy, later)
    found = store.routing.breakers(BOTH, later)["d1"]
    assert found.faults == 2
    assert found.until - later.at >= 20.0


def test_another_takes_its_place_within_the_attempt(store: Store) -> None:
    number = add(store)
    claim = take(store)
    first, second = sorted(["dear", "free"], key=lambda name: name != claim.candidate)
    route = store.tasks.fail_over(number, claim.token, ME, Unavailable(NO_KEY), NOW)
    assert route is not None
    assert route["candidate"] == second
    assert route["failed_over"] == [{"candidate": first, "because": NO_KEY}]
    assert route_of(store, number) == route
    # If that one cannot either, there is nobody else, and the task goes back to the queue.
    assert store.tasks.fail_over(number, claim.token, ME, Unavailable(NO_KEY), NOW) is None
    assert end(store, claim, replace(BUSY, unavailable=Unavailable(NO_KEY))) == QUEUED
    assert task(store, number).attempts == 0
    # A claim that is not the last one moves nothing.
    assert store.tasks.fail_over(number, claim.token, ME, Unavailable(NO_KEY), NOW) is None


def test_one_that_a_task_asked_for_has_nobody_in_its_place(store: Store) -> None:
    number = add(store, candidate="dear")
    claim = take(store)
    assert store.tasks.fail_over(number, claim.token, ME, Unavailable(NO_KEY), NOW) is None


def test_one_that_had_begun_costs_an_attempt(store: Store) -> None:
    number = add(store)
    begun = replace(BUSY, unavailable=Unavailable(RATE_LIMITED, None, begun=True))
    assert end(store, take(store, ONE), begun) == QUEUED
    assert task(store, number).attempts == 1


def test_breakers_of_an_earlier_boot_have_waited_long_enough(store: Store) -> None:
    add(store)
    end(store, take(store, ONE), BUSY)
    rebooted = Moment("another", 3.0)
    assert store.routing.breakers(BOTH, rebooted)["d1"].waits_until(rebooted.at) is None
    assert take(store, ONE, rebooted)


def test_a_breaker_is_closed_by_hand_once(store: Store) -> None:
    add(store)
    end(store, take(store, ONE), BUSY)
    assert store.tasks.claim(ONE, NOW) is None
    assert store.routing.close_breaker("r", "dear", "d1")
    assert not store.routing.close_breaker("r", "dear", "d1")
    assert store.routing.breakers(BOTH, NOW) == {}
    (entry,) = [one for one in store.audit.entries() if one.kind == "candidate.available"]
    assert (entry.subject, '"by_hand":true' in entry.detail) == ("role/r/candidate/dear", True)
    assert take(store, ONE)  # what waited for it has its turn at once


def test_tasks_that_wait_for_a_probe_have_their_turn_when_it_is_done(store: Store) -> None:
    add(store)
    end(store, take(store, ONE), BUSY)
    later = NOW.after(25.0)
    probe = take(store, ONE, later)
    add(store, candidate="dear")
    assert store.tasks.claim(ME, later) is None  # deferred: it asks for the one that is probed
    end(store, probe, Outcome(DONE, result=1), later)
    assert take(store, ME, later).candidate == "dear"


def test_beyond_the_budget_the_free_one_works_and_nothing_is_set_aside(store: Store) -> None:
    store.budgets.set_limits({"r": BudgetLimits(weekly=1_000_000, reserve=400_000, free=True)})
    add(store)
    claim = take(store, ONE)
    end(store, claim, Outcome(DONE, result=1, usage=Usage(cost=900_000)))
    number = store.tasks.assign(NewTask("r", "t"))[0].id
    assert take(store).candidate == "free"
    assert "the budget is exceeded" in route_of(store, number)["because"]


def test_learning_and_breakers_survive_another_opening(
    engine: Engine, tmp_path: Path, clock: Clock
) -> None:
    path = str(tmp_path / "khive.db")
    with engine(path, clock=clock) as store:
        add(store)
        end(store, take(store, ONE), Outcome(DONE, result=1))
        add(store)
        end(store, take(store, ONE), BUSY)
    with engine(path, clock=clock) as store:
        assert store.routing.records(BOTH)[0].successes == 1
        assert store.routing.breakers(BOTH, NOW)["d1"].state == OPEN


def test_a_candidate_by_another_name_and_place_keeps_what_it_learned(store: Store) -> None:
    for _ in range(20):
        add(store)
        end(store, take(store, ONE), Outcome(DONE, result=1))
    renamed = replace(ME, role="other", candidates=(FREE, replace(DEAR, name="best", price="free")))
    number = add(store, role="other", candidate="best")
    take(store, renamed)
    (known,) = [o for o in route_of(store, number)["considered"] if o["candidate"] == "best"]
    assert known["mean"] > 0.9
