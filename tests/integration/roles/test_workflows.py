"""Workflows with real workers: a graph with an approval, from a file to its last result."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from role_support import RoleBench, bench
from support import Installation, kill, wait_until

from khive_supervisor.tasks.model import NewTask
from khive_supervisor.workflows.model import NewRun, PlannedStep

GRAPH = """
name = "release"
input = { version = "1.0" }

[[steps]]
name = "list"
role = "py"
payload = ["{{input.version}}", "docs"]

[[steps]]
name = "build"
role = "py"
each = "{{steps.list.result}}"
payload = { build = "{{item}}" }

[[steps]]
name = "publish"
role = "other"
payload = { built = "{{steps.build.result}}" }
approve = { by = "operator", lasts = "1h" }
"""


@pytest.fixture
def roles(khive: Installation) -> Iterator[RoleBench]:
    with bench(khive) as made:
        made.configure(made.python("py", workers=2), made.python("other"))
        made.khive.start()
        yield made


def test_a_graph_runs_from_a_file_to_its_approval_and_its_end(roles: RoleBench) -> None:
    file = roles.khive.home / "release.toml"
    file.write_text(GRAPH)

    def show(*words: str) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(roles.khive.run(*words, "--json").stdout)
        return answer

    drawn = roles.khive.run("workflow", "dry-run", str(file)).stdout
    assert "3.  publish" in drawn
    begun = show("workflow", "run", str(file), "--input", '{"version": "2.0"}')
    assert begun["run"] == "w1"
    asked = wait_until(lambda: show("approvals")["approvals"], "somebody is asked")
    assert [one["step"] for one in asked] == ["publish"]
    assert "approval a1 by operator" in show("task", asked[0]["task"])["waits_for"]
    assert "other: 1 task waits for" in roles.khive.run("status").stdout
    show("approve", asked[0]["task"], "--note", "go")
    number = int(asked[0]["task"].removeprefix("t"))
    assert roles.ended(number).result == {"built": [{"build": "2.0"}, {"build": "docs"}]}
    assert show("workflow", "show", "w1")["state"] == "done"
    kinds = [entry.kind for entry in roles.store.audit.page(limit=200)]
    assert kinds.count("approval.given") == kinds.count("workflow.done") == 1


def test_a_schedule_fires_once_for_each_time_it_is_due(roles: RoleBench) -> None:
    made = roles.khive.run("assign", '"tick"', "--role", "py", "--every", "* * * * *").stdout
    assert made.startswith("s1 for py")
    store = roles.store.schedules
    (schedule,) = store.all()
    # As if the supervisor had last looked two minutes ago: both are made up for by one run.
    store.looked(schedule.id, schedule.seen - 150)
    roles.khive.call("agents.assign", role="py", payload=1)  # whatever happens has it look
    fired = wait_until(lambda: store.firings(schedule.id), "it is fired")
    assert len(fired) == 1
    assert fired[0].run is not None
    roles.khive.run("unschedule", "s1")
    assert store.all() == []


def test_a_paused_schedule_is_paused_after_a_reload_and_a_restart(roles: RoleBench) -> None:
    roles.khive.run("assign", '"tick"', "--role", "py", "--every", "* * * * *")
    assert "s1 every-py is paused." in roles.khive.run("pause-schedule", "s1").stdout
    roles.khive.run("reload")
    roles.khive.run("stop")
    roles.khive.start()
    (one,) = roles.khive.json("schedules")["schedules"]
    assert (one["paused"], one["next"]) == (True, "paused")
    assert "is next due at" in roles.khive.run("resume-schedule", "s1").stdout
    assert not roles.khive.json("schedules")["schedules"][0]["paused"]


def test_who_waits_keeps_its_place_while_its_role_is_drained(roles: RoleBench) -> None:
    first = roles.khive.json("assign", '"one"', "--role", "other")["task"]
    wait_until(lambda: roles.khive.json("task", first)["state"] == "done", "it is done")
    roles.khive.run("drain-role", "py")
    queued = roles.khive.json("assign", '"two"', "--role", "py")["task"]
    after = ("--after", queued, "--after", first)
    waiting = roles.khive.json("assign", f'"{{{{{queued}.result}}}}"', "--role", "py", *after)
    assert waiting["state"] == "waiting"
    roles.khive.run("reload")
    states = [roles.khive.json("task", one)["state"] for one in (queued, waiting["task"])]
    assert states == ["queued", "waiting"]
    roles.khive.run("resume-role", "py")
    assert roles.ended(int(waiting["task"][1:])).result == "two"


def test_a_refusal_can_be_a_failure(roles: RoleBench) -> None:
    asks = ("--approve", "operator", "--if-refused", "fail")
    refused = roles.khive.json("assign", '"go"', "--role", "py", *asks)["task"]
    instead = ("--after", refused, "--on-failure", "run")
    other = roles.khive.json("assign", f'"{{{{{refused}.state}}}}"', "--role", "py", *instead)
    wait_until(lambda: roles.khive.json("approvals")["approvals"], "somebody is asked")
    assert "+" in roles.khive.run("approvals", TZ="Asia/Tokyo").stdout
    assert roles.khive.json("reject", refused, "--note", "not today")["state"] == "failed"
    assert "not today" in str(roles.khive.json("task", refused)["error"])
    assert roles.ended(int(other["task"][1:])).result == "failed"


def chain(number: int, length: int = 4) -> NewRun:
    """Return a run whose steps come one after the other, each with what the one before found."""
    steps = []
    for at in range(length):
        before = f"s{at - 1}"
        payload = [at, f"{{{{steps.{before}.result}}}}"] if at else [at]
        task = NewTask("py", "py", payload, attempts_max=100)
        steps.append(PlannedStep(f"s{at}", task, ((before, "cancel"),) if at else ()))
    return NewRun(f"chain-{number}", {}, {}, tuple(steps))


def test_kills_lose_no_step_and_repeat_none(roles: RoleBench) -> None:
    store = roles.store
    runs = [store.workflows.begin(chain(number))[0].id for number in range(20)]
    for turn in range(8):
        if turn == 4:
            kill(roles.khive.status()["pid"])
            wait_until(roles.khive.gone, "all are gone with their supervisor")
            roles.khive.start()
        elif pids := [one["pid"] for one in roles.workers("py") if one["pid"]]:
            kill(pids[0])

    def over() -> bool:
        return all(one.ended for one in store.workflows.page())

    wait_until(over, "all runs have ended")
    assert {one.state for one in store.workflows.page()} == {"done"}
    for run in runs:
        numbers = [step.task.id for step in store.workflows.tasks(run)]
        assert roles.task(numbers[-1]).result == [3, [2, [1, [0]]]]
        events = [store.tasks.events(task_id=number) for number in numbers]
        assert [[e.what for e in one].count("done") for one in events] == [1] * len(numbers)
        ends = [next(e.seq for e in one if e.what == "done") for one in events]
        begins = [next(e.seq for e in one if e.what == "leased") for one in events]
        assert all(end < begin for end, begin in zip(ends, begins[1:], strict=False))
