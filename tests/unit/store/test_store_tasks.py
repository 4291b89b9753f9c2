"""Tasks in the store: who holds them, and that what they come to counts once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from engines import Engine
from secret_texts import SECRET
from support import Clock

from khive_supervisor.errors import InvalidInput, NotFound
from khive_supervisor.store.interface import Store
from khive_supervisor.store.tasks import RoleStore, TaskStore
from khive_supervisor.tasks.lease import Moment
from khive_supervisor.tasks.model import (
    CANCELLED,
    DEAD,
    DONE,
    FAILED,
    LEASED,
    PROGRESS_LIMIT,
    QUEUED,
    Claim,
    Claimant,
    NewTask,
    Outcome,
    QueueDepth,
    Record,
    Released,
    RoleRow,
    TaskFilter,
)
from khive_supervisor.tasks.records import DAY

NOW = Moment("boot", 1000.0)
ME = Claimant("r", "w1", 3, "digest")
OTHER = Claimant("r", "w2", 3, "digest")


@pytest.fixture
def clock() -> Clock:
    return Clock(100.0 * DAY)


@pytest.fixture
def store(engine: Engine, tmp_path: Path, clock: Clock) -> Iterator[Store]:
    with engine(str(tmp_path / "khive.db"), clock=clock) as opened:
        yield opened


@pytest.fixture
def tasks(store: Store) -> TaskStore:
    return store.tasks


@pytest.fixture
def roles(store: Store) -> RoleStore:
    return store.roles


def add(tasks: TaskStore, **more: Any) -> int:
    return tasks.assign(NewTask(**{"role": "r", "task_type": "t", **more}))[0].id


def take(tasks: TaskStore, who: Claimant = ME, now: Moment = NOW) -> Claim:
    claim = tasks.claim(who, now)
    assert claim is not None
    return claim


def happened(tasks: TaskStore, task_id: int) -> list[str]:
    return [event.what for event in tasks.events(task_id=task_id)]


def state(tasks: TaskStore, task_id: int) -> str:
    found = tasks.find(task_id)
    assert found is not None
    return found.state


# --- giving work ----------------------------------------------------------------------------------


def test_a_task_is_stored_as_it_was_given(tasks: TaskStore, clock: Clock) -> None:
    given = NewTask(
        "r", "t", {"a": [1, None]}, 5, "key", clock.now + 60, 4, {"selected": "r"}, "ada", "n", "s"
    )
    task, created = tasks.assign(given)
    assert created
    assert (task.role, task.task_type, task.payload, task.priority) == (
        "r",
        "t",
        {"a": [1, None]},
        5,
    )
    assert (task.state, task.attempts, task.attempts_max, task.token) == (QUEUED, 0, 4, 0)
    assert (task.deadline, task.chosen) == (clock.now + 60, {"selected": "r"})
    assert (task.actor, task.namespace, task.session) == ("ada", "n", "s")
    assert (task.created_at, task.started_at, task.ended_at) == (clock.now, None, None)
    assert task.lease is task.not_before is None
    assert not task.ended
    assert happened(tasks, task.id) == ["enqueued"]
    assert tasks.last_event() == 1
    assert tasks.find(99) is None


def test_a_key_answers_with_its_task_whatever_became_of_it(tasks: TaskStore) -> None:
    first = add(tasks, payload={"a": 1, "b": 2}, idempotency="k")
    claim = take(tasks)
    tasks.finish(first, claim.token, Outcome(DONE, "result"), NOW)
    again, created = tasks.assign(NewTask("r", "t", {"b": 2, "a": 1}, idempotency="k"))
    assert (again.id, again.state, again.result, created) == (first, DONE, "result", False)


@pytest.mark.parametrize(
    ("other", "what"),
    [
        ({"payload": 2}, "payload"),
        ({"task_type": "u"}, "task type"),
        ({"role": "q"}, "role"),
        ({"role": "q", "payload": 2}, "payload and role"),
    ],
)
def test_a_key_of_something_else_is_refused(
    tasks: TaskStore, other: dict[str, Any], what: str
) -> None:
    add(tasks, payload=1, idempotency="k")
    with pytest.raises(InvalidInput, match=what):
        add(tasks, **{"payload": 1, "idempotency": "k", **other})
    assert len(tasks.page()) == 1


def test_a_key_does_not_hold_the_role_that_was_selected_for_it(tasks: TaskStore) -> None:
    first = add(tasks, idempotency="k", chosen={"selected": "r"})
    assert add(tasks, role="q", idempotency="k", chosen={"selected": "q"}) == first


def test_a_listing_is_newest_first_and_leaves_out_what_is_large(tasks: TaskStore) -> None:
    ids = [add(tasks, role=role, payload="large") for role in "rqrqr"]
    claim = take(tasks)
    assert [task.id for task in tasks.page()] == ids[::-1]
    assert [task.id for task in tasks.page(limit=2, before=ids[3])] == [ids[2], ids[1]]
    assert [task.id for task in tasks.page(TaskFilter(role="q"))] == [ids[3], ids[1]]
    assert [task.id for task in tasks.page(TaskFilter(state=LEASED))] == [claim.id]
    assert tasks.page(TaskFilter(task_type="u")) == []
    assert {task.payload for task in tasks.page()} == {None}


# --- claims ---------------------------------------------------------------------------------------


def test_claims_go_by_priority_and_then_by_age(tasks: TaskStore) -> None:
    low, high, second = add(tasks), add(tasks, priority=5), add(tasks)
    add(tasks, role="q")
    claims = [take(tasks) for _ in range(3)]
    assert [claim.id for claim in claims] == [high, low, second]
    assert tasks.claim(ME, NOW) is None
    found = tasks.find(high)
    assert found is not None
    assert (found.worker, found.generation, found.digest) == ("w1", 3, "digest")
    assert (found.token, found.attempts, found.lease) == (1, 1, NOW.after(30.0))
    assert claims[0].lease == found.lease


def test_a_claim_that_finds_nothing_writes_nothing(store: Store) -> None:
    before = store.change_token()
    assert store.tasks.claim(ME, NOW) is None
    assert store.change_token() == before


def test_finishing_takes_the_next_in_the_same_commit(
    store: Store, clock: Clock, roles: RoleStore
) -> None:
    tasks = store.tasks
    first, second = add(tasks), add(tasks)
    claim = take(tasks)
    token = store.change_token()
    assert token is not None
    clock.now += 5
    outcome = Outcome(DONE, {"x": 1}, log_tail="log", latency=2.5, quality=0.5)
    done = tasks.finish(first, claim.token, outcome, NOW, ME)
    assert store.change_token() == (token[0], token[1] + 1)
    assert done.accepted
    assert done.next is not None
    assert done.next.id == second
    task = tasks.find(first)
    assert task is not None
    assert (task.state, task.result, task.log_tail, task.quality) == (DONE, {"x": 1}, "log", 0.5)
    assert task.ended_at == clock.now
    assert task.lease is None
    assert roles.records() == [Record("r", "t", "digest", 100, 1, 1, 0.5, 1, 2.5)]
    assert happened(tasks, first) == ["enqueued", "leased", "done"]


def test_a_late_result_leaves_an_event_and_nothing_else(tasks: TaskStore, roles: RoleStore) -> None:
    task_id = add(tasks)
    old = take(tasks)
    assert tasks.release("w1") == [Released(task_id, "r", QUEUED)]
    new = take(tasks, OTHER)
    late = tasks.finish(task_id, old.token, Outcome(DONE, "late"), NOW)
    assert (late.accepted, late.state, late.next) == (False, LEASED, None)
    assert not tasks.renew(task_id, old.token, NOW.after(60))
    assert not tasks.progress(task_id, old.token, "late")
    assert tasks.cancelled(task_id, old.token)
    assert tasks.finish(task_id, new.token, Outcome(DONE, "right"), NOW).accepted
    assert not tasks.finish(task_id, new.token, Outcome(DONE, "twice"), NOW).accepted
    found = tasks.find(task_id)
    assert found is not None
    assert (found.result, found.progress) == ("right", None)
    assert sum(record.executions for record in roles.records()) == 1
    assert happened(tasks, task_id).count("fenced") == 2


def test_a_refused_result_still_gets_the_next_task(tasks: TaskStore) -> None:
    first, second = add(tasks), add(tasks)
    claim = take(tasks)
    tasks.release("w1")
    take(tasks, OTHER)
    answer = tasks.finish(first, claim.token, Outcome(DONE), NOW, ME)
    assert not answer.accepted
    assert answer.next is not None
    assert answer.next.id == second
    assert tasks.finish(99, 1, Outcome(DONE), NOW).state is None


def test_a_failure_is_tried_again_later_and_then_failed(tasks: TaskStore, roles: RoleStore) -> None:
    task_id, now = add(tasks, attempts_max=2), NOW
    claim = take(tasks)
    assert tasks.finish(task_id, claim.token, Outcome(FAILED, error="why"), now).state == QUEUED
    assert tasks.claim(ME, now) is None
    roles.set([RoleRow("r")])
    assert tasks.due(now) == []
    assert tasks.due(now.after(1.0)) == ["r"]
    assert take(tasks, now=Moment("next boot", 0.0)).attempts == 2
    found = tasks.finish(task_id, 2, Outcome(FAILED, error="again"), now)
    assert found.state == FAILED
    task = tasks.find(task_id)
    assert task is not None
    assert (task.error, task.attempts) == ("again", 2)
    assert [(r.executions, r.successes) for r in roles.records()] == [(2, 0)]


def test_a_failure_for_good_is_not_tried_again(tasks: TaskStore) -> None:
    task_id = add(tasks)
    claim = take(tasks)
    assert tasks.finish(task_id, claim.token, Outcome(FAILED, final=True), NOW).state == FAILED


def test_an_attempt_cannot_come_out_otherwise(tasks: TaskStore) -> None:
    task_id = add(tasks)
    claim = take(tasks)
    with pytest.raises(InvalidInput, match="dead"):
        tasks.finish(task_id, claim.token, Outcome(DEAD), NOW)
    assert state(tasks, task_id) == LEASED


def test_a_task_that_kills_its_workers_dies(tasks: TaskStore, roles: RoleStore) -> None:
    task_id = add(tasks, attempts_max=2)
    take(tasks)
    assert tasks.release("w1") == [Released(task_id, "r", QUEUED)]
    take(tasks)
    assert tasks.release("w1") == [Released(task_id, "r", DEAD)]
    assert tasks.release("w1") == []
    assert roles.records() == []


def test_a_worker_that_was_stopped_does_not_cost_an_attempt(tasks: TaskStore) -> None:
    task_id = add(tasks, attempts_max=1)
    take(tasks)
    assert tasks.release("w1", died=False) == [Released(task_id, "r", QUEUED)]
    claim = take(tasks)
    assert (claim.attempts, claim.token) == (1, 2)


def test_leases_end_by_the_clock_since_boot_alone(tasks: TaskStore, clock: Clock) -> None:
    first, second = add(tasks), add(tasks)
    claim = take(tasks)
    take(tasks, OTHER)
    clock.now += 10 * DAY  # the wall clock says nothing
    assert tasks.release_expired(NOW.after(29.0)) == []
    assert tasks.renew(first, claim.token, NOW.after(60.0))
    assert tasks.release_expired(NOW.after(30.0)) == [Released(second, "r", QUEUED)]
    assert tasks.release_expired(Moment("next boot", 0.0)) == [Released(first, "r", QUEUED)]


def test_a_clock_that_is_set_back_moves_nothing_but_deadlines(
    tasks: TaskStore, clock: Clock
) -> None:
    held, waits = add(tasks), add(tasks)
    late = add(tasks, deadline=clock.now + 60)
    claim, other = take(tasks), take(tasks, OTHER)
    tasks.finish(waits, other.token, Outcome(FAILED, error="no"), NOW)
    clock.now -= 3600
    assert tasks.renew(held, claim.token, NOW.after(30.0))
    assert tasks.release_expired(NOW.after(29.0)) == []
    # The pause of a second between two attempts is one of the clock since boot.
    assert tasks.claim(OTHER, NOW.after(2.0)) is not None
    assert tasks.finish(held, claim.token, Outcome(DONE, 1), NOW.after(3.0)).accepted
    assert tasks.release_expired(NOW.after(32.0)) == [Released(waits, "r", QUEUED)]
    clock.now += 3600 + 60
    tasks.release_expired(NOW.after(32.0))
    assert state(tasks, held) == DONE
    assert state(tasks, late) == FAILED  # by the wall clock, as people wrote it


def test_a_deadline_fails_what_waits_and_leaves_what_is_done(
    tasks: TaskStore, clock: Clock, roles: RoleStore
) -> None:
    held = add(tasks, deadline=clock.now + 60)
    take(tasks)
    late, late_too = (add(tasks, deadline=clock.now + 60) for _ in range(2))
    open_end = add(tasks)
    clock.now += 60
    assert take(tasks, OTHER).id == open_end
    assert state(tasks, late) == state(tasks, late_too) == FAILED
    assert state(tasks, held) == LEASED
    found = tasks.find(late)
    assert found is not None
    assert found.error == "deadline"
    waiting = add(tasks, deadline=clock.now + 1)
    clock.now += 1
    assert tasks.release_expired(NOW) == [Released(waiting, "r", FAILED)]
    assert roles.records() == []


def test_progress_is_kept_short(tasks: TaskStore) -> None:
    task_id = add(tasks)
    claim = take(tasks)
    assert tasks.progress(task_id, claim.token, "p" * 10_000)
    found = tasks.find(task_id)
    assert found is not None
    assert found.progress is not None
    assert found.progress.startswith("p" * PROGRESS_LIMIT + "... [cut")


def test_the_log_of_a_task_at_work_is_kept_without_secrets_and_listed(tasks: TaskStore) -> None:
    task_id = add(tasks)
    claim = take(tasks)
    assert tasks.note_log(task_id, claim.token, f"building\nuse {SECRET}\n")
    (listed,) = tasks.page()
    assert listed.log_tail is not None
    assert listed.log_tail.startswith("building\n")
    assert SECRET not in listed.log_tail
    assert not tasks.note_log(task_id, claim.token + 1, "another's")
    tasks.finish(task_id, claim.token, Outcome(DONE, 1, log_tail="all of it"), NOW)
    assert [one.log_tail for one in tasks.page()] == [None]
    assert not tasks.note_log(task_id, claim.token, "too late")


# --- cancel, retry, feedback ----------------------------------------------------------------------


def test_cancelling_what_waits_what_is_done_and_what_has_ended(
    tasks: TaskStore, roles: RoleStore
) -> None:
    held, waiting = add(tasks), add(tasks)
    claim = take(tasks)
    assert tasks.cancel(waiting).state == CANCELLED
    assert not tasks.cancelled(held, claim.token)
    asked = tasks.cancel(held)
    assert (asked.state, asked.cancel_asked) == (LEASED, True)
    tasks.cancel(held)
    assert tasks.cancelled(held, claim.token)
    assert tasks.finish(held, claim.token, Outcome(CANCELLED), NOW).state == CANCELLED
    assert tasks.cancel(held).state == CANCELLED
    assert roles.records() == []
    assert happened(tasks, held) == ["enqueued", "leased", "cancel_asked", "cancelled"]
    with pytest.raises(NotFound):
        tasks.cancel(99)


def test_a_task_that_is_to_stop_is_not_given_to_another_worker(tasks: TaskStore) -> None:
    task_id = add(tasks)
    take(tasks)
    tasks.cancel(task_id)
    assert tasks.release("w1") == [Released(task_id, "r", CANCELLED)]


def test_a_retry_begins_anew_but_for_the_token(tasks: TaskStore, clock: Clock) -> None:
    task_id = add(tasks, attempts_max=1, deadline=clock.now + 1)
    claim = take(tasks)
    for wrong in (LEASED,):
        with pytest.raises(InvalidInput, match=wrong):
            tasks.retry(task_id)
    tasks.finish(task_id, claim.token, Outcome(FAILED, error="why"), NOW)
    clock.now += 10
    again = tasks.retry(task_id)
    assert (again.state, again.attempts, again.deadline, again.ended_at) == (QUEUED, 0, None, None)
    assert not tasks.finish(task_id, claim.token, Outcome(DONE), NOW).accepted
    assert take(tasks).token == 2
    tasks.finish(task_id, 2, Outcome(DONE), NOW)
    with pytest.raises(InvalidInput, match="done"):
        tasks.retry(task_id)


def test_a_rating_is_counted_where_the_task_was(
    tasks: TaskStore, clock: Clock, roles: RoleStore
) -> None:
    task_id = add(tasks)
    with pytest.raises(InvalidInput, match="queued"):
        tasks.feedback(task_id, 0.5)
    claim = take(tasks)
    tasks.finish(task_id, claim.token, Outcome(DONE), NOW)
    clock.now += 3 * DAY
    assert tasks.feedback(task_id, 0.25).quality == 0.25
    assert tasks.feedback(task_id, 0.75).quality == 0.75
    assert roles.records() == [Record("r", "t", "digest", 100, 1, 1, 0.75, 1, 0.0)]
    for wrong in (-0.1, 1.1, float("nan")):
        with pytest.raises(InvalidInput):
            tasks.feedback(task_id, wrong)


# --- roles, the queue, pruning --------------------------------------------------------------------


def test_roles_are_replaced_as_a_whole_and_counted_once(store: Store, roles: RoleStore) -> None:
    rows = [RoleRow("a", ("t", "u"), "d", 2, 3, 4, False), RoleRow("b")]
    roles.set(rows)
    assert roles.all() == rows
    before = store.change_counts().counts["roles"]
    roles.set(rows)
    assert store.change_counts().counts["roles"] == before
    roles.set(rows[1:])
    assert roles.all() == rows[1:]


def test_depths_and_what_is_due(tasks: TaskStore, roles: RoleStore) -> None:
    for role in ("r", "r", "q", "gone"):
        add(tasks, role=role)
    take(tasks)
    depth = {"r": QueueDepth(1, 1), "q": QueueDepth(1, 0), "gone": QueueDepth(1, 0)}
    assert tasks.queue_depths() == depth
    roles.set([RoleRow("q"), RoleRow("r"), RoleRow("idle")])
    assert tasks.due(NOW) == ["q", "r"]


def test_tasks_that_ended_long_ago_are_removed_and_records_stay(
    tasks: TaskStore, clock: Clock, roles: RoleStore
) -> None:
    ids = [add(tasks) for _ in range(4)]
    for task_id in ids[:3]:
        tasks.finish(task_id, take(tasks).token, Outcome(DONE), NOW)
        clock.now += 10
    assert tasks.prune(clock.now - 1000) == 0
    assert tasks.prune(clock.now, limit=2) == 2
    assert [task.id for task in tasks.page()] == ids[:1:-1]
    assert happened(tasks, ids[0]) == []
    assert tasks.prune(clock.now) == 1
    assert roles.records()[0].executions == 3
    assert state(tasks, ids[3]) == QUEUED
