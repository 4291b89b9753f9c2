"""Everything that is done in an installation is in its audit chain, by whom, and can be checked."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest
from role_support import RoleBench, bench
from support import Installation, installed, kill, wait_until

from khive_supervisor import exitcodes
from khive_supervisor.audit import actors


@pytest.fixture
def roles(tmp_path: Path) -> Iterator[RoleBench]:
    with installed(tmp_path / "h") as khive, bench(khive) as made:
        yield made


def shown(khive: Installation, *words: str) -> list[dict[str, Any]]:
    """Entries, oldest first."""
    answer = khive.json("audit", "show", "-n", "1000", *words)
    return list(reversed(answer["entries"]))


def kinds(khive: Installation, *words: str) -> list[str]:
    return [entry["kind"] for entry in shown(khive, *words)]


def newest(khive: Installation, kind: str) -> dict[str, Any]:
    return shown(khive, "--kind", kind)[-1]


def edit(khive: Installation, *statements: str) -> None:
    connection = apsw.Connection(str(khive.store))
    connection.set_busy_timeout(10_000)
    for name in ("audit_no_update", "audit_no_delete"):
        connection.execute(f"DROP TRIGGER IF EXISTS {name}").fetchall()
    for statement in statements:
        connection.execute(statement).fetchall()
    connection.close()


def test_all_that_is_done_is_on_record(roles: RoleBench) -> None:
    khive, command = roles.khive, f"{actors.user()} pid "
    roles.configure(roles.python("one"))
    khive.start()
    assert kinds(khive)[:2] == ["supervisor.started", "configuration.loaded"]
    loaded = newest(khive, "configuration.loaded")
    assert loaded["detail"]["roles"] == ["one"]
    assert loaded["detail"]["not_default"] == ["embedder.kind"]

    # Tasks: who gave them, and who did them.
    done = json.loads(khive.run("assign", "--role", "one", "5", "--wait", "--json").stdout)
    by = {entry["kind"]: entry["actor"] for entry in shown(khive, "--task", done["task"])}
    assert list(by) == ["task.enqueued", "task.leased", "task.done"]
    assert by["task.enqueued"] == actors.user()
    assert by["task.leased"] == by["task.done"]
    assert by["task.done"].startswith("worker/one-")

    # Profiles and feedback.
    entry = khive.call("memory.remember", content="The port is 5432.")["id"]
    khive.call("brain.create_profile", name="mine")
    khive.call("brain.bind", name="mine", actor="ada")
    khive.call("brain.feedback", target=entry, signal="useful", profile="mine")
    khive.call("brain.unbind", actor="ada")
    khive.call("brain.deactivate", name="mine")
    assert kinds(khive, "--profile", "mine") == [
        "profile.created",
        "profile.bound",
        "feedback.feedback",
        "profile.unbound",
        "profile.lifecycle",
    ]

    # A configuration that is taken over, and one that is not valid.
    settings = '[tasks]\nkeep = "90d"\n[log]\nlevel = "debug"'
    roles.configure(roles.python("one", workers=2), roles.python("two"), settings=settings)
    khive.run("reload")
    reloaded = newest(khive, "configuration")
    assert reloaded["kind"] == "configuration.reloaded"
    assert reloaded["actor"].startswith(command)
    assert reloaded["detail"]["settings"] == ["tasks.keep", "log.level"]
    assert reloaded["detail"]["digest"] != loaded["detail"]["digest"]
    assert reloaded["detail"]["roles"] == {
        "one": {"outcome": "live", "keys": ["workers"]},
        "two": {"outcome": "added", "keys": []},
    }
    file = khive.home / ".config/khive/khive.toml"
    valid = file.read_text()
    khive.configure("[log]\nlevel = 'secret'\n")
    khive.run("reload", code=exitcodes.FAILURE)
    file.write_text(valid)
    refused = newest(khive, "configuration")
    assert refused["kind"] == "configuration.refused"
    assert refused["detail"]["digest"] == reloaded["detail"]["digest"]
    assert "secret" not in json.dumps(refused)
    kill(khive.status()["pid"], signal.SIGHUP)
    hung_up = wait_until(
        lambda: [e for e in shown(khive, "--kind", "configuration") if e["actor"] == "SIGHUP"],
        "the hang-up is on record",
    )
    assert hung_up[0]["kind"] == "configuration.reloaded"
    assert hung_up[0]["detail"]["generation"] == hung_up[0]["detail"]["previous"]

    # Roles, the store, and the end.
    khive.run("drain-role", "two")
    khive.run("resume-role", "two")
    khive.run("drain-role", "two", "--reload")
    assert kinds(khive, "--role", "two") == ["role.drained", "role.resumed", "role.replaced"]
    roles.close()
    backup = str(khive.home / "backup.db")
    roles.configure(roles.python("one"))
    khive.run("backup", backup)
    assert newest(khive, "store")["detail"] == {"to": backup}
    khive.stop()
    stopped = newest(khive, "supervisor")
    assert stopped["kind"] == "supervisor.stopped"
    assert stopped["actor"].startswith(command)

    # Nobody has changed it, with or without a supervisor.
    (khive.home / "heads").write_text(khive.run("audit", "head").stdout)
    khive.run("audit", "verify", "--head", str(khive.home / "heads"))
    whole = khive.json("audit", "verify")
    assert whole["intact"]
    assert whole["entries"] == stopped["seq"]
    head = khive.run("audit", "head").stdout.strip()
    edit(khive, f"DELETE FROM audit WHERE seq = {stopped['seq']}")
    khive.run("audit", "verify")
    told = khive.run("audit", "verify", "--head", head, code=exitcodes.UNHEALTHY).stdout
    assert "the end was cut" in told
    edit(khive, "UPDATE audit SET actor = 'nobody' WHERE seq = 3")
    told = khive.run("audit", "verify", code=exitcodes.UNHEALTHY).stdout
    assert "broken at entry 3: changed" in told
    report = json.loads(khive.run("audit", "verify", "--json", code=exitcodes.UNHEALTHY).stdout)
    assert report["problem"]["seq"] == 3
    assert report["entries"] == 2
    doctor = khive.run("doctor", code=exitcodes.UNHEALTHY).stdout
    assert "The audit chain is broken" in doctor
    assert khive.run("audit", "show", "--actor", "nobody").stdout.count("nobody") == 1
    assert "not a task's id" in khive.run("audit", "show", "--task", "first", code=2).stderr
    assert "must exist" in khive.run("audit", "verify", "--head", "none.txt", code=2).stderr


@pytest.mark.long
def test_a_killed_supervisor_leaves_a_whole_chain(roles: RoleBench) -> None:
    khive = roles.khive
    roles.configure(roles.python("one"))
    for _ in range(3):
        khive.start()
        for number in range(5):
            roles.assign("one", number)
        kill(khive.status()["pid"])
        wait_until(lambda: khive.status_or_none() is None, "the supervisor is gone")
    khive.start()
    wait_until(lambda: not roles.store.tasks.queue_depths(), "all tasks have ended")
    assert khive.json("audit", "verify")["intact"]
    assert kinds(khive, "--kind", "supervisor") == ["supervisor.started"] * 4
    assert kinds(khive).count("task.done") == 15


def test_a_role_that_is_given_up_is_on_record(roles: RoleBench) -> None:
    khive = roles.khive
    limits = '[supervisor]\nrestart_limit = 1\nrestart_backoff = "10ms"'
    roles.configure(roles.python("one", "crash"), settings=limits)
    khive.start()
    roles.assign("one", attempts=9)
    gone = wait_until(lambda: shown(khive, "--kind", "role.gave_up"), "the role is given up")
    assert gone[0]["subject"] == "role/one"
    assert gone[0]["actor"] == "supervisor"


def test_while_it_is_off_nothing_is_recorded_but_that(roles: RoleBench) -> None:
    khive = roles.khive
    roles.configure(settings="[audit]\nenabled = false")
    khive.start()
    khive.call("brain.create_profile", name="mine")
    khive.run("reload")
    khive.stop()
    assert kinds(khive) == ["configuration.loaded"]
    assert shown(khive)[0]["detail"]["audit"] is False
    assert "Nothing is recorded" in khive.run("doctor", code=None).stdout


def test_a_session_with_all_namespaces_may_list_it(roles: RoleBench) -> None:
    khive = roles.khive
    roles.configure()
    khive.start()
    khive.call("brain.create_profile", name="mine")
    found = khive.call("system.audit", subject="profile/mine", limit=1)
    assert [entry["kind"] for entry in found["entries"]] == ["profile.created"]
    assert found["head"] == khive.run("audit", "head").stdout.strip()
    khive.configure(
        '[embedder]\nkind = "none"\n[session]\nallowed_namespaces = ["a"]\nnamespace = "a"\n'
    )
    khive.run("reload")
    told = khive.run("call", "system.audit", code=None)
    assert told.returncode != 0
    assert "all namespaces" in told.stderr


@pytest.mark.parametrize(
    "words",
    [
        ["verify", "--head", "nonsense"],
        ["show", "--task", "t1", "--role", "one"],
        ["show", "--since", "some day"],
    ],
)
def test_what_cannot_be_meant_is_refused(roles: RoleBench, words: list[str]) -> None:
    roles.khive.run("audit", *words, code=exitcodes.USAGE)
    assert roles.khive.run("audit", "show").stdout == "There are no such entries.\n"
