"""The audit chain in the store: part of what it tells of, never forked, and what breaks it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest

from khive_supervisor.audit import actors
from khive_supervisor.audit.chain import Head
from khive_supervisor.audit.verify import Fault, verify
from khive_supervisor.errors import InvalidInput, NotFound
from khive_supervisor.profiles.model import FEEDBACK, Binding, BindingFilter, NewEvent
from khive_supervisor.sqlite.audit import table as audit_module
from khive_supervisor.sqlite.store import SqliteStore
from khive_supervisor.store.audit import AuditFilter
from khive_supervisor.store.model import NewEntry
from khive_supervisor.tasks.lease import Moment
from khive_supervisor.tasks.model import DONE, FAILED, Claimant, NewTask, Outcome

NOW = Moment("boot", 1000.0)
ME = Claimant("r", "w1", 3, "digest")


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "khive.db")


@pytest.fixture
def store(path: str) -> Iterator[SqliteStore]:
    with SqliteStore(path, clock=lambda: 100.25, actor=lambda: "ada") as opened:
        yield opened


def kinds(store: SqliteStore) -> list[str]:
    return [entry.kind for entry in store.audit.entries()]


def details(store: SqliteStore, kind: str) -> list[dict[str, Any]]:
    return [json.loads(entry.detail) for entry in store.audit.page(AuditFilter(kind=kind))]


def edit(path: str, *statements: str) -> None:
    """Do what somebody does who has the file."""
    connection = apsw.Connection(path)
    for statement in ("DROP TRIGGER audit_no_update", "DROP TRIGGER audit_no_delete", *statements):
        connection.execute(statement).fetchall()
    connection.close()


def test_every_transition_of_a_task_is_recorded(store: SqliteStore) -> None:
    task, _ = store.tasks.assign(NewTask("r", "review", {"a": 1}, attempts_max=2))
    claim = store.tasks.claim(ME, NOW)
    assert claim is not None
    store.tasks.finish(task.id, claim.token, Outcome(FAILED, error="no" * 2000), NOW)
    store.tasks.cancel(task.id)
    store.tasks.retry(task.id)
    claim = store.tasks.claim(ME, NOW)
    assert claim is not None
    store.tasks.finish(task.id, claim.token - 1, Outcome(DONE), NOW)
    store.tasks.finish(task.id, claim.token, Outcome(DONE, result="x"), NOW)
    store.tasks.feedback(task.id, 0.5)
    events = [event.what for event in store.tasks.events()]
    assert kinds(store) == [f"task.{what}" for what in events]
    assert len(events) == 9
    assert {entry.subject for entry in store.audit.entries()} == {"task/t1"}
    assert details(store, "task.enqueued") == [
        {"token": 0, "role": "r", "task_type": "review",
         "payload": audit_module.fingerprint('{"a":1}')}
    ]  # fmt: skip
    (failure,) = details(store, "task.requeued")
    assert failure["worker"] == "w1"
    assert len(failure["detail"]) == 500
    assert details(store, "task.done")[0]["result"] == audit_module.fingerprint('"x"')
    assert verify(store.audit.entries()).intact


def test_what_a_call_does_not_do_is_not_recorded(store: SqliteStore) -> None:
    store.tasks.assign(NewTask("r", idempotency="k"))
    store.tasks.assign(NewTask("r", idempotency="k"))
    with pytest.raises(InvalidInput):
        store.tasks.retry(1)
    with pytest.raises(NotFound):
        store.tasks.cancel(7)
    assert kinds(store) == ["task.enqueued"]


def test_tasks_that_are_forgotten_leave_their_entries(store: SqliteStore) -> None:
    for _ in range(2):
        store.tasks.cancel(store.tasks.assign(NewTask("r"))[0].id)
    assert store.tasks.prune(200.0) == 2
    assert details(store, "tasks.forgotten") == [{"tasks": 2, "first": 1, "last": 2}]
    assert len(kinds(store)) == 5


def test_every_change_of_profiles_is_recorded(store: SqliteStore) -> None:
    store.entries.add([NewEntry("memory", "n", "fact", "", "text")])
    store.profiles.create("careful")
    store.profiles.create("quick")
    store.bindings.bind(Binding("careful", "ada", "*", "recall"))
    store.bindings.bind(Binding("quick", "ada", "*", "recall"))
    store.bindings.unbind(BindingFilter(actor="ada"))
    store.feedback.record(NewEvent("careful", FEEDBACK, "useful", 1, "ada", "n", "s"))
    store.profiles.reset("careful")
    for lifecycle in ("inactive", "active", "inactive", "archived"):
        store.profiles.set_lifecycle("careful", lifecycle)
    assert kinds(store) == [
        *["profile.created"] * 2,
        *["profile.bound"] * 2,
        "profile.unbound",
        "feedback.feedback",
        "profile.reset",
        *["profile.lifecycle"] * 4,
    ]
    assert details(store, "profile.bound")[0]["instead_of"]["profile"] == "careful"
    (given,) = details(store, "feedback")
    assert (given["signal"], given["entry"]) == ("useful", 1)
    assert {entry.actor for entry in store.audit.entries()} == {"ada"}
    assert verify(store.audit.entries()).intact


def test_a_judgement_that_is_there_already_is_not_recorded_again(store: SqliteStore) -> None:
    store.entries.add([NewEntry("memory", "n", "fact", "", "text")])
    event = NewEvent(
        "balanced-recall-v1", FEEDBACK, "useful", 1, "ada", "n", "s", scorer_run="r", serve="1"
    )
    store.feedback.record_many([event, event])
    store.feedback.record(event)
    assert kinds(store) == ["feedback.feedback"]


def test_what_is_rolled_back_leaves_no_entry(store: SqliteStore) -> None:
    class Stop(Exception):
        pass

    def whole() -> None:
        with store.transaction():
            store.tasks.assign(NewTask("r"))
            store.audit.record("supervisor.started", "supervisor", {})
            raise Stop

    def part() -> None:
        with store.transaction():
            store.tasks.assign(NewTask("r"))
            with contextlib.suppress(Stop), store.transaction():
                store.tasks.assign(NewTask("r"))
                raise Stop
            store.tasks.assign(NewTask("r"))

    with pytest.raises(Stop):
        whole()
    assert store.audit.head() == Head()
    part()
    assert kinds(store) == ["task.enqueued"] * 2
    assert verify(store.audit.entries()).intact


def test_an_entry_of_nothing_is_refused(store: SqliteStore) -> None:
    with pytest.raises(AssertionError):
        store.audit.append(1.0, "task.done", "task/t1", {})


def test_nothing_is_recorded_while_it_is_off_but_that_it_is(path: str) -> None:
    with SqliteStore(path, audited=False) as store:
        store.tasks.assign(NewTask("r"))
        store.profiles.create("careful")
        store.audit.record("supervisor.started", "supervisor", {})
        assert store.audit.head() == Head()
        store.audit.record("configuration.loaded", "configuration", {"audit": False}, always=True)
        assert kinds(store) == ["configuration.loaded"]


def test_whoever_uses_the_store_is_named_in_each_entry(path: str) -> None:
    who = ["ada"]
    with SqliteStore(path, actor=lambda: who[0]) as store:
        store.tasks.assign(NewTask("r"))
        who[0] = "eve\udcff"
        store.tasks.cancel(1)
        store.audit.record("store.backed_up", "store", {}, actor="x" * 600)
        names = [entry.actor for entry in store.audit.entries()]
        assert names == ["ada", "eve\ufffd", "x" * 500]
        assert verify(store.audit.entries()).intact
    with SqliteStore(path) as store:
        store.tasks.assign(NewTask("r"))
        assert store.audit.page(limit=1)[0].actor == actors.user()


def test_pages_are_filtered(store: SqliteStore) -> None:
    for at, (kind, subject, actor) in enumerate(
        [
            ("task.done", "task/t1", "worker/r-1:7"),
            ("task.done", "task/t11", "worker/r-1:7"),
            ("tasks.forgotten", "store", "supervisor"),
            ("task.failed", "task/t1", "worker/r-2:8"),
        ]
    ):
        store.audit.record(kind, subject, {}, actor=actor, at=float(at))

    def found(limit: int = 50, before: int | None = None, **where: Any) -> list[int]:
        return [e.seq for e in store.audit.page(AuditFilter(**where), limit, before)]

    assert found() == [4, 3, 2, 1]
    assert found(2) == [4, 3]
    assert found(2, 3) == [2, 1]
    assert found(kind="task") == [4, 2, 1]
    assert found(kind="task.done") == [2, 1]
    assert found(kind="tas") == []
    assert found(subject="task/t1") == [4, 1]
    assert found(actor="r-1") == [2, 1]
    assert found(actor="%") == []
    assert found(since=2.0) == [4, 3]
    assert found(kind="task", subject="task/t1", since=1.0, before=4) == []


def test_long_chains_are_read_in_steps(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_module, "_PAGE", 3)
    for count in range(1, 8):
        store.audit.record("task.done", f"task/t{count}", {})
        assert [e.seq for e in store.audit.entries()] == list(range(1, count + 1))
    assert [e.seq for e in store.audit.entries(5)] == [6, 7]


def test_the_store_itself_refuses_changes(store: SqliteStore) -> None:
    store.audit.record("task.done", "task/t1", {})
    with store.database.raw() as connection:
        for statement in ("UPDATE audit SET actor = 'eve'", "DELETE FROM audit"):
            with pytest.raises(apsw.ConstraintError, match="never"):
                connection.execute(statement).fetchall()


@pytest.mark.parametrize(
    ("statements", "seq", "fault"),
    [
        (["UPDATE audit SET at = at + 1 WHERE seq = 3"], 3, Fault.CHANGED),
        (["UPDATE audit SET actor = 'eve' WHERE seq = 1"], 1, Fault.CHANGED),
        (["UPDATE audit SET subject = CAST(x'ff' AS TEXT) WHERE seq = 2"], 2, Fault.CHANGED),
        (["UPDATE audit SET hash = x'' WHERE seq = 6"], 6, Fault.CHANGED),
        (["DELETE FROM audit WHERE seq = 4"], 5, Fault.MISSING),
        (["DELETE FROM audit WHERE seq < 3"], 3, Fault.MISSING),
        (["UPDATE audit SET seq = 99 WHERE seq = 4"], 5, Fault.MISSING),
        (
            [
                "UPDATE audit SET seq = -seq WHERE seq IN (3, 4)",
                "UPDATE audit SET seq = 7 + seq WHERE seq < 0",
            ],
            3,
            Fault.OUT_OF_ORDER,
        ),
        (
            [
                "UPDATE audit SET seq = -seq - 1 WHERE seq > 2",
                "UPDATE audit SET seq = -seq WHERE seq < 0",
                "INSERT INTO audit SELECT 3, 0, 'k', 'eve', '', '', hash, hash FROM audit LIMIT 1",
            ],
            3,
            Fault.INSERTED,
        ),
    ],
)
def test_what_somebody_does_with_the_file_is_found(
    path: str, statements: list[str], seq: int, fault: Fault
) -> None:
    with SqliteStore(path) as store:
        for _ in range(3):
            store.tasks.cancel(store.tasks.assign(NewTask("r"))[0].id)
    edit(path, *statements)
    with SqliteStore(path) as store:
        problem = verify(store.audit.entries()).problem
        assert problem is not None
        assert (problem.seq, problem.fault) == (seq, fault)
        store.tasks.assign(NewTask("r"))  # a broken chain keeps nobody from working
        assert verify(store.audit.entries()).problem == problem
        store.audit.page()


def test_a_cut_end_is_found_by_a_head(path: str) -> None:
    with SqliteStore(path) as store:
        store.tasks.assign(NewTask("r"))
        store.tasks.cancel(1)
        head = store.audit.head()
    edit(path, "DELETE FROM audit WHERE seq = 2")
    with SqliteStore(path) as store:
        assert verify(store.audit.entries()).intact
        report = verify(store.audit.entries(), [head])
        assert report.problem is not None
        assert report.problem.fault is Fault.CUT
        store.tasks.assign(NewTask("r"))
        report = verify(store.audit.entries(), [head])
        assert report.problem is not None
        assert report.problem.fault is Fault.REWRITTEN


def test_a_restored_backup_says_what_it_took_the_place_of(
    store: SqliteStore, tmp_path: Path
) -> None:
    store.tasks.assign(NewTask("r"))
    backup = str(tmp_path / "backup.db")
    store.backup(backup)
    kept = store.audit.head()
    store.tasks.cancel(1)
    lost = store.audit.head()
    store.restore_backup(backup)
    assert kinds(store) == ["task.enqueued", "store.restored"]
    assert details(store, "store.restored") == [{"from": backup, "instead_of": lost.as_dict()}]
    assert verify(store.audit.entries(), [kept]).intact
    assert not verify(store.audit.entries(), [lost]).intact
    store.tasks.cancel(1)
    assert verify(store.audit.entries()).intact


@pytest.mark.parametrize("at", [0.0, -0.0, 5, 1e300, float("inf"), 0.1 + 0.2])
def test_every_time_is_read_as_it_was_written(store: SqliteStore, at: float, path: str) -> None:
    store.audit.record("task.done", "task/t1", {"é": "ü\ud800"}, at=at)
    make: Callable[[], SqliteStore] = lambda: SqliteStore(path)  # noqa: E731 - one expression
    with make() as other:
        assert verify(other.audit.entries()).intact
