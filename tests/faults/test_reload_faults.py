"""Reloads of roles when workers hang, the supervisor dies or is told to stop in the middle."""

from __future__ import annotations

import collections
import resource
import signal
from collections.abc import Iterator

import pytest
from role_support import HANDLERS, RoleBench, bench, command
from support import Installation, alive, kill, wait_until

from khive_supervisor.tasks.model import DONE, FAILED

pytestmark = pytest.mark.long

QUICK = '[supervisor]\nrestart_backoff = "10ms"\nrestart_backoff_max = "20ms"\nrestart_limit = 2'
TELLING = '[log]\nlevel = "debug"'


@pytest.fixture
def roles(khive: Installation) -> Iterator[RoleBench]:
    with bench(khive) as made:
        yield made


def hang(roles: RoleBench) -> dict[str, str]:
    """Let what is imported from now on wait at a gate."""
    gate = roles.gate("import")
    waits = (
        "import fcntl as _fcntl, os as _os\n"
        f"open({gate['began']!r}, 'w').write(str(_os.getpid()))\n"
        f"with open({gate['until']!r}) as _gate:\n    _fcntl.flock(_gate, _fcntl.LOCK_SH)\n"
    )
    roles.write(waits + HANDLERS)
    return gate


def every_worker(roles: RoleBench) -> list[int]:
    return [event["worker_pid"] for event in roles.khive.events("role.worker_ready")]


def phase(roles: RoleBench, name: str) -> None:
    """Wait for a reload to be in a phase."""
    wait_until(
        lambda: any(e["phase"] == name for e in roles.khive.events("reload.phase")), f"it is {name}"
    )


def hang_up(roles: RoleBench) -> None:
    kill(roles.khive.status()["pid"], signal.SIGHUP)


# --- workers that hang at their start ---------------------------------------------------------


def test_a_new_worker_that_hangs_changes_nothing_and_is_killed(roles: RoleBench) -> None:
    roles.configure(roles.python("py"))
    roles.khive.start()
    (before,) = roles.workers("py")
    gate = hang(roles)
    roles.configure(roles.python("py", timeout=7.0, warm_timeout=0.5))
    done = roles.khive.run("reload", code=1)
    assert "a worker was not ready within 0.5 s" in done.stdout
    assert not alive(roles.began(gate))
    assert [w["pid"] for w in roles.workers("py")] == [before["pid"]]
    assert roles.ended(roles.assign("py", 5)).result == 5


def test_workers_that_hang_at_every_start_are_given_up(roles: RoleBench) -> None:
    hang(roles)
    roles.configure(roles.python("py", warm_timeout=0.2), command("sh", "cat"), settings=QUICK)
    roles.khive.start()
    wait_until(lambda: roles.role("py")["state"] == "failed", "it is given up")
    assert "not ready within 0.2 s" in roles.role("py")["last_error"]
    assert roles.khive.status()["state"] == "degraded"
    assert roles.ended(roles.assign("sh", 1)).state == DONE


def test_a_worker_that_hangs_ends_although_its_supervisor_died(roles: RoleBench) -> None:
    gate = hang(roles)
    roles.configure(roles.python("py", warm_timeout=0.5))
    roles.khive.run("start", "--background", "--quiet")
    worker = roles.began(gate)
    kill(roles.khive.status()["pid"])
    wait_until(lambda: not alive(worker), "it has ended")


# --- the supervisor dies, or is told to stop --------------------------------------------------


@pytest.mark.parametrize("moment", ["staging", "draining", "watching"])
def test_a_supervisor_killed_in_a_reload_loses_nothing(roles: RoleBench, moment: str) -> None:
    roles.configure(roles.python("py", "until"), settings=TELLING)
    roles.khive.start()
    gates = [roles.gate(name) for name in ("held", "next", "last")]
    numbers = [roles.assign("py", gate) for gate in gates]
    roles.began(gates[0])
    importing = hang(roles)
    if moment != "staging":
        roles.open(importing)
    roles.configure(roles.python("py", "until", timeout=100.0), settings=TELLING)
    hang_up(roles)
    if moment == "watching":
        phase(roles, "draining")  # the old worker takes no more
        roles.open(gates[0])
    phase(roles, moment)
    roles.began(importing if moment == "staging" else gates[0 if moment == "draining" else 1])
    before = [roles.began(importing), *every_worker(roles)]
    kill(roles.khive.status()["pid"])
    for gate in (importing, *gates):
        roles.open(gate)
    roles.khive.start()
    assert [roles.ended(number).state for number in numbers] == [DONE] * 3
    counts = collections.Counter(e.what for e in roles.store.tasks.events(limit=1000))
    assert counts["done"] == 3  # each was accepted once
    wait_until(lambda: not any(map(alive, before)), "the old workers have ended")
    wait_until(lambda: roles.role("py")["state"] == "ready", "the new ones work")
    # The file as it is now is in force: it was the start that read it.
    assert roles.khive.run("reload", "--dry-run").returncode == 0


@pytest.mark.parametrize("moment", ["staging", "draining"])
def test_a_stop_in_a_reload_finishes_what_is_held_and_leaves_nobody(
    roles: RoleBench, moment: str
) -> None:
    roles.configure(roles.python("py", "until"), settings=TELLING)
    roles.khive.start()
    gate = roles.gate("held")
    number = roles.assign("py", gate)
    roles.began(gate)
    importing = hang(roles)
    if moment == "draining":
        roles.open(importing)
    roles.configure(roles.python("py", "until", timeout=100.0), settings=TELLING)
    hang_up(roles)
    phase(roles, moment)
    roles.began(importing)
    kill(roles.khive.status()["pid"], signal.SIGTERM)
    wait_until(lambda: roles.khive.events("supervisor.stopping"), "it stops")
    roles.open(gate)
    wait_until(roles.khive.gone, "all are gone")
    assert roles.what_happened(number) == ["enqueued", "leased", "done"]


def test_hangups_during_hangups_lose_no_task(roles: RoleBench) -> None:
    roles.configure(roles.python("py", workers=2))
    roles.khive.start()
    numbers: list[int] = []
    for turn in range(10):
        numbers += [roles.assign("py", 10 * turn + n) for n in range(10)]
        roles.configure(roles.python("py", workers=2, timeout=10.0 + turn))
        hang_up(roles)
    assert [roles.ended(number).result for number in numbers] == list(range(100))
    wait_until(
        lambda: roles.khive.run("reload", "--dry-run", code=None).returncode == 0,
        "the last file is in force",
    )
    counts = collections.Counter(e.what for e in roles.store.tasks.events(limit=1000))
    assert counts == {"enqueued": 100, "leased": 100, "done": 100}
    ready = roles.ready_counts("py")
    assert min(ready[ready.index(2) :]) == 2


# --- what is wrong, and what comes back -------------------------------------------------------


def test_ten_wrong_keys_of_roles_are_all_named_and_nobody_notices(roles: RoleBench) -> None:
    roles.configure(roles.python("py", workers=2))
    roles.khive.start()
    before = roles.khive.processes()
    wrong = "".join(f"wrong{n} = {n}\n" for n in range(10))
    roles.configure(roles.python("py", workers=2) + wrong)
    hang_up(roles)
    (event,) = wait_until(lambda: roles.khive.events("reload.failed"), "it is refused")
    assert len(event["errors"]) == 10
    for number in range(10):
        assert sum(f"roles[0].wrong{number}:" in error for error in event["errors"]) == 1
    assert sorted(roles.khive.processes()) == sorted(before)


def test_tasks_of_a_role_that_comes_back_are_done(roles: RoleBench) -> None:
    roles.configure(roles.python("py"), roles.python("other"))
    roles.khive.start()
    assert roles.ended(roles.assign("py", 0)).state == DONE
    roles.configure(roles.python("other"))
    roles.khive.run("reload")
    numbers = [roles.assign("py", n) for n in range(5)]
    wait_until(lambda: roles.khive.status()["unserved"] == {"py": 5}, "they wait")
    roles.configure(roles.python("py"), roles.python("other"))
    roles.khive.run("reload")
    assert [roles.ended(number).result for number in numbers] == list(range(5))


def test_a_role_out_of_service_stays_so_until_it_is_put_back(roles: RoleBench) -> None:
    roles.configure(roles.python("py"), roles.python("bad", "crash"), settings=QUICK)
    roles.khive.start()
    roles.khive.run("drain-role", "py")
    for _ in range(3):
        roles.assign("bad", attempts=1)
    wait_until(lambda: roles.role("bad")["state"] == "failed", "it is given up")
    # Both are out of service for who gives work; only one is because somebody wanted it.
    wait_until(lambda: not any(r.in_service for r in roles.store.roles.all()), "it is stored")
    kill(roles.khive.status()["pid"])
    number = roles.assign("py", 5)
    roles.khive.start()
    assert (roles.role("py")["state"], roles.workers("py")) == ("drained", [])
    assert roles.role("bad")["state"] == "ready"
    assert roles.task(number).state == "queued"
    roles.khive.run("resume-role", "py")
    assert roles.ended(number).result == 5
    roles.khive.stop()
    roles.khive.start()
    assert roles.role("py")["state"] == "ready"


def test_what_was_rolled_back_after_the_reload_is_tried_again(roles: RoleBench) -> None:
    roles.configure(roles.python("py"))
    roles.khive.start()
    roles.configure(roles.python("py", "fail"))
    assert roles.khive.json("reload")["roles"] == {"py": "rolled"}
    numbers = [roles.assign("py", n, attempts=1) for n in range(3)]
    assert {roles.ended(number).state for number in numbers} == {FAILED}
    wait_until(lambda: roles.khive.events("reload.reverted"), "it is rolled back")
    last = roles.khive.status()["reload"]["last_reload"]
    assert (last["state"], last["roles"]) == ("rolled_back", {"py": "rolled_back"})
    assert last["errors"][0].startswith("Generation 2 was rolled back")
    assert roles.ended(roles.assign("py", 7)).result == 7
    assert (
        "role py gets new workers" in roles.khive.run("reload", "--dry-run", code=2).stdout.lower()
    )
    roles.write(HANDLERS.replace("raise ValueError", "return ValueError and str"))
    assert roles.khive.json("reload")["roles"] == {"py": "rolled"}
    assert roles.ended(roles.assign("py", 7)).result == "no 7"


def test_a_task_that_ends_while_the_disk_is_full_is_stored_when_there_is_room(
    roles: RoleBench,
) -> None:
    roles.configure(roles.python("py", "until"))
    roles.khive.start()
    gate = roles.gate("one")
    number = roles.assign("py", gate)
    worker = roles.began(gate)
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.prlimit(worker, resource.RLIMIT_FSIZE, (0, most))
    roles.open(gate)
    wait_until(lambda: roles.khive.events("role.finish_failed"), "there is no room")
    assert roles.task(number).state == "leased"
    resource.prlimit(worker, resource.RLIMIT_FSIZE, (most, most))
    assert roles.ended(number).state == DONE
    assert roles.what_happened(number) == ["enqueued", "leased", "done"]
    assert alive(worker)
