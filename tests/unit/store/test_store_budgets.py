"""Budgets in the store: spending counts once, and claims wait for what others have set aside."""

from __future__ import annotations

import datetime as dt
import multiprocessing
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from engines import Engine
from support import Clock

from khive_supervisor.budgets.limits import BudgetLimits
from khive_supervisor.errors import BudgetExceeded
from khive_supervisor.store.interface import Store
from khive_supervisor.store.tasks import BudgetStore, RoleStore, TaskStore
from khive_supervisor.tasks.lease import Moment
from khive_supervisor.tasks.model import (
    CANCELLED,
    DEAD,
    DONE,
    FAILED,
    FALLBACK,
    QUEUED,
    Claim,
    Claimant,
    NewTask,
    Outcome,
    RoleRow,
    Usage,
)

NOW = Moment("boot", 1000.0)
ONE, TWO = Claimant("r", "w1", 1, "d"), Claimant("r", "w2", 1, "d")
#: A Saturday: its week ends the day after next, its month in nine days.
SATURDAY = dt.datetime(2026, 11, 21, 12, tzinfo=dt.UTC).timestamp()
MONDAY, DECEMBER = SATURDAY + 1.5 * 86400, SATURDAY + 9.5 * 86400


@pytest.fixture
def clock() -> Clock:
    return Clock(SATURDAY)


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "khive.db")


@pytest.fixture
def store(engine: Engine, path: str, clock: Clock) -> Iterator[Store]:
    with engine(path, clock=clock) as opened:
        opened.roles.set([RoleRow("r", ("t",)), RoleRow("other", ("t",))])
        yield opened


@pytest.fixture
def tasks(store: Store) -> TaskStore:
    return store.tasks


@pytest.fixture
def budgets(store: Store) -> BudgetStore:
    return store.budgets


@pytest.fixture
def roles(store: Store) -> RoleStore:
    return store.roles


def add(tasks: TaskStore, count: int = 1, role: str = "r", attempts: int = 3) -> list[int]:
    new = [NewTask(role, "t", attempts_max=attempts) for _ in range(count)]
    return [tasks.assign(task)[0].id for task in new]


def take(tasks: TaskStore, who: Claimant = ONE) -> Claim:
    claim = tasks.claim(who, NOW)
    assert claim is not None
    return claim


def end(tasks: TaskStore, claim: Claim, cost: int, state: str = DONE, tokens: int = 0) -> bool:
    outcome = Outcome(state, usage=Usage(cost, tokens))
    return tasks.finish(claim.id, claim.token, outcome, NOW).accepted


def spent(budgets: BudgetStore, role: str = "r") -> int:
    """What the week says, the days, and the ledger: all the same."""
    (account,) = (one for one in budgets.accounts() if one.role == role)
    ledger = sum(one.usage.cost for one in budgets.spending() if one.role == role)
    assert account.spent[1].cost == ledger
    return account.spent[0].cost


# --- what counts ----------------------------------------------------------------------------------


def test_each_accepted_attempt_counts_once_whatever_came_of_it(
    tasks: TaskStore, budgets: BudgetStore
) -> None:
    add(tasks, 3)
    done, failed, cancelled = take(tasks), take(tasks), take(tasks)
    assert end(tasks, done, 5, tokens=50)
    assert not end(tasks, done, 5)  # told twice
    assert end(tasks, failed, 7, FAILED)
    assert end(tasks, cancelled, 11, CANCELLED)
    assert [(one.task_id, one.token, one.usage) for one in budgets.spending()] == [
        (done.id, 1, Usage(5, 50)),
        (failed.id, 1, Usage(7)),
        (cancelled.id, 1, Usage(11)),
    ]
    assert spent(budgets) == 23
    assert spent(budgets, "other") == 0


def test_an_attempt_that_used_nothing_has_no_row(tasks: TaskStore, budgets: BudgetStore) -> None:
    add(tasks, 2)
    end(tasks, take(tasks), 0)
    claim = take(tasks)
    assert tasks.finish(claim.id, claim.token, Outcome(DONE), NOW).accepted
    assert budgets.spending() == []


def test_a_retried_task_counts_each_of_its_attempts(tasks: TaskStore, budgets: BudgetStore) -> None:
    (number,) = add(tasks, attempts=1)
    end(tasks, take(tasks), 5, FAILED)
    tasks.retry(number)
    end(tasks, take(tasks), 6)
    assert [one.token for one in budgets.spending()] == [1, 2]
    assert spent(budgets) == 11


def test_what_is_fenced_does_not_count(tasks: TaskStore, budgets: BudgetStore) -> None:
    add(tasks)
    late = take(tasks)
    tasks.release(ONE.worker)
    again = take(tasks, TWO)
    assert not end(tasks, late, 100)
    assert end(tasks, again, 5)
    assert spent(budgets) == 5


def test_spending_outlives_its_task(tasks: TaskStore, clock: Clock, budgets: BudgetStore) -> None:
    add(tasks)
    end(tasks, take(tasks), 5)
    clock.now += 10
    assert tasks.prune(clock.now) == 1
    assert spent(budgets) == 5


def test_windows_end(tasks: TaskStore, clock: Clock, budgets: BudgetStore) -> None:
    add(tasks)
    end(tasks, take(tasks), 5)
    (_, account) = budgets.accounts()
    assert [one.cost for one in account.spent] == [5, 5]
    clock.now = MONDAY
    (_, account) = budgets.accounts()
    assert [one.cost for one in account.spent] == [0, 5]
    clock.now = DECEMBER
    (_, account) = budgets.accounts()
    assert [one.cost for one in account.spent] == [0, 0]


# --- what is set aside ----------------------------------------------------------------------------


def test_tasks_wait_for_what_others_have_set_aside(tasks: TaskStore, budgets: BudgetStore) -> None:
    budgets.set_limits({"r": BudgetLimits(weekly=100, reserve=40)})
    add(tasks, 4)
    first, second = take(tasks), take(tasks, TWO)
    assert tasks.claim(Claimant("r", "w3"), NOW) is None
    assert tasks.due(NOW) == []
    end(tasks, first, 20)
    assert tasks.due(NOW) == ["r"]
    third = take(tasks)  # 20 + 40 + 40
    assert tasks.claim(Claimant("r", "w3"), NOW) is None
    end(tasks, second, 40)
    end(tasks, third, 40)
    (_, account) = budgets.accounts()
    assert (account.state, account.reserved, account.spent[0].cost) == ("exceeded", 0, 100)
    assert tasks.claim(ONE, NOW) is None


def test_the_next_task_is_not_claimed_with_the_outcome_that_leaves_nothing(
    tasks: TaskStore, budgets: BudgetStore
) -> None:
    budgets.set_limits({"r": BudgetLimits(weekly=100, reserve=40)})
    add(tasks, 3)
    claim = take(tasks)
    finished = tasks.finish(claim.id, claim.token, Outcome(DONE, usage=Usage(60)), NOW, ONE)
    assert finished.next is not None  # 60 + 40
    outcome = Outcome(DONE, usage=Usage(1))
    assert tasks.finish(finished.next.id, 1, outcome, NOW, ONE).next is None


@pytest.mark.parametrize("how", ["died", "stopped", "expired"])
def test_a_task_that_is_taken_back_gives_back_what_it_had_set_aside(
    tasks: TaskStore, how: str, budgets: BudgetStore
) -> None:
    budgets.set_limits({"r": BudgetLimits(weekly=100, reserve=100)})
    add(tasks)
    take(tasks)
    (_, account) = budgets.accounts()
    assert account.reserved == 100
    if how == "expired":
        tasks.release_expired(NOW.after(1e6))
    else:
        tasks.release(ONE.worker, died=how == "died")
    (_, account) = budgets.accounts()
    assert account.reserved == 0
    take(tasks, TWO)


def test_a_dead_task_holds_nothing(tasks: TaskStore, budgets: BudgetStore) -> None:
    budgets.set_limits({"r": BudgetLimits(weekly=100, reserve=100)})
    first, _ = add(tasks, 2, attempts=1)
    take(tasks)
    tasks.release(ONE.worker)
    found = tasks.find(first)
    assert found is not None
    assert found.state == DEAD
    take(tasks, TWO)


def test_what_is_set_aside_is_learned(tasks: TaskStore, budgets: BudgetStore) -> None:
    budgets.set_limits({"r": BudgetLimits(weekly=1000)})
    add(tasks, 3)
    end(tasks, take(tasks), 250)
    (_, account) = budgets.accounts()
    assert account.reserve is not None
    assert (account.reserve.amount, account.reserve.because) == (250, "learned")
    take(tasks)
    assert [e.detail for e in tasks.events() if e.what == "leased"] == [
        "$0.0001 is set aside",
        "$0.00025 is set aside",
    ]


def test_tokens_are_a_unit(tasks: TaskStore, budgets: BudgetStore) -> None:
    budgets.set_limits({"r": BudgetLimits(weekly=100, unit="tokens", reserve=10)})
    add(tasks, 2)
    end(tasks, take(tasks), 10**9, tokens=91)
    assert tasks.claim(ONE, NOW) is None
    budgets.set_limits({"r": BudgetLimits(weekly=101, unit="tokens", reserve=10)})
    take(tasks)


def test_other_roles_are_not_held_up(tasks: TaskStore, budgets: BudgetStore) -> None:
    budgets.set_limits({"r": BudgetLimits(weekly=100)})
    add(tasks)
    budgets.set_limits({"r": BudgetLimits(weekly=0)})
    add(tasks, role="other")
    assert tasks.claim(ONE, NOW) is None
    assert tasks.claim(Claimant("other", "w"), NOW) is not None


def _work(engine: Engine, path: str, name: str, began: threading.Event, most: int) -> None:
    """Claim and finish until nothing more can be begun; in a process of its own."""
    with engine(path, busy_timeout=60, clock=lambda: SATURDAY) as store:
        began.wait()
        who, misses = Claimant("r", name), 0
        while misses < 200:
            claim = store.tasks.claim(who, NOW)
            if claim is None:
                misses += 1
                continue
            cost = 1 + (claim.id * 7) % most
            store.tasks.finish(claim.id, claim.token, Outcome(DONE, usage=Usage(cost)), NOW)


def test_two_that_claim_at_once_cannot_overshoot_together(
    engine: Engine, tasks: TaskStore, path: str, budgets: BudgetStore
) -> None:
    budgets.set_limits({"r": BudgetLimits(weekly=500, reserve=10)})
    add(tasks, 300)
    spawn = multiprocessing.get_context("spawn")
    began = spawn.Event()
    workers = [
        spawn.Process(target=_work, args=(engine, path, f"w{n}", began, 10)) for n in range(2)
    ]
    for worker in workers:
        worker.start()
    began.set()
    for worker in workers:
        worker.join(60)
        assert worker.exitcode == 0
    assert 490 < spent(budgets) <= 500
    assert spent_and_set_aside(tasks, budgets, 10) <= 500


def spent_and_set_aside(tasks: TaskStore, budgets: BudgetStore, reserve: int) -> int:
    """The most that was spent and set aside together, in the order of what happened."""
    costs = {(one.task_id, one.token): one.usage.cost for one in budgets.spending(limit=10_000)}
    used, running, most = 0, 0, 0
    for event in tasks.events(limit=10_000):
        if event.what == "leased":
            running += reserve
        elif event.what == DONE:
            running -= reserve
            used += costs[event.task_id, event.token]
        most = max(most, used + running)
    return most


# --- exceeded -------------------------------------------------------------------------------------


def test_a_task_is_refused_until_the_window_ends(
    tasks: TaskStore, clock: Clock, budgets: BudgetStore
) -> None:
    budgets.set_limits({"r": BudgetLimits(weekly=2_000_000, reserve=1_000_000)})
    known, _ = tasks.assign(NewTask("r", "t", idempotency="k"))
    end(tasks, take(tasks), 1_500_000)
    with pytest.raises(BudgetExceeded) as caught:
        add(tasks)
    assert caught.value.message == (
        "The budget of the role r is exceeded: $1.50 of $2.00 is spent this week, and a task may "
        "take $1.00 (until Mon 2026-11-23 00:00 UTC). Nothing was queued."
    )
    # What was queued before is told again all the same.
    assert tasks.assign(NewTask("r", "t", idempotency="k"))[0].id == known.id
    clock.now = MONDAY
    add(tasks)
    take(tasks)


def test_tasks_that_wait_begin_when_the_window_ends_or_the_limit_is_raised(
    tasks: TaskStore, clock: Clock, budgets: BudgetStore
) -> None:
    budgets.set_limits({"r": BudgetLimits(monthly=100, reserve=100)})
    add(tasks, 3)
    end(tasks, take(tasks), 100)
    assert (tasks.claim(ONE, NOW), tasks.due(NOW)) == (None, [])
    budgets.set_limits({"r": BudgetLimits(monthly=200, reserve=100)})
    assert tasks.due(NOW) == ["r"]
    end(tasks, take(tasks), 100)
    assert (tasks.claim(ONE, NOW), tasks.due(NOW)) == (None, [])
    clock.now = DECEMBER
    assert tasks.due(NOW) == ["r"]
    take(tasks)


def test_a_limit_below_what_is_spent_blocks_at_once_and_none_unblocks(
    tasks: TaskStore, budgets: BudgetStore
) -> None:
    add(tasks, 3)
    end(tasks, take(tasks), 100)
    budgets.set_limits({"r": BudgetLimits(weekly=50)})
    assert tasks.claim(ONE, NOW) is None
    assert list(budgets.blocked()) == ["r"]
    assert [task.state for task in tasks.page()] == [QUEUED, QUEUED, DONE]
    budgets.set_limits({})
    take(tasks)


def test_a_fallback_does_what_the_budget_does_not_allow(
    tasks: TaskStore, budgets: BudgetStore, roles: RoleStore
) -> None:
    budgets.set_limits({"r": BudgetLimits(weekly=10, reserve=10, fallback=("echo", "x"))})
    add(tasks, 3)
    first = take(tasks)
    assert first.fallback == ()
    assert tasks.claim(TWO, NOW) is None  # not exceeded: it waits for the first
    end(tasks, first, 10)
    second, third = take(tasks), take(tasks, TWO)
    assert second.fallback == third.fallback == ("echo", "x")
    (_, account) = budgets.accounts()
    assert (account.reserved, account.exceeded, account.blocks) == (0, True, False)
    assert budgets.blocked() == {}
    end(tasks, second, 3)
    assert [one.by_fallback for one in budgets.spending()] == [False, True]
    # It says nothing of the role's own handler: neither what it takes nor how good it is.
    assert [(r.digest, r.executions) for r in roles.records("r")] == [("d", 1), (FALLBACK, 1)]
    assert tasks.due(NOW) == []
    add(tasks)
    assert tasks.due(NOW) == ["r"]


def test_limits_are_stored_once(
    engine: Engine, tasks: TaskStore, path: str, budgets: BudgetStore
) -> None:
    limits = {"r": BudgetLimits(weekly=10, fallback=("a",)), "gone": BudgetLimits(monthly=0)}
    budgets.set_limits(limits)
    with engine(path) as other:
        token = other.change_token()
        budgets.set_limits(limits)
        assert other.change_token() == token
        budgets.set_limits({"r": BudgetLimits(weekly=11)})
        assert other.change_token() != token
    assert [one.role for one in budgets.accounts() if one.limits] == ["r"]
