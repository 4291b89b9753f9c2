"""What is spent equals what was accepted, exactly, whoever is killed and whatever is reloaded."""

from __future__ import annotations

import contextlib
import random
import signal
from collections import Counter
from collections.abc import Iterator

import pytest
from role_support import RoleBench, bench
from support import Installation, kill, wait_until

from khive_supervisor.tasks.model import DONE, Spending

HANDLER = '''
def spend(context, payload):
    """Use it bit by bit, so that a kill comes in the middle; the first attempts may fail."""
    for _ in range(5):
        context.spend(cost=payload["cost"] / 5_000_000, tokens=payload["cost"])
        context.cancelled.wait(payload["seconds"] / 5)
    if payload["fails"]:
        raise RuntimeError("as it was asked to")
    return payload["cost"]
'''
TASKS, RESERVE = 120, 1000
QUICK = (
    '[supervisor]\nrestart_backoff = "10ms"\nrestart_backoff_max = "20ms"\nrestart_limit = 1000\n'
    'restart_window = "1s"\n'
)
#: How a task comes back to the queue that nobody finished.
TAKEN_BACK = ("its worker died, or was not heard of", "its worker was stopped")


@pytest.fixture
def roles(khive: Installation) -> Iterator[RoleBench]:
    with bench(khive) as made:
        made.write(HANDLER)
        yield made


def configure(roles: RoleBench, turn: int) -> None:
    """Another definition each time, and other limits: never less than what is needed."""
    budget = f"budget = {{ weekly = {100 + turn}, reserve = {RESERVE / 1_000_000} }}\n"
    keys = {"workers": 3, "attempts": 100, "timeout": 100.0 + turn // 2}
    roles.configure(roles.python("py", "spend", **keys) + budget, settings=QUICK)


def accepted(roles: RoleBench) -> Counter[int]:
    """How many outcomes of each task were accepted, by its events alone."""
    counts = Counter[int]()
    for event in roles.store.tasks.events(limit=100_000):
        ended = event.what in (DONE, "failed")
        counts[event.task_id] += ended or (
            event.what == "requeued" and event.detail not in TAKEN_BACK
        )
    return counts


def ledger(roles: RoleBench) -> list[Spending]:
    return roles.store.budgets.spending(limit=100_000)


def until_more_happened(roles: RoleBench) -> None:
    """Wait until tasks have gone on, or none is left."""
    before = roles.store.tasks.last_event()
    wait_until(
        lambda: roles.store.tasks.last_event() > before + 2 or not roles.store.tasks.queue_depths(),
        "they are at it",
    )


@pytest.mark.long
def test_kills_and_reloads_change_nothing_of_what_is_counted(roles: RoleBench) -> None:
    draw = random.Random(14)
    configure(roles, 0)
    roles.khive.start()
    costs = {}
    for number in range(TASKS):
        cost = 5 * draw.randrange(1, 200)
        fails = number % 10 == 0
        payload = {"cost": cost, "seconds": 0.05, "fails": fails}
        costs[roles.assign("py", payload, attempts=2 if fails else 100)] = cost
    steps = ["worker"] * 12 + ["reload"] * 5 + ["supervisor"] * 3
    draw.shuffle(steps)
    for turn, step in enumerate(steps, 1):
        until_more_happened(roles)
        match step:
            case "worker":
                if pids := [w["pid"] for w in roles.workers("py") if w["pid"]]:
                    with contextlib.suppress(ProcessLookupError):
                        kill(draw.choice(pids))
            case "reload":
                configure(roles, turn)
                kill(roles.khive.status()["pid"], signal.SIGHUP)
            case "supervisor":
                kill(roles.khive.status()["pid"])
                roles.khive.start()
    wait_until(lambda: not roles.store.tasks.queue_depths(), "everything has ended")

    times = accepted(roles)
    assert set(times) == set(costs)
    states = {number: roles.task(number).state for number in costs}
    assert Counter(states.values())[DONE] == TASKS - TASKS // 10
    assert all(times[number] or state == "dead" for number, state in states.items())
    found = ledger(roles)
    assert len({(one.task_id, one.token) for one in found}) == len(found)
    # Attempt by attempt, and in sum: in whole millionths of a dollar.
    assert Counter(one.task_id for one in found) == +times
    assert all(one.usage.cost == one.usage.tokens // 5 == costs[one.task_id] for one in found)
    expected = sum(costs[task] * count for task, count in times.items())
    (account,) = roles.store.budgets.accounts()
    assert account.spent[1].cost == sum(one.usage.cost for one in found) == expected
    assert account.reserved == 0
    assert roles.store.quick_check() == []


def test_what_a_killed_worker_had_set_aside_is_given_back(roles: RoleBench) -> None:
    roles.configure(
        roles.python("py", "spend", attempts=2) + "budget = { weekly = 0.001, reserve = 0.001 }\n",
        settings=QUICK,
    )
    roles.khive.start()
    number = roles.assign("py", {"cost": 5, "seconds": 60, "fails": False}, attempts=1)
    wait_until(lambda: roles.store.budgets.accounts()[0].reserved == 1000, "it is at work")
    after = roles.assign("py", {"cost": 5, "seconds": 0, "fails": False})
    assert roles.task(after).state == "queued"
    (worker,) = roles.workers("py")
    kill(worker["pid"])
    assert roles.ended(number).state == "dead"
    assert roles.ended(after).state == DONE
    (account,) = roles.store.budgets.accounts()
    assert (account.spent[0].cost, account.reserved) == (5, 0)
