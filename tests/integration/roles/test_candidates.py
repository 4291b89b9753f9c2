"""Roles with candidates: failover within an attempt, outages that cost no task, and coming back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from role_support import RoleBench, bench
from support import Installation, wait_until

from khive_supervisor.tasks.model import DONE, FAILED_OVER, NewTask

#: Says that it is rate limited while there is a file `down`, as the exit code 75 says.
FIRST = (
    "[ -e down ] && { echo 'error: status 429, retry after 0.2 s' >&2; exit 75; }; "
    'echo \'{"by": "first", "khive_usage": {"cost": 0.5}}\''
)


@pytest.fixture
def roles(khive: Installation) -> Iterator[RoleBench]:
    with bench(khive) as made:
        yield made


def two(roles: RoleBench, second: str = 'echo \'{"by": "second"}\'', **keys: str) -> str:
    """A role of two commands; the first one is rate limited while it is `down`."""
    lines = [f"{name} = {value}" for name, value in keys.items()]
    candidates = "".join(
        f'[[roles.candidates]]\nname = "{name}"\nprice = "{price}"\n'
        f"handler = {{ command = ['sh', '-c', '''{script}'''] }}\n"
        for name, price, script in (("first", "cheap", FIRST), ("second", "free", second))
    )
    head = f'role = "coder"\ntask_types = ["fix"]\ncwd = "{roles.directory}"\n'
    return head + "\n".join(lines) + "\n" + candidates


def assign(roles: RoleBench, candidate: str = "") -> int:
    task = NewTask("coder", "fix", payload={}, candidate=candidate)
    return roles.store.tasks.assign(task)[0].id


def audited(roles: RoleBench, kind: str) -> list[Any]:
    return [entry for entry in roles.store.audit.entries() if entry.kind == kind]


def test_the_second_does_what_the_first_cannot_and_the_first_comes_back(roles: RoleBench) -> None:
    down = roles.directory / "down"
    down.touch()
    roles.configure(two(roles))
    roles.khive.start()
    numbers = []

    def failed_over() -> list[int]:
        numbers.append(assign(roles))
        assert roles.ended(numbers[-1]).state == DONE
        return [n for n in numbers if FAILED_OVER in roles.what_happened(n)]

    (number, *_) = wait_until(failed_over, "the first one was asked")
    for task in map(roles.task, numbers):
        assert (task.attempts, task.result) == (1, {"by": "second"})
    route = roles.task(number).route
    assert route is not None
    assert (route["candidate"], route["failed_over"][0]["candidate"]) == ("second", "first")
    shown = roles.khive.call("agents.task", task=f"t{number}")
    assert shown["candidate"] == "second"
    assert shown["why"]["route"]["because"] == "no other is left"
    (entry, *_) = audited(roles, "candidate.unavailable")
    assert entry.subject == "role/coder/candidate/first"
    assert '"fault":"rate_limited"' in entry.detail
    # Asked for, it waits for its time, probes, and is there again.
    down.unlink()
    again = roles.khive.json("assign", "--role", "coder", "--candidate", "first", "{}")["task"]
    assert roles.ended(int(again[1:])).result["by"] == "first"
    assert audited(roles, "candidate.available")


def test_a_breaker_is_seen_and_closed_by_hand(roles: RoleBench) -> None:
    """It asks to be left alone for long, and is back: somebody says so, what waits has its turn."""
    down = roles.directory / "down"
    down.touch()
    away = FIRST.replace("retry after 0.2 s", "retry after 3000 s")
    roles.configure(two(roles).replace(FIRST, away))
    roles.khive.start()
    number = assign(roles, "first")
    wait_until(lambda: audited(roles, "candidate.unavailable"), "it was asked")
    shown = roles.khive.run("candidates", "coder").stdout
    assert "rate_limited, until " in shown
    assert "first      cheap" in shown
    down.unlink()
    (first, second) = roles.khive.json("candidates")["roles"][0]["candidates"]
    assert (first["available"], first["breaker"], second["available"]) == (False, "open", True)
    assert roles.khive.json("close-breaker", "coder", "first")["closed"]
    assert roles.ended(number).result["by"] == "first"
    (first, _) = roles.khive.json("candidates", "coder")["roles"][0]["candidates"]
    assert (first["available"], first["known"][0]["tasks"]) == (True, 1)
    assert first["known"][0]["cost"] == 0.5
    assert f"t{number} fix: first" in roles.khive.run("candidates").stdout
    again = roles.khive.run("close-breaker", "coder", "first")
    assert "nothing was changed" in again.stdout
    wrong = roles.khive.run("close-breaker", "coder", "fist", code=None)
    assert "It has: first, second." in wrong.stderr


#: Is away after it has begun: it says so as an agent does, in words, and may have left something.
BEGUN = """
import os
from pathlib import Path
from khive_supervisor.routing.model import Unavailable


class RateLimitError(Exception):
    status_code = 429


def work(context, payload):
    if payload:
        Path(context.workdir, "left").write_text("by the first")
    raise RateLimitError("slow down")
"""


@pytest.mark.parametrize("changes", [False, True])
def test_one_that_had_begun_is_followed_within_the_attempt_only_if_nothing_is_left(
    roles: RoleBench, changes: bool
) -> None:
    roles.write(BEGUN)
    first = 'handler = { python = "handlers:work" }\nprice = "free"'
    second = "handler = { command = ['sh', '-c', 'ls; echo by the second'] }\nprice = \"dear\""
    candidates = "".join(
        f'[[roles.candidates]]\nname = "{name}"\n{keys}\n'
        for name, keys in (("first", first), ("second", second))
    )
    head = f'role = "coder"\ntask_types = ["fix"]\nworkdir = "fresh"\ncwd = "{roles.directory}"\n'
    roles.configure(head + candidates)
    roles.khive.start()
    number = 0
    for _ in range(20):  # until the first one was asked: the choice is by chance
        number = roles.store.tasks.assign(NewTask("coder", "fix", payload=changes))[0].id
        assert roles.ended(number).state == DONE
        if audited(roles, "candidate.unavailable"):
            break
    task, happened = roles.task(number), roles.what_happened(number)
    assert "by the second" in task.result
    assert (FAILED_OVER in happened, task.attempts) == ((False, 2) if changes else (True, 1))


def test_an_outage_of_all_costs_no_task_and_no_attempt(roles: RoleBench) -> None:
    down = roles.directory / "down"
    down.touch()
    roles.configure(two(roles, FIRST))
    roles.khive.start()
    numbers = [assign(roles) for _ in range(5)]
    wait_until(lambda: len(audited(roles, "candidate.unavailable")) >= 2, "both were asked")
    down.unlink()
    for task in map(roles.ended, numbers):
        assert (task.state, task.attempts) == (DONE, 1)


SPENDS = """
def work(context, payload):
    context.spend(model="m", input_tokens=payload, output_tokens=10)
    return payload
"""


def test_tokens_cost_what_the_price_says_and_a_reload_changes_it_at_once(roles: RoleBench) -> None:
    said = '{"khive_usage": {"model": "m", "input_tokens": 1000, "output_tokens": 100}}'
    role = f'role = "coder"\nhandler = {{ command = ["echo", \'{said}\'] }}\ntask_types = ["fix"]'
    roles.write(SPENDS)
    other = roles.python("other", "work")
    prices = '[[prices]]\nmodel = "m"\ninput = 2\noutput = 10.0\nas_of = 2026-11-01'
    roles.configure(role, other, settings=prices)
    roles.khive.start()
    roles.ended(assign(roles))
    roles.ended(roles.assign("other", 1000))
    generations = {r["role"]: r["generation"] for r in roles.khive.json("status")["roles"]}
    roles.configure(role, other, settings=prices.replace("input = 2", "input = 4"))
    shown = roles.khive.run("reload").stdout
    assert "prices.m: taken over" in shown
    roles.ended(assign(roles))
    roles.ended(roles.assign("other", 1000))
    spent = [(one.role, one.usage.cost, one.usage.tokens) for one in roles.store.budgets.spending()]
    assert spent == [
        ("coder", 3000, 1100), ("other", 2100, 1010), ("coder", 5000, 1100), ("other", 4100, 1010)
    ]  # fmt: skip
    after = {r["role"]: r["generation"] for r in roles.khive.json("status")["roles"]}
    assert after == generations  # the same workers
    assert "# prices: the oldest are" in roles.khive.run("config", "show").stdout
