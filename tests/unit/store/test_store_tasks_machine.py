"""Tasks in the store under any order of claims, deaths, clock jumps, late results and cancels."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    precondition,
    rule,
)

from khive_supervisor.errors import InvalidInput
from khive_supervisor.sqlite.store import SqliteStore
from khive_supervisor.sqlite.tasks.table import TaskTable
from khive_supervisor.tasks import lease, states
from khive_supervisor.tasks.lease import Moment
from khive_supervisor.tasks.model import (
    CANCELLED,
    DIED,
    DONE,
    FAILED,
    LEASED,
    QUEUED,
    Claim,
    Claimant,
    NewTask,
    Outcome,
    Task,
)

WORKERS = tuple(f"w{number}" for number in range(4))
#: Which connection does it.
SIDES = st.sampled_from((0, 1))


class Tasks(RuleBasedStateMachine):
    """Two connections to one store; what the model knows is what the calls have answered."""

    ids = Bundle("ids")
    claims = Bundle("claims")

    def __init__(self) -> None:
        super().__init__()
        self.directory = tempfile.mkdtemp()
        path = str(Path(self.directory) / "khive.db")
        self.wall = 1_800_000_000.0
        self.now = Moment("boot 0", 10.0)
        self.boots = 0
        self.stores = [SqliteStore(path, clock=lambda: self.wall) for _ in range(2)]
        self.assigned: set[int] = set()
        self.keys: dict[str, int] = {}
        self.claimed: set[tuple[int, int]] = set()
        self.accepted: set[tuple[int, int]] = set()
        self.died: set[tuple[int, int]] = set()
        self.counted = {DONE: 0, FAILED: 0}
        self.seen: dict[int, str] = {}
        self.ends: dict[int, int] = {}

    def teardown(self) -> None:
        for store in self.stores:
            store.close()
        shutil.rmtree(self.directory)

    def tasks(self, side: int) -> TaskTable:
        return self.stores[side].tasks

    def leased(self, side: int) -> list[Task]:
        return [task for task in self.tasks(side).page(limit=1000) if task.state == LEASED]

    # --- what may happen ---

    @rule(
        target=ids,
        side=SIDES,
        priority=st.integers(-1, 1),
        most=st.integers(1, 3),
        deadline=st.none() | st.integers(1, 100),
        key=st.none() | st.sampled_from("ab"),
    )
    def assign(
        self, side: int, priority: int, most: int, deadline: int | None, key: str | None
    ) -> int:
        until = None if deadline is None else self.wall + deadline
        task, created = self.tasks(side).assign(NewTask("r", "t", None, priority, key, until, most))
        assert created == (task.id not in self.assigned)
        if key is not None:
            assert self.keys.setdefault(key, task.id) == task.id
            assert created or key in self.keys
        self.assigned.add(task.id)
        return task.id

    def note_claim(self, claim: Claim) -> None:
        assert (claim.id, claim.token) not in self.claimed, "a token was given twice"
        assert all(token < claim.token for task, token in self.claimed if task == claim.id)
        assert 1 <= claim.attempts <= claim.attempts_max
        assert claim.deadline is None or claim.deadline > self.wall
        self.claimed.add((claim.id, claim.token))

    @rule(target=claims, side=SIDES, worker=st.sampled_from(WORKERS))
    def claim(self, side: int, worker: str) -> object:
        claim = self.tasks(side).claim(Claimant("r", worker), self.now)
        if claim is None:
            return multiple()
        self.note_claim(claim)
        return claim

    @rule(
        target=claims,
        side=SIDES,
        claim=claims,
        came=st.sampled_from((DONE, FAILED, CANCELLED)),
        final=st.booleans(),
        more=st.booleans(),
    )
    def finish(self, side: int, claim: Claim, came: str, final: bool, more: bool) -> object:
        """Also of claims that were finished, released or overtaken long ago."""
        before = self.tasks(side).find(claim.id)
        assert before is not None
        asker = Claimant("r", "w0") if more else None
        answer = self.tasks(side).finish(
            claim.id, claim.token, Outcome(came, final=final), self.now, asker
        )
        assert answer.accepted == (before.state == LEASED and before.token == claim.token)
        if answer.accepted:
            assert (claim.id, claim.token) not in self.accepted, "a token was accepted twice"
            self.accepted.add((claim.id, claim.token))
            if answer.state != CANCELLED:
                self.counted[DONE if answer.state == DONE else FAILED] += 1
            if answer.state == DONE:
                self.ends[claim.id] = self.ends.get(claim.id, 0) + 1
        else:
            after = self.tasks(side).find(claim.id)
            assert answer.next is not None or after == before, "a fenced result changed something"
        if answer.next is None:
            return multiple()
        self.note_claim(answer.next)
        return answer.next

    @rule(side=SIDES, claim=claims)
    def renew(self, side: int, claim: Claim) -> None:
        before = self.tasks(side).find(claim.id)
        assert before is not None
        held = before.state == LEASED and before.token == claim.token
        assert self.tasks(side).renew(claim.id, claim.token, self.now.after(30.0)) == held
        stop = self.tasks(side).cancelled(claim.id, claim.token)
        assert stop == (not held or before.cancel_asked)

    @rule(side=SIDES, worker=st.sampled_from(WORKERS), died=st.booleans())
    def release(self, side: int, worker: str, died: bool) -> None:
        held = [one for one in self.leased(side) if one.worker == worker]
        self.died |= {(one.id, one.token) for one in held if died}
        released = {one.id for one in self.tasks(side).release(worker, died=died)}
        for task in self.tasks(side).page(limit=1000):
            assert task.state != LEASED or task.worker != worker
            assert task.id not in released or task.lease is None

    @rule(side=SIDES)
    def release_expired(self, side: int) -> None:
        self.died |= {
            (one.id, one.token)
            for one in self.leased(side)
            if one.lease is None or not lease.good(one.lease, self.now)
        }
        self.tasks(side).release_expired(self.now)
        for task in self.tasks(side).page(limit=1000):
            if task.state == LEASED:
                assert task.lease is not None
                assert lease.good(task.lease, self.now)
            assert task.state != QUEUED or task.deadline is None or task.deadline > self.wall

    @rule(side=SIDES, task_id=ids)
    def cancel(self, side: int, task_id: int) -> None:
        before = self.tasks(side).find(task_id)
        after = self.tasks(side).cancel(task_id)
        assert before is not None
        expected = CANCELLED if before.state == QUEUED else before.state
        assert after.state == expected
        assert after.cancel_asked or before.state != LEASED

    @rule(side=SIDES, task_id=consumes(ids))
    def retry(self, side: int, task_id: int) -> None:
        before = self.tasks(side).find(task_id)
        assert before is not None
        try:
            after = self.tasks(side).retry(task_id)
        except InvalidInput:
            assert before.state in (QUEUED, LEASED, DONE)
        else:
            assert (after.state, after.token, after.attempts) == (QUEUED, before.token, 0)

    @rule(seconds=st.sampled_from((0.5, 5.0, 31.0, 1000.0)))
    def time_passes(self, seconds: float) -> None:
        self.now = self.now.after(seconds)
        self.wall += seconds

    @rule(seconds=st.sampled_from((-1e6, -10.0, 50.0, 1e6)))
    def the_wall_clock_is_set(self, seconds: float) -> None:
        self.wall += seconds

    @precondition(lambda self: self.boots < 3)
    @rule()
    def the_machine_restarts(self) -> None:
        self.boots += 1
        self.now = Moment(f"boot {self.boots}", 1.0)

    # --- what must hold ---

    @invariant()
    def nothing_is_lost_and_results_count_once(self) -> None:
        tasks = self.tasks(0).page(limit=1000)
        assert {task.id for task in tasks} == self.assigned
        assert all(times == 1 for times in self.ends.values())
        assert {task.id for task in tasks if task.state == DONE} == set(self.ends)
        records = self.stores[1].roles.records()
        executions = sum(record.executions for record in records)
        successes = sum(record.successes for record in records)
        assert (executions, successes) == (sum(self.counted.values()), self.counted[DONE])

    @invariant()
    def each_attempt_that_ended_is_kept_once(self) -> None:
        found = self.stores[0].executions.page(limit=10_000)
        kept = [(one.task_id, one.token, one.outcome == DIED) for one in found]
        ended = {(*one, False) for one in self.accepted} | {(*one, True) for one in self.died}
        assert len(kept) == len(set(kept))
        assert set(kept) == ended

    @invariant()
    def states_change_along_the_table(self) -> None:
        """Each event that names a change does, from the state that the one before it led to."""
        now: dict[int, str] = {}
        for event in self.tasks(1).events(limit=100_000):
            after = {"enqueued": QUEUED, "requeued": QUEUED, "retried": QUEUED}.get(
                event.what, event.what
            )
            if after not in states.TRANSITIONS:
                continue  # fenced, cancel_asked: change no state
            before = now.get(event.task_id)
            assert (before is None) == (event.what == "enqueued")
            assert before is None or after in states.TRANSITIONS[before], (before, after)
            now[event.task_id] = after
        assert now == {task.id: task.state for task in self.tasks(0).page(limit=1000)}


Tasks.TestCase.settings = settings(max_examples=100, stateful_step_count=40)
TestTasks = Tasks.TestCase
