"""Roles when things die, hang or lie: nothing is lost, nothing is accepted twice, nothing stays."""

from __future__ import annotations

import collections
from collections.abc import Iterator

import pytest
from role_support import RoleBench, bench, command
from support import Installation, alive, kill, wait_until

from khive_supervisor.tasks.model import DEAD, DONE, FAILED


@pytest.fixture
def roles(khive: Installation) -> Iterator[RoleBench]:
    with bench(khive) as made:
        yield made


QUICK = '[supervisor]\nrestart_backoff = "10ms"\nrestart_backoff_max = "20ms"'


def test_a_killed_worker_is_replaced_and_its_task_done_once(roles: RoleBench) -> None:
    roles.configure(roles.python("py", "until"), settings=QUICK)
    roles.khive.start()
    gate = roles.gate("one")
    number = roles.assign("py", gate)
    first = roles.began(gate)
    kill(first)
    wait_until(lambda: roles.task(number).token == 2, "another one has it")
    roles.open(gate)
    task = roles.ended(number)
    assert (task.state, task.result) == (DONE, 2)  # its second attempt
    assert roles.what_happened(number) == ["enqueued", "leased", "requeued", "leased", "done"]


def test_a_killed_supervisor_is_a_drain(roles: RoleBench) -> None:
    roles.configure(roles.python("py", "until", workers=2), command("sh", "cat"))
    roles.khive.start()
    gate = roles.gate("one")
    number = roles.assign("py", gate)
    worker = roles.began(gate)
    kill(roles.khive.status()["pid"])
    roles.khive.start()
    assert alive(worker)  # what it holds, it finishes
    roles.open(gate)
    assert roles.ended(number).result == 1
    wait_until(lambda: not alive(worker), "the old worker has ended")
    assert roles.what_happened(number) == ["enqueued", "leased", "done"]
    assert roles.ended(roles.assign("sh", 1)).state == DONE
    # Generations' numbers go on: one means one thing for ever.
    assert roles.role("py")["generation"] == 2


def test_what_died_with_the_supervisor_is_queued_at_the_next_start(roles: RoleBench) -> None:
    roles.configure(roles.python("py", "until"))
    roles.khive.start()
    gate = roles.gate("one")
    number = roles.assign("py", gate)
    worker = roles.began(gate)
    kill(roles.khive.status()["pid"])
    kill(worker)
    roles.open(gate)
    roles.khive.start()
    # Long before its lease is over.
    wait_until(lambda: roles.task(number).ended, "it is done again")
    assert roles.what_happened(number) == ["enqueued", "leased", "requeued", "leased", "done"]


@pytest.mark.long
def test_kills_under_load_lose_nothing(roles: RoleBench) -> None:
    settings = QUICK + "\nrestart_limit = 100"
    roles.configure(roles.python("py", workers=2), settings=settings)
    roles.khive.start()
    numbers = [roles.assign("py", n, attempts=100) for n in range(300)]
    for share in (50, 100):
        wait_until(lambda: roles.task(numbers[share]).ended, "some are done")  # noqa: B023 - called here
        for worker in roles.workers("py"):
            if worker["pid"]:
                kill(worker["pid"])
    wait_until(lambda: roles.task(numbers[150]).ended, "half are done")
    kill(roles.khive.status()["pid"])
    roles.khive.start()
    assert [roles.ended(number).result for number in numbers] == list(range(300))
    counts = collections.Counter(e.what for e in roles.store.tasks.events(limit=10_000))
    assert counts["done"] == 300  # none was accepted twice


def test_a_crash_loop_takes_one_role_down_and_no_other(roles: RoleBench) -> None:
    settings = QUICK + "\nrestart_limit = 2"
    roles.configure(roles.python("bad", "crash"), roles.python("good"), settings=settings)
    roles.khive.start()
    numbers = [roles.assign("bad", n, attempts=1) for n in range(3)]
    states = [roles.ended(number).state for number in numbers]
    assert states == [DEAD, DEAD, DEAD]
    wait_until(lambda: roles.role("bad")["state"] == "failed", "it was given up")
    assert "3 deaths within" in roles.role("bad")["last_error"]
    assert roles.ended(roles.assign("good", 1)).state == DONE
    (event,) = roles.khive.events("role.gave_up")
    assert event["role"] == "bad"


@pytest.mark.parametrize(
    ("source", "why"),
    [("import no_such_module", "No module named"), ("raise SystemExit(3)", "SystemExit: 3")],
)
def test_a_handler_that_cannot_be_imported_is_one_failed_start(
    roles: RoleBench, source: str, why: str
) -> None:
    roles.write(source)
    roles.configure(roles.python("bad"), command("good", "cat"))
    roles.khive.start()
    role = roles.role("bad")
    assert role["state"] == "failed"
    assert why in role["last_error"]
    assert role["restarts"] == 0
    assert roles.ended(roles.assign("good", 1)).state == DONE


def test_a_program_that_does_not_exist_leaves_the_others_alone(roles: RoleBench) -> None:
    roles.configure(command("bad", "no-such-program"), roles.python("good"))
    roles.khive.start()
    assert "'no-such-program' does not exist" in roles.role("bad")["last_error"]
    assert roles.role("good")["state"] == "ready"


@pytest.mark.long
def test_a_worker_that_hangs_at_its_start_goes_with_the_supervisor(roles: RoleBench) -> None:
    mark = roles.directory / "mark"
    roles.write(f"import threading\nopen({str(mark)!r}, 'w').close()\nthreading.Event().wait()")
    roles.configure(roles.python("py"))
    done = roles.khive.run("start", "--background", "--quiet")
    assert done.returncode == 0
    wait_until(mark.exists, "it hangs")
    assert roles.role("py")["state"] == "starting"
    roles.khive.stop()
    wait_until(roles.khive.gone, "all are gone")


def test_a_function_past_its_timeout_fails_and_its_worker_is_replaced(roles: RoleBench) -> None:
    roles.configure(roles.python("py", "deaf", timeout=0.2))
    roles.khive.start()
    gate = roles.gate("one")
    number = roles.assign("py", gate, attempts=1)
    first = roles.began(gate)
    task = roles.ended(number)
    assert task.state == FAILED
    assert "longer than 0.2 s, the role's timeout" in (task.error or "")
    wait_until(lambda: not alive(first), "the worker has ended")
    wait_until(lambda: roles.role("py")["state"] == "ready", "another one is there")


def test_a_command_past_its_timeout_is_ended_with_its_children(roles: RoleBench) -> None:
    file = roles.directory / "grandchild"
    script = f"sleep 600 & echo $! > {file}; wait"
    roles.configure(command("sh", "sh", "-c", script, timeout=0.5))
    roles.khive.start()
    (before,) = roles.workers("sh")
    task = roles.ended(roles.assign("sh", 1, attempts=1))
    assert "the role's timeout" in (task.error or "")
    wait_until(lambda: not alive(int(file.read_text())), "the grandchild is gone")
    assert roles.workers("sh")[0]["pid"] == before["pid"]


def test_what_a_killed_worker_ran_goes_with_it(roles: RoleBench) -> None:
    file = roles.directory / "child"
    script = f"echo $$ > {file}; sleep 600; true"
    roles.configure(command("sh", "sh", "-c", script))
    roles.khive.start()
    roles.assign("sh", 1, attempts=1)
    child = int(wait_until(lambda: file.exists() and file.read_text().strip(), "it runs"))
    kill(roles.workers("sh")[0]["pid"])
    wait_until(lambda: not alive(child), "the command is gone")


def test_a_function_that_eats_memory_is_told_so_and_the_worker_goes_on(roles: RoleBench) -> None:
    roles.configure(roles.python("py", "eat", memory=64 << 20))
    roles.khive.start()
    (before,) = roles.workers("py")
    task = roles.ended(roles.assign("py", 80 << 20, attempts=1))
    assert "ran out of memory" in (task.error or "")
    assert roles.ended(roles.assign("py", 10 << 20)).result == 10 << 20
    assert roles.workers("py")[0]["pid"] == before["pid"]
