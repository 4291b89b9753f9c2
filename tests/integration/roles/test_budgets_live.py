"""Budgets of a running supervisor: waiting, refusing, the fallback, live limits, restarts."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest
from role_support import HANDLERS, RoleBench, bench, command
from support import Installation, kill, wait_until

from khive_supervisor import exitcodes
from khive_supervisor.tasks.model import DONE, FAILED, Usage

pytestmark = pytest.mark.long

SPENDING = (
    HANDLERS
    + '''

def spend(context, payload):
    """Use what the payload says, in two parts; then fail, hang or return as it says."""
    context.spend(cost=payload["cost"] / 2)
    context.spend(cost=payload["cost"] / 2, tokens=payload.get("tokens", 0))
    if payload.get("fail"):
        raise RuntimeError("no")
    if payload.get("hang"):
        context.cancelled.wait()
    if "until" in payload:
        until(context, payload)
    return "done"
'''
)


@pytest.fixture
def roles(khive: Installation) -> Iterator[RoleBench]:
    with bench(khive) as made:
        made.write(SPENDING)
        yield made


def spender(roles: RoleBench, budget: str, **keys: Any) -> str:
    return roles.python("py", "spend", **keys) + (f"budget = {{ {budget} }}\n" if budget else "")


def spend(roles: RoleBench, cost: float, attempts: int = 3, **more: Any) -> int:
    return roles.assign("py", {"cost": cost, **more}, attempts)


def week(roles: RoleBench, role: str = "py") -> dict[str, Any]:
    """What the command says of the week, and of the role."""
    (shown,) = roles.khive.json("budget", role)["roles"]
    return {**shown, **shown["windows"][0]}


def test_whatever_an_attempt_used_counts(roles: RoleBench) -> None:
    roles.configure(spender(roles, "weekly = 100, near = 0.001", timeout=1.0))
    roles.khive.start()
    numbers = [
        spend(roles, 0.1, tokens=7),
        spend(roles, 0.2, fail=True, attempts=1),
        spend(roles, 0.4, hang=True, attempts=1),
    ]
    assert [roles.ended(number).state for number in numbers] == [DONE, FAILED, FAILED]
    used = {one.task_id: one.usage for one in roles.store.budgets.spending()}
    assert [used[number] for number in numbers] == [
        Usage(100_000, 7), Usage(200_000), Usage(400_000),
    ]  # fmt: skip
    assert (week(roles)["spent"], week(roles)["state"]) == (0.7, "near")
    wait_until(lambda: roles.role("py")["budget"] == "near", "the status says so")
    assert "near" in roles.khive.run("status").stdout
    assert "near" in roles.khive.run("roles").stdout
    assert "$0.70" in roles.khive.run("budget").stdout


def test_a_command_says_what_it_used_also_when_it_fails(roles: RoleBench) -> None:
    said = '{"answer": 1, "khive_usage": {"cost": 0.25, "tokens": 9}}'
    roles.configure(
        command("good", "sh", "-c", f"echo '{said}'") + "budget = { weekly = 5 }\n",
        command("bad", "sh", "-c", f"echo '{said}'; exit 125"),
        command("odd", "echo", '{"khive_usage": {"cost": "much"}}'),
    )
    roles.khive.start()
    good, bad, odd = (roles.assign(name) for name in ("good", "bad", "odd"))
    assert roles.ended(good).result["answer"] == 1
    assert roles.ended(bad).state == FAILED
    assert roles.ended(odd).state == DONE
    used = {one.role: one.usage for one in roles.store.budgets.spending()}
    assert used == {"good": Usage(250_000, 9), "bad": Usage(250_000, 9)}
    (event,) = roles.khive.events("role.usage_ignored")
    assert "What was used cannot be cost = 'much'." in event["error"]


def test_what_is_exceeded_is_refused_and_a_raised_limit_is_honoured_at_once(
    roles: RoleBench,
) -> None:
    roles.configure(spender(roles, "weekly = 1.0, reserve = 0.5"))
    roles.khive.start()
    with roles.store.transaction():  # the first two use up all
        waits = [spend(roles, 0.5) for _ in range(3)]
    for number in waits[:2]:
        roles.ended(number)
    refused = roles.khive.run("assign", "--role", "py", "{}", code=exitcodes.TEMPORARY)
    assert "The budget of the role py is exceeded: $1.00 of $1.00 is spent" in refused.stderr
    refused = roles.khive.run("assign", "--type", "py", "{}", code=exitcodes.TEMPORARY)
    assert "budget of the role py is exceeded" in refused.stderr
    shown = week(roles)
    assert (shown["state"], shown["left"], shown["reserved"]) == ("exceeded", 0, 0)
    assert shown["exceeded_until"] == shown["ends"]
    assert "its tasks wait" in roles.khive.run("budget", "py").stdout
    wait_until(lambda: roles.role("py")["budget"] == "exceeded", "the status says so")
    pids = [worker["pid"] for worker in roles.workers("py")]
    assert roles.task(waits[2]).state == "queued"
    note = "Queued tasks wait for the budget of py: $1.00 of $1.00 is spent this week (until "
    for verb, args in (
        ("agents.task", {"task": f"t{waits[2]}"}),
        ("agents.tasks", {}),
        ("agents.wait", {"task": f"t{waits[2]}", "timeout": 0}),
    ):
        assert roles.khive.call(verb, **args)["note"].startswith(note)
    assert f"note: {note}" in roles.khive.run("tasks").stdout
    assert "wait for the budget of py" in roles.khive.run("task", f"t{waits[2]}").stdout
    assert "note" not in roles.khive.call("agents.task", task=f"t{waits[0]}")

    roles.configure(spender(roles, "weekly = 1.5, reserve = 0.5"))
    assert roles.khive.json("reload")["roles"] == {"py": "live"}
    assert roles.ended(waits[2]).state == DONE
    assert "note" not in roles.khive.call("agents.tasks")
    assert [worker["pid"] for worker in roles.workers("py")] == pids
    assert week(roles)["spent"] == 1.5

    roles.configure(spender(roles, "weekly = 0"))
    roles.khive.run("reload")
    refused = roles.khive.run("assign", "--role", "py", "{}", code=exitcodes.TEMPORARY)
    assert "$1.50 of $0.00 is spent" in refused.stderr


def test_another_role_takes_what_is_exceeded(roles: RoleBench) -> None:
    spent_out = spender(roles, "weekly = 0").replace('["py"]', '["job"]')
    roles.configure(spent_out, roles.python("spare").replace('["spare"]', '["job"]'))
    roles.khive.start()
    for _ in range(5):
        answer = roles.khive.json("assign", "--type", "job", "1")
        assert answer["role"] == "spare"
        (skipped,) = answer["why"]["skipped"]
        assert skipped["role"] == "py"
        assert "budget is exceeded: $0.00 of $0.00" in skipped["because"]


def test_parallel_tasks_wait_for_what_the_others_have_set_aside(roles: RoleBench) -> None:
    roles.configure(spender(roles, "weekly = 1.0, reserve = 0.4", workers=3))
    roles.khive.start()
    gates = [roles.gate(name) for name in ("a", "b", "c")]
    numbers = [spend(roles, 0.1, **gate) for gate in gates]
    roles.began(gates[0])
    roles.began(gates[1])
    assert week(roles)["reserved"] == 0.8
    assert roles.task(numbers[2]).state == "queued"
    assert week(roles)["state"] == "normal"
    roles.open(gates[0])
    roles.began(gates[2])
    for gate in gates:
        roles.open(gate)
    assert {roles.ended(number).state for number in numbers} == {DONE}
    assert week(roles)["spent"] == 0.3


@pytest.mark.parametrize("kind", ["function", "command"])
def test_a_fallback_takes_over_and_a_changed_one_needs_no_new_workers(
    roles: RoleBench, kind: str
) -> None:
    def configured(word: str) -> str:
        budget = f'weekly = 0.5, reserve = 0.5, fallback = ["{sys.executable}", "-c", "{word}"]'
        if kind == "function":
            return spender(roles, budget)
        said = '{"khive_usage": {"cost": 0.5}}'
        return command("py", "echo", said) + f"budget = {{ {budget} }}\n"

    roles.configure(configured("print('first')"))
    roles.khive.start()
    assert roles.ended(spend(roles, 0.5)).result != "first"
    assert roles.ended(spend(roles, 0.5)).result == "first"
    (worker,) = roles.workers("py")
    roles.configure(configured("print('second')"))
    assert roles.khive.json("reload")["roles"] == {"py": "live"}
    number = spend(roles, 0.5)
    assert roles.ended(number).result == "second"
    assert [one["pid"] for one in roles.workers("py")] == [worker["pid"]]
    assert week(roles)["spent"] == 0.5
    assert "its fallback does the tasks" in roles.khive.run("budget").stdout
    (leased,) = (e for e in roles.store.tasks.events(task_id=number) if e.what == "leased")
    assert leased.detail.startswith("by the fallback: $0.50 of $0.50 is spent this week")
    # One that has gone fails the attempt, not the worker.
    roles.configure(configured("raise SystemExit(125)"))
    roles.khive.run("reload")
    assert roles.ended(spend(roles, 0.5)).state == FAILED


def test_neither_a_restart_nor_a_kill_resets_what_is_spent(roles: RoleBench) -> None:
    roles.configure(spender(roles, "weekly = 1.0, reserve = 0.5"))
    roles.khive.start()
    roles.ended(spend(roles, 0.6))
    roles.khive.stop()
    roles.khive.start()
    assert week(roles)["spent"] == 0.6
    kill(roles.khive.status()["pid"])
    roles.khive.start()
    assert (week(roles)["spent"], week(roles)["state"]) == (0.6, "exceeded")
    wait_until(lambda: roles.role("py")["budget"] == "exceeded", "the new supervisor knows")
    roles.khive.run("assign", "--role", "py", "{}", code=exitcodes.TEMPORARY)


def test_a_role_that_is_gone_and_comes_back_has_spent_what_it_had(roles: RoleBench) -> None:
    roles.configure(spender(roles, "weekly = 1.0"))
    roles.khive.start()
    roles.ended(spend(roles, 0.25))
    roles.configure(roles.python("other"))
    roles.khive.run("reload")
    wait_until(lambda: [b.role for b in roles.store.budgets.accounts()] == ["other"], "it is gone")
    roles.configure(spender(roles, "weekly = 2.0"))
    roles.khive.run("reload")
    assert (week(roles)["spent"], week(roles)["limit"]) == (0.25, 2.0)


def test_a_reload_that_is_undone_brings_its_limits_back(roles: RoleBench) -> None:
    roles.configure(spender(roles, "weekly = 1.0"))
    roles.khive.start()
    roles.configure(spender(roles, "weekly = 2.0").replace(":spend", ":no_such_function"))
    roles.khive.run("reload", code=1)
    assert week(roles)["limit"] == 1.0
    roles.configure(spender(roles, "weekly = 3.0").replace(":spend", ":fail"))
    roles.khive.run("reload")
    assert week(roles)["limit"] == 3.0
    for number in [roles.assign("py", n, attempts=1) for n in range(3)]:
        roles.ended(number)
    wait_until(lambda: week(roles)["limit"] == 1.0, "it is rolled back with the rest")


def test_a_reload_does_not_wait_for_tasks_that_a_budget_holds_up(roles: RoleBench) -> None:
    roles.configure(spender(roles, "weekly = 1.0, reserve = 0.5"))
    roles.khive.start()
    # At once: the first uses up all, and who comes after that is refused.
    with roles.store.transaction():
        numbers = [spend(roles, cost, attempts=1) for cost in (1.0, 0.1, 0.1, 0.1)]
    roles.ended(numbers[0])
    roles.configure(spender(roles, "weekly = 1.0, reserve = 0.5").replace(":spend", ":fail"))
    assert roles.khive.json("reload")["roles"] == {"py": "rolled"}
    assert {roles.task(number).state for number in numbers[1:]} == {"queued"}
    # It is watched when it gets its first tasks: the watch did not end before the reload did.
    roles.configure(spender(roles, "weekly = 9.0, reserve = 0.5").replace(":spend", ":fail"))
    assert roles.khive.json("reload")["roles"] == {"py": "live"}
    assert {roles.ended(number).state for number in numbers[1:]} == {FAILED}
    wait_until(lambda: roles.khive.events("role.rolled_back"), "it is rolled back")
