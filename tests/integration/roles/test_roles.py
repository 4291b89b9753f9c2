"""Roles with real workers: tasks done by functions and commands, drains, reloads, rollbacks."""

from __future__ import annotations

import collections
import re
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from role_support import HANDLERS, RoleBench, bench, command
from support import Installation, alive, kill, wait_until

from khive_supervisor.sqlite.store import SqliteStore
from khive_supervisor.tasks.model import CANCELLED, DONE, FAILED, NewTask

#: How many tasks are queued while reloads go on, and how many reloads; each takes seconds.
TASKS, RELOADS = 120, 3


@pytest.fixture
def roles(khive: Installation) -> Iterator[RoleBench]:
    with bench(khive) as made:
        yield made


BY_EXEC = '[supervisor]\nworker_start = "exec"'


@pytest.mark.parametrize("settings", ["", BY_EXEC], ids=["fork", "exec"])
def test_functions_and_commands_do_tasks(roles: RoleBench, settings: str) -> None:
    roles.configure(
        roles.python("py", workers=2),
        roles.python("memory", "remember"),
        roles.python("odd", "odd"),
        roles.python("fails", "fail"),
        command("sh", "sh", "-c", "cat; echo oops >&2; exit 3"),
        settings=settings,
    )
    roles.khive.start()
    wait_until(lambda: roles.role("py")["workers_ready"] == 2, "there are two")
    one = {"deep": [1, "two"]}
    wanted = ("py", one), ("memory", 8080), ("odd", 1), ("fails", 1), ("sh", 1)
    numbers = {role: roles.assign(role, payload, attempts=1) for role, payload in wanted}
    done = {role: roles.ended(number) for role, number in numbers.items()}
    assert done["py"].result == one
    (entry, found) = done["memory"].result
    assert re.fullmatch(r"m\d+", entry)
    assert found == ["The port is 8080."]
    assert done["odd"].state == FAILED
    assert "returned what is no JSON" in (done["odd"].error or "")
    assert (done["fails"].error or "").startswith("ValueError: no 1\nTraceback")
    assert done["sh"].error == "The command failed with exit code 3.\noops"
    assert {task.generation for task in done.values()} == {1}
    # A handler's failure costs no worker.
    assert roles.role("fails")["restarts"] == 0


def test_a_task_of_a_verb_starts_at_once_and_is_cancelled_by_one(roles: RoleBench) -> None:
    roles.configure(roles.python("py", "until"), command("sh", "sleep", "600"))
    roles.khive.start()
    gate = roles.gate("one")
    for role in ("py", "sh"):
        given = roles.khive.call("agents.assign", role=role, payload=gate)
        number = int(given["task"].removeprefix("t"))
        wait_until(lambda: roles.task(number).state == "leased", "it is at work")  # noqa: B023 - called here
        if role == "py":
            roles.began(gate)
        roles.khive.call("agents.cancel", task=given["task"])
        assert roles.ended(number).state == CANCELLED
    assert roles.role("py")["restarts"] == 0  # it listened


def test_reloads_under_load_lose_nothing_and_leave_no_gap(roles: RoleBench) -> None:
    def configure(number: int) -> None:
        roles.configure(roles.python("py", workers=2, timeout=100.0 + number))

    configure(0)
    roles.khive.start()
    numbers: list[int] = []
    go_on = threading.Event()

    def feed() -> None:
        store = SqliteStore(str(roles.khive.store), guarded=False)
        while len(numbers) < TASKS:
            numbers.append(store.tasks.assign(NewTask("py", payload=len(numbers)))[0].id)
            if len(numbers) % (TASKS // RELOADS) == 0:
                go_on.wait(60)
                go_on.clear()
        store.close()

    feeding = threading.Thread(target=feed)
    feeding.start()
    for number in range(1, RELOADS + 1):
        queued = number * TASKS // RELOADS
        wait_until(lambda: len(numbers) >= queued, "the next are queued")  # noqa: B023 - called here
        configure(number)
        go_on.set()
        roles.khive.run("reload")
    go_on.set()
    wait_until(lambda: len(numbers) == TASKS, "all are queued")
    feeding.join()
    ended = [roles.ended(number) for number in numbers]
    assert [task.result for task in ended] == list(range(TASKS))
    assert {task.state for task in ended} == {DONE}
    counts = collections.Counter(e.what for e in roles.store.tasks.events(limit=10_000))
    assert counts == {"enqueued": TASKS, "leased": TASKS, "done": TASKS}
    ready = roles.ready_counts("py")
    assert min(ready[ready.index(2) :]) == 2
    assert roles.role("py")["generation"] == RELOADS + 1


def test_a_generation_that_fails_its_first_tasks_is_rolled_back(roles: RoleBench) -> None:
    roles.configure(roles.python("py", "until", workers=1))
    roles.khive.start()
    gate = roles.gate("one")
    for _ in range(20):  # the first is held, so that the others wait for the new generation
        roles.assign("py", gate)
    roles.began(gate)
    head = "def until(context, payload):"
    roles.write(HANDLERS.replace(head, f"{head}\n    raise RuntimeError('bad')\n"))
    roles.configure(roles.python("py", "until", workers=1, timeout=7.0))
    with ThreadPoolExecutor(1) as beside:
        reload = beside.submit(roles.khive.run, "reload", code=None)
        wait_until(lambda: roles.role("py")["generation"] == 2, "the new generation serves")
        roles.open(gate)
        done = reload.result()
    assert done.returncode == 1
    assert "rolled back" in done.stdout
    role = roles.role("py")
    assert [(g["generation"], g["state"]) for g in role["generations"]][-2:] == [
        (2, "failed"),
        (3, "active"),
    ]
    assert role["last_error"].startswith("Generation 2 was rolled back")
    assert roles.khive.events("role.rolled_back")


def test_a_start_that_fails_leaves_the_workers_alone(roles: RoleBench) -> None:
    roles.configure(roles.python("py", workers=2))
    roles.khive.start()
    before = {worker["pid"] for worker in roles.workers("py")}
    for source, why in (
        ("import no_such_module", "No module named 'no_such_module'"),
        ("import os\nos._exit(9)", "exit code 9"),
        ("echo = 1", "is no function but int"),
    ):
        roles.write(source)
        roles.configure(roles.python("py", workers=2, timeout=float(len(source))))
        assert roles.khive.run("reload", code=None).returncode == 1
        assert why in roles.role("py")["last_error"]
        assert {worker["pid"] for worker in roles.workers("py")} == before
    assert roles.ended(roles.assign("py", 5)).result == 5


def test_a_role_is_taken_out_of_service_and_put_back(roles: RoleBench) -> None:
    roles.configure(roles.python("py", "until"), roles.python("other"))
    roles.khive.start()
    gate = roles.gate("held")
    held = roles.assign("py", gate)
    roles.began(gate)
    draining = threading.Thread(target=roles.khive.run, args=("drain-role", "py"))
    draining.start()
    wait_until(lambda: roles.role("py")["state"] == "drained", "its queue is closed")
    waits = roles.assign("py", roles.gate("later"))
    roles.open(gate)
    draining.join()
    assert roles.ended(held).state == DONE  # what was held was finished
    assert roles.workers("py") == []
    assert roles.ended(roles.assign("other", 1)).state == DONE
    assert roles.task(waits).state == "queued"
    roles.khive.run("resume-role", "py")
    roles.began(roles.gate("later"))
    roles.open(roles.gate("later"))
    assert roles.ended(waits).state == DONE


def test_a_drain_is_bounded_and_the_task_goes_on_elsewhere(roles: RoleBench) -> None:
    roles.configure(roles.python("py", "deaf", drain_deadline=0.2))
    roles.khive.start()
    gate = roles.gate("stuck")
    number = roles.assign("py", gate)
    first = roles.began(gate)
    roles.khive.run("drain-role", "py", "--reload")
    assert not alive(first)
    wait_until(lambda: roles.task(number).token == 2, "it was given to the new worker")
    roles.open(gate)
    assert roles.ended(number).state == DONE
    assert roles.what_happened(number) == ["enqueued", "leased", "requeued", "leased", "done"]
    assert roles.task(number).attempts == 1  # it was not its fault


def test_the_number_of_workers_changes_in_place(roles: RoleBench) -> None:
    roles.configure(roles.python("py", workers=1))
    roles.khive.start()
    (first,) = roles.workers("py")
    roles.configure(roles.python("py", workers=3))
    roles.khive.run("reload")
    wait_until(lambda: roles.role("py")["workers_ready"] == 3, "there are three")
    assert first["pid"] in {worker["pid"] for worker in roles.workers("py")}
    roles.configure(roles.python("py", workers=1))
    roles.khive.run("reload")
    wait_until(lambda: len(roles.workers("py")) == 1, "there is one")
    assert roles.role("py")["generation"] == 1


def test_tasks_of_a_removed_role_wait_and_the_status_says_so(roles: RoleBench) -> None:
    roles.configure(roles.python("py", "until"), roles.python("other"))
    roles.khive.start()
    gate = roles.gate("one")
    held, waits = roles.assign("py", gate), roles.assign("py", gate)
    roles.began(gate)
    roles.open(gate)
    roles.configure(roles.python("other"))
    roles.khive.run("reload")
    states = {roles.task(held).state, roles.task(waits).state}
    assert DONE in states
    assert [role["role"] for role in roles.khive.status()["roles"]] == ["other"]
    late = roles.assign("py", gate)
    wait_until(lambda: roles.khive.status()["unserved"].get("py"), "the status tells of them")
    assert roles.task(late).state == "queued"


def test_stopping_finishes_what_is_held(roles: RoleBench) -> None:
    roles.configure(roles.python("py", "until"))
    roles.khive.start()
    gate = roles.gate("one")
    number = roles.assign("py", gate)
    roles.began(gate)
    pid = roles.khive.status()["pid"]
    kill(pid, signal.SIGTERM)
    kill(pid, signal.SIGTERM)  # a second one hurries nothing
    wait_until(lambda: roles.khive.events("supervisor.stopping"), "it stops")
    roles.open(gate)
    wait_until(roles.khive.gone, "all are gone")
    assert roles.task(number).state == DONE
    assert roles.what_happened(number) == ["enqueued", "leased", "done"]
