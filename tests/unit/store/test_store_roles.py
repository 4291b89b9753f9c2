"""Roles and queues in the store: what is configured, what waits, and how each role did."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from engines import Engine

from khive_supervisor.errors import InvalidInput, NotFound
from khive_supervisor.store.interface import Store
from khive_supervisor.tasks.lease import Moment
from khive_supervisor.tasks.model import (
    CANCELLED,
    DEAD,
    DONE,
    FAILED,
    LEASED,
    QUEUED,
    Claimant,
    NewTask,
    Outcome,
    QueueDepth,
    RoleRow,
    TaskFilter,
)

DAY = 86_400.0
NOW = Moment("boot", 100.0)
A = RoleRow("a", ("t", "u"), "digest", 2, workers=3, attempts=2, priority=4)
B = RoleRow("b", ("t",), "other")
WORKER = Claimant("a", "a-1:7", 2, "digest")


class Clock:
    """The wall clock of the tests."""

    now = 10.5 * DAY

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(engine: Engine, tmp_path: Path, clock: Clock) -> Iterator[Store]:
    with engine(str(tmp_path / "khive.db"), clock=clock) as opened:
        opened.roles.set([A, B])
        yield opened


def assign(store: Store, role: str = "a", **fields: object) -> int:
    task, _ = store.tasks.assign(NewTask(role, **fields))  # type: ignore[arg-type]  # fields of a task
    return task.id


def do(store: Store, outcome: Outcome, who: Claimant = WORKER) -> int:
    claim = store.tasks.claim(who, NOW)
    assert claim is not None
    assert store.tasks.finish(claim.id, claim.token, outcome, NOW).accepted
    return claim.id


# --- what is configured ---------------------------------------------------------------------------


def test_roles_are_read_as_they_were_set_and_by_name(store: Store) -> None:
    store.roles.set([B, A])
    assert store.roles.all() == [A, B]


def test_every_part_of_a_role_can_change(store: Store) -> None:
    for changed in (
        replace(A, task_types=()), replace(A, digest="new", generation=3), replace(A, workers=1),
        replace(A, attempts=9), replace(A, in_service=False), replace(A, priority=-5),
        replace(A, in_service=False, digest=""),
    ):  # fmt: skip
        store.roles.set([changed, B])
        assert store.roles.all() == [changed, B]


def test_a_role_that_is_not_set_any_more_is_gone_and_its_tasks_are_not(store: Store) -> None:
    task = assign(store)
    store.roles.set([B])
    assert store.roles.all() == [B]
    found = store.tasks.find(task)
    assert found is not None
    assert found.state == QUEUED
    assert store.tasks.due(NOW) == []
    store.roles.set([])
    assert store.roles.all() == []


def test_setting_what_is_set_writes_nothing(engine: Engine, store: Store, tmp_path: Path) -> None:
    with engine(str(tmp_path / "khive.db")) as other:
        before = other.change_token()
        store.roles.set([A, B])
        assert other.change_token() == before
        store.roles.set([replace(A, workers=9), B])
        assert other.change_token() != before


# --- how each did ---------------------------------------------------------------------------------


def test_a_record_is_kept_by_role_type_digest_and_day(store: Store, clock: Clock) -> None:
    for kind in ("t", "t", "u"):
        assign(store, task_type=kind)
    do(store, Outcome(DONE, latency=2.0, quality=0.5))
    do(store, Outcome(FAILED, final=True, latency=1.0))
    clock.now += DAY
    do(store, Outcome(DONE, latency=4.0))
    first, second = store.roles.records("a")
    assert (first.task_type, first.day, first.digest) == ("t", 10, "digest")
    assert (first.executions, first.successes) == (2, 1)
    assert (first.quality_sum, first.qualities, first.latency_sum) == (0.5, 1, 3.0)
    assert (second.task_type, second.day, second.executions) == ("u", 11, 1)
    assert store.roles.records("b") == []
    assert store.roles.records() == [first, second]


def test_records_of_different_handlers_stay_apart(store: Store) -> None:
    for _ in range(2):
        assign(store, task_type="t")
    do(store, Outcome(DONE))
    do(store, Outcome(DONE), replace(WORKER, digest="new"))
    assert sorted(record.digest for record in store.roles.records("a")) == ["digest", "new"]


def test_a_cancelled_task_is_no_execution(store: Store) -> None:
    assign(store, task_type="t")
    do(store, Outcome(CANCELLED))
    assert store.roles.records() == []


def test_records_outlive_their_role_and_their_tasks(store: Store, clock: Clock) -> None:
    assign(store, task_type="t")
    do(store, Outcome(DONE))
    clock.now += DAY
    assert store.tasks.prune(clock.now) == 1
    store.roles.set([])
    assert [record.executions for record in store.roles.records()] == [1]


# --- what waits -----------------------------------------------------------------------------------


def test_depths_count_what_waits_and_what_is_being_done(store: Store) -> None:
    assert store.tasks.queue_depths() == {}
    for _ in range(3):
        assign(store)
    assign(store, "b")
    store.tasks.claim(WORKER, NOW)
    assert store.tasks.queue_depths() == {"a": QueueDepth(2, 1), "b": QueueDepth(1, 0)}


def test_the_oldest_that_waits_is_told_for_each_role(store: Store, clock: Clock) -> None:
    assign(store)
    clock.now += 50
    assign(store)
    assign(store, "b")
    began = clock.now - 50
    assert store.tasks.oldest_waiting() == {"a": began, "b": clock.now}
    store.tasks.claim(WORKER, NOW)
    assert store.tasks.oldest_waiting() == {"a": clock.now, "b": clock.now}


def test_a_task_that_has_failed_is_due_only_after_its_pause(store: Store) -> None:
    assign(store)
    do(store, Outcome(FAILED))
    assert store.tasks.due(NOW) == []
    assert store.tasks.due(NOW.after(0.999)) == []
    assert store.tasks.due(NOW.after(1.0)) == ["a"]
    assert store.tasks.claim(WORKER, NOW.after(0.999)) is None
    assert store.tasks.claim(WORKER, NOW.after(1.0)) is not None


def test_a_pause_of_another_boot_is_over(store: Store) -> None:
    assign(store)
    do(store, Outcome(FAILED))
    assert store.tasks.due(Moment("next boot", 0.0)) == ["a"]


# --- what is asked of a task ----------------------------------------------------------------------


def test_a_task_that_is_not_there_is_not_found(store: Store) -> None:
    for ask in (
        store.tasks.cancel,
        store.tasks.retry,
        lambda task: store.tasks.feedback(task, 0.5),
    ):
        with pytest.raises(NotFound, match="t7"):
            ask(7)


def in_states(store: Store) -> dict[str, int]:
    """A task in each state but dead."""
    tasks = {}
    for state, outcome in ((DONE, Outcome(DONE)), (FAILED, Outcome(FAILED, final=True))):
        tasks[state] = assign(store)
        do(store, outcome)
    tasks[CANCELLED] = assign(store)
    store.tasks.cancel(tasks[CANCELLED])
    tasks[LEASED] = assign(store)
    store.tasks.claim(WORKER, NOW)
    tasks[QUEUED] = assign(store)
    return tasks


def test_only_what_has_ended_without_success_is_tried_again(store: Store) -> None:
    for state, task in in_states(store).items():
        if state in (FAILED, CANCELLED):
            assert store.tasks.retry(task).state == QUEUED
            continue
        with pytest.raises(InvalidInput, match=state):
            store.tasks.retry(task)


def test_only_what_is_done_is_rated(store: Store) -> None:
    for state, task in in_states(store).items():
        if state == DONE:
            assert store.tasks.feedback(task, 0.5).quality == 0.5
            continue
        with pytest.raises(InvalidInput, match=state):
            store.tasks.feedback(task, 0.5)
    for quality in (-0.1, 1.1):
        with pytest.raises(InvalidInput, match="between 0 and 1"):
            store.tasks.feedback(1, quality)


def test_a_claim_that_is_lost_changes_nothing_any_more(store: Store) -> None:
    task = assign(store)
    claim = store.tasks.claim(WORKER, NOW)
    assert claim is not None
    assert store.tasks.renew(task, claim.token, NOW.after(60))
    assert store.tasks.progress(task, claim.token, "half")
    assert store.tasks.note_session(task, claim.token, "s", 5)
    assert not store.tasks.cancelled(task, claim.token)
    store.tasks.release(WORKER.worker)
    for asked in (
        store.tasks.renew(task, claim.token, NOW.after(90)),
        store.tasks.progress(task, claim.token, "whole"),
        store.tasks.note_session(task, claim.token, "other", 9),
    ):
        assert not asked
    assert store.tasks.cancelled(task, claim.token)
    found = store.tasks.find(task)
    assert found is not None
    assert (found.state, found.agent_session, found.agent_counted) == (QUEUED, "s", 5)


def test_a_renewed_claim_does_not_expire(store: Store) -> None:
    task = assign(store)
    claim = store.tasks.claim(replace(WORKER, lease=30.0), NOW)
    assert claim is not None
    assert store.tasks.release_expired(NOW.after(29.9)) == []
    store.tasks.renew(task, claim.token, NOW.after(60.0))
    assert store.tasks.release_expired(NOW.after(59.9)) == []
    assert [one.state for one in store.tasks.release_expired(NOW.after(60.0))] == [QUEUED]


def test_what_several_workers_held_is_released_by_worker(store: Store) -> None:
    for _ in range(3):
        assign(store)
    for name in ("one", "two", "two"):
        store.tasks.claim(replace(WORKER, worker=name), NOW)
    assert [one.id for one in store.tasks.release("two")] == [2, 3]
    assert store.tasks.release("two") == []
    assert store.tasks.release("nobody") == []
    assert store.tasks.queue_depths() == {"a": QueueDepth(2, 1)}


def test_a_worker_that_dies_at_its_last_attempt_leaves_a_dead_task(store: Store) -> None:
    task = assign(store, attempts_max=1)
    store.tasks.claim(WORKER, NOW)
    (one,) = store.tasks.release(WORKER.worker)
    assert (one.id, one.role, one.state) == (task, "a", DEAD)


# --- listings and events --------------------------------------------------------------------------


def test_a_listing_is_of_what_was_asked_for(store: Store) -> None:
    assign(store, task_type="t")
    do(store, Outcome(DONE))
    assign(store, task_type="t", session="s1", namespace="n")
    assign(store, task_type="u", session="s2")
    assign(store, "b", namespace="n")
    for where, ids in (
        (TaskFilter(), [4, 3, 2, 1]),
        (TaskFilter(role="b"), [4]),
        (TaskFilter(state=DONE), [1]),
        (TaskFilter(task_type="u"), [3]),
        (TaskFilter(role="a", task_type="t"), [2, 1]),
        (TaskFilter(sessions=("s1", "s9")), [2]),
        (TaskFilter(sessions=()), []),
        (TaskFilter(namespaces=("n",)), [4, 2]),
        (TaskFilter(namespaces=()), []),
        (TaskFilter(sessions=("s1",), namespaces=("other",)), []),
    ):
        assert [task.id for task in store.tasks.page(where)] == ids
        assert [task.id for task in store.tasks.page(where, limit=1)] == ids[:1]
        assert [task.id for task in store.tasks.page(where, before=3)] == [n for n in ids if n < 3]


def test_events_are_those_after_a_number_in_order(store: Store) -> None:
    assert (store.tasks.events(), store.tasks.last_event()) == ([], 0)
    one, two = assign(store), assign(store)
    do(store, Outcome(DONE))
    events = store.tasks.events()
    assert [event.seq for event in events] == sorted({event.seq for event in events})
    assert store.tasks.last_event() == events[-1].seq
    assert store.tasks.events(events[0].seq) == events[1:]
    assert store.tasks.events(limit=2) == events[:2]
    assert {event.task_id for event in store.tasks.events(task_id=two)} == {two}
    assert [e.what for e in store.tasks.events(task_id=one)] == ["enqueued", "leased", "done"]


def test_only_so_many_old_tasks_go_at_once_and_the_oldest_first(store: Store, clock: Clock) -> None:
    for _ in range(3):
        assign(store)
        do(store, Outcome(DONE))
        clock.now += 10
    waiting = assign(store)
    assert store.tasks.prune(clock.now, limit=2) == 2
    assert [task.id for task in store.tasks.page()] == [waiting, 3]
    assert store.tasks.prune(clock.now - 10, limit=2) == 0
    assert store.tasks.prune(clock.now + DAY, limit=2) == 1
    assert [task.id for task in store.tasks.page()] == [waiting]
