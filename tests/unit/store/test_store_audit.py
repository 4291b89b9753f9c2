"""The audit chain in the store: part of what it tells of, never forked, and what breaks it."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from engines import Engine

from khive_supervisor.audit import actors
from khive_supervisor.audit.chain import Head
from khive_supervisor.audit.verify import verify
from khive_supervisor.errors import InvalidInput, NotFound
from khive_supervisor.profiles.model import FEEDBACK, Binding, BindingFilter, NewEvent
from khive_supervisor.store.audit import AuditFilter, AuditPlace
from khive_supervisor.store.interface import Store
from khive_supervisor.store.model import NewEntry
from khive_supervisor.tasks.lease import Moment
from khive_supervisor.tasks.model import DONE, FAILED, Claimant, NewTask, Outcome

NOW = Moment("boot", 1000.0)
ME = Claimant("r", "w1", 3, "digest")


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "khive.db")


@pytest.fixture
def store(engine: Engine, path: str) -> Iterator[Store]:
    with engine(path, clock=lambda: 100.25, actor=lambda: "ada") as opened:
        yield opened


def kinds(store: Store) -> list[str]:
    return [entry.kind for entry in store.audit.entries()]


def details(store: Store, kind: str) -> list[dict[str, Any]]:
    return [json.loads(entry.detail) for entry in store.audit.page(AuditFilter(kind=kind))]


def fingerprint(text: str) -> str:
    """What an entry keeps of a text that it would be too small for."""
    return hashlib.blake2b(text.encode(), digest_size=32).hexdigest()


def test_every_transition_of_a_task_is_recorded(store: Store) -> None:
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
    recorded = [entry for entry in store.audit.entries() if entry.kind.startswith("task.")]
    assert [entry.kind for entry in recorded] == [f"task.{what}" for what in events]
    assert len(events) == 9
    assert {entry.subject for entry in recorded} == {"task/t1"}
    assert details(store, "task.enqueued") == [
        {"token": 0, "role": "r", "task_type": "review",
         "payload": fingerprint('{"a":1}')}
    ]  # fmt: skip
    (failure,) = details(store, "task.requeued")
    assert failure["worker"] == "w1"
    assert len(failure["detail"]) == 500
    assert details(store, "task.done")[0]["result"] == fingerprint('"x"')
    assert verify(store.audit.entries()).intact


def test_what_a_call_does_not_do_is_not_recorded(store: Store) -> None:
    store.tasks.assign(NewTask("r", idempotency="k"))
    store.tasks.assign(NewTask("r", idempotency="k"))
    with pytest.raises(InvalidInput):
        store.tasks.retry(1)
    with pytest.raises(NotFound):
        store.tasks.cancel(7)
    assert kinds(store) == ["task.enqueued"]


def test_tasks_that_are_forgotten_leave_their_entries(store: Store) -> None:
    for _ in range(2):
        store.tasks.cancel(store.tasks.assign(NewTask("r"))[0].id)
    assert store.tasks.prune(200.0) == 2
    assert details(store, "tasks.forgotten") == [{"tasks": 2, "first": 1, "last": 2}]
    assert len(kinds(store)) == 5


def test_every_change_of_profiles_is_recorded(store: Store) -> None:
    store.entries.add([NewEntry("knowledge", "n", "fact", "", "text")])
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


def test_a_judgement_that_is_there_already_is_not_recorded_again(store: Store) -> None:
    store.entries.add([NewEntry("knowledge", "n", "fact", "", "text")])
    event = NewEvent(
        "balanced-recall-v1", FEEDBACK, "useful", 1, "ada", "n", "s", scorer_run="r", serve="1"
    )
    store.feedback.record_many([event, event])
    store.feedback.record(event)
    assert kinds(store) == ["feedback.feedback"]


def test_what_is_rolled_back_leaves_no_entry(store: Store) -> None:
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


def test_nothing_is_recorded_while_it_is_off_but_that_it_is(engine: Engine, path: str) -> None:
    with engine(path, audited=False) as store:
        store.tasks.assign(NewTask("r"))
        store.profiles.create("careful")
        store.audit.record("supervisor.started", "supervisor", {})
        assert store.audit.head() == Head()
        store.audit.record("configuration.loaded", "configuration", {"audit": False}, always=True)
        assert kinds(store) == ["configuration.loaded"]


def test_whoever_uses_the_store_is_named_in_each_entry(engine: Engine, path: str) -> None:
    who = ["ada"]
    with engine(path, actor=lambda: who[0]) as store:
        store.tasks.assign(NewTask("r"))
        who[0] = "eve\udcff"
        store.tasks.cancel(1)
        store.audit.record("store.backed_up", "store", {}, actor="x" * 600)
        names = [entry.actor for entry in store.audit.entries()]
        assert names == ["ada", "eve\ufffd", "x" * 500]
        assert verify(store.audit.entries()).intact
    with engine(path) as store:
        store.tasks.assign(NewTask("r"))
        assert store.audit.page(limit=1)[0].actor == actors.user()


def test_pages_are_filtered(store: Store) -> None:
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
        return [
            e.seq
            for e in store.audit.page(
                AuditFilter(**where), limit, None if before is None else AuditPlace(before)
            )
        ]

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


def test_a_restored_backup_says_what_it_took_the_place_of(store: Store, tmp_path: Path) -> None:
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
def test_every_time_is_read_as_it_was_written(
    engine: Engine, store: Store, at: float, path: str
) -> None:
    store.audit.record("task.done", "task/t1", {"é": "ü\ud800"}, at=at)
    make: Callable[[], Store] = lambda: engine(path)  # noqa: E731 - one expression
    with make() as other:
        assert verify(other.audit.entries()).intact
