"""Runs, fan-out, approvals and schedules, for each engine: what a store does with them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from engines import Engine

from khive_supervisor.errors import InvalidInput, NotFound, SecretFound
from khive_supervisor.store.interface import Store
from khive_supervisor.supervision.roles import clockwork
from khive_supervisor.tasks.lease import Moment
from khive_supervisor.tasks.model import DONE, FAILED, Claimant, NewTask, Outcome, RoleRow, Task
from khive_supervisor.workflows.model import (
    HOLD,
    ApprovalTerms,
    NewRun,
    NewSchedule,
    PlannedStep,
    Predecessor,
    Waits,
)

NOW = Moment("boot", 100.0)
BEGAN = 1_800_000_000.0


@dataclass
class Bench:
    """A store with two roles, at a time that the test sets."""

    store: Store
    at: float = BEGAN

    def work(self, role: str = "dev", state: str = DONE, result: Any = None) -> Task:
        claim = self.store.tasks.claim(Claimant(role, f"{role}-1"), NOW)
        assert claim is not None, "nothing to do"
        outcome = Outcome(state, result=result, final=True)
        assert self.store.tasks.finish(claim.id, claim.token, outcome, NOW).accepted
        return self.task(claim.id)

    def task(self, number: int) -> Task:
        found = self.store.tasks.find(number)
        assert found is not None
        return found

    def state(self, run: int) -> str:
        found = self.store.workflows.find(run)
        assert found is not None
        return found.state

    def idle(self, role: str = "dev") -> bool:
        return self.store.tasks.claim(Claimant(role, "none"), NOW) is None

    def kinds(self) -> list[str]:
        return [entry.kind for entry in self.store.audit.page(limit=500)][::-1]


@pytest.fixture
def bench(engine: Engine, tmp_path: Path) -> Iterator[Bench]:
    made: list[Bench] = []
    store = engine(str(tmp_path / "k.db"), clock=lambda: made[0].at if made else BEGAN)
    made.append(Bench(store))
    store.roles.set([RoleRow("dev", ("code",)), RoleRow("critic", ("review", "approval"))])
    with store:
        yield made[0]


def graph(*steps: PlannedStep, **keys: Any) -> NewRun:
    return NewRun("w", {}, keys.pop("input", {}), steps, **keys)


def step(name: str, payload: Any = None, *after: str, **keys: Any) -> PlannedStep:
    task = NewTask("dev", "code", payload)
    return PlannedStep(name, task, tuple((one, "cancel") for one in after), **keys)


def test_a_run_fans_out_joins_and_uses_what_was_found(bench: Bench) -> None:
    run, created = bench.store.workflows.begin(
        graph(
            step("list", "{{input.what}}"),
            step("each", {"part": "{{item.n}}"}, "list", each="{{steps.list.result}}"),
            step("join", "{{steps.each.result}}", "each"),
            input={"what": "all"},
        )
    )
    assert created
    assert bench.work(result=[{"n": 1}, {"n": 2}, {"n": 3}]).payload == "all"
    payloads = [bench.work(result=number).payload for number in range(3)]
    assert payloads == [{"part": 1}, {"part": 2}, {"part": 3}]
    assert bench.work().payload == [0, 1, 2]
    assert bench.state(run.id) == "done"
    assert bench.kinds()[-1] == "workflow.done"


@pytest.mark.parametrize(("items", "said"), [("no list", "is no list"), ([0] * 501, "501 items")])
def test_what_cannot_be_fanned_out_over_fails_the_step(bench: Bench, items: Any, said: str) -> None:
    bench.store.workflows.begin(
        graph(step("list"), step("each", "{{item}}", "list", each="{{steps.list.result}}"))
    )
    bench.work(result=items)
    assert said in (bench.task(2).error or "")
    assert bench.task(2).state == FAILED


def test_nothing_to_fan_out_over_is_done_at_once(bench: Bench) -> None:
    bench.store.workflows.begin(
        graph(step("list"), step("each", "{{item}}", "list", each="{{steps.list.result}}"))
    )
    bench.work(result=[])
    assert (bench.task(2).state, bench.task(2).result) == (DONE, [])


def test_a_part_that_failed_is_retried_alone(bench: Bench) -> None:
    run, _ = bench.store.workflows.begin(
        graph(step("each", "{{item}}", each="{{input.all}}"), step("end", None, "each"),
              input={"all": [1, 2]})
    )  # fmt: skip
    bench.work(result=1)
    bench.work(state=FAILED)
    assert [bench.task(n).state for n in (1, 4)] == [FAILED, "cancelled"]
    bench.store.workflows.retry(run.id)
    assert bench.work(result=2).payload == 2
    bench.work()
    assert bench.state(run.id) == "done"
    with pytest.raises(InvalidInput):
        bench.store.workflows.retry(run.id)


def test_a_run_is_cancelled_whole_and_taken_up_again(bench: Bench) -> None:
    run, _ = bench.store.workflows.begin(graph(step("a"), step("b", None, "a")))
    assert bench.store.workflows.cancel(run.id).state == "cancelled"
    assert bench.idle()
    assert bench.store.workflows.retry(run.id).state == "running"
    bench.work()
    bench.work()
    assert bench.state(run.id) == "done"


def test_the_same_key_is_the_same_run(bench: Bench) -> None:
    workflows = bench.store.workflows
    first, made = workflows.begin(graph(step("a"), idempotency="k"))
    again, anew = workflows.begin(graph(step("a"), idempotency="k"))
    assert (made, anew, again.id) == (True, False, first.id)
    with pytest.raises(InvalidInput):
        workflows.begin(graph(step("a"), idempotency="k", input={"x": 1}))
    with pytest.raises(SecretFound):
        workflows.begin(graph(step("a"), input={"password": "hunter2hunter2"}))
    assert len(workflows.page()) == 1


def approved(bench: Bench, by: str = "operator", refused: str = "cancel") -> Task:
    terms = ApprovalTerms(by, 3600.0, refused)
    return bench.store.tasks.assign(NewTask("dev", "code", "p"), Waits(approval=terms))[0]


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        ({"approved": True}, "queued"),
        ({"text": "It is bad.\nreject"}, "cancelled"),
        ("?", "waiting"),
    ],
)
def test_a_role_approves_by_a_task(bench: Bench, answer: Any, state: str) -> None:
    task = approved(bench, "critic")
    review = bench.work("critic", result=answer)
    assert (review.task_type, review.payload["task"]) == ("approval", f"t{task.id}")
    assert bench.task(task.id).state == state
    if state == "waiting":  # a person may still decide
        assert bench.kinds()[-1] == "approval.unanswered"
        bench.store.workflows.decide(1, approved=True, by="user/ada")
        assert bench.task(task.id).state == "queued"


def test_an_approval_expires_and_a_retry_asks_anew(bench: Bench) -> None:
    task = approved(bench, refused="fail")
    assert bench.store.workflows.next_due() == BEGAN + 3600
    bench.at += 3599
    assert clockwork.look(bench.store, bench.at) == pytest.approx(1.0)
    assert bench.task(task.id).state == "waiting"
    bench.at += 1
    clockwork.look(bench.store, bench.at)
    assert bench.task(task.id).state == FAILED
    with pytest.raises(InvalidInput, match="expired"):
        bench.store.workflows.decide(1, approved=True, by="user/ada")
    assert bench.store.tasks.retry(task.id).state == "waiting"
    bench.store.workflows.decide(2, approved=True, by="user/ada")
    assert bench.task(task.id).state == "queued"
    with pytest.raises(NotFound):
        bench.store.workflows.decide(9, approved=True, by="user/ada")


def test_an_answer_that_comes_too_late_counts_as_none(bench: Bench) -> None:
    task = approved(bench)
    bench.at += 3601
    with pytest.raises(InvalidInput):
        bench.store.workflows.decide(1, approved=True, by="user/ada")
    assert bench.task(task.id).state == "waiting"  # the look that is due ends it
    clockwork.look(bench.store, bench.at)
    assert bench.task(task.id).state == "cancelled"


def test_a_task_waits_for_its_time(bench: Bench) -> None:
    task, _ = bench.store.tasks.assign(NewTask("dev", "code"), Waits(start_at=BEGAN + 60))
    assert (task.state, bench.idle()) == ("waiting", True)
    bench.store.workflows.come_due(BEGAN + 59)
    assert bench.idle()
    assert "dev" in bench.store.workflows.come_due(BEGAN + 60)
    assert bench.work().id == task.id


def test_what_is_held_is_not_removed_with_what_it_waits_for(bench: Bench) -> None:
    first, _ = bench.store.tasks.assign(NewTask("dev", "code"))
    waits = Waits((Predecessor(first.id, HOLD),))
    second, _ = bench.store.tasks.assign(NewTask("dev", "code"), waits)
    bench.work(state=FAILED)
    held = bench.store.workflows.held([second.id])[second.id]
    assert [one.task for one in held.failed] == [first.id]
    assert bench.kinds()[-1] == "task.held"
    assert bench.store.tasks.prune(BEGAN + 1) == 0
    bench.store.tasks.retry(first.id)
    bench.work()
    bench.work()
    assert bench.store.tasks.prune(BEGAN + 1) == 2
    assert bench.store.quick_check() == []


STEPS = [{"name": "task", "role": "dev", "payload": "tick"}]
EACH_HOUR = NewSchedule("hourly", "0 * * * *", {"name": "hourly", "steps": STEPS}, zone="UTC")


def test_two_who_look_fire_a_due_time_once(engine: Engine, tmp_path: Path, bench: Bench) -> None:
    bench.store.schedules.add(EACH_HOUR)
    with engine(str(tmp_path / "k.db")) as other:
        for hour in range(1, 4):
            for store in (bench.store, other, bench.store):
                clockwork.look(store, BEGAN + 3600 * hour)
        for back in (-600.0, -86_400.0, 600.0):  # clocks that are set fire nothing twice
            clockwork.look(other, BEGAN + 3600 * 3 + back)
    assert len(bench.store.workflows.page()) == 3
    firings = bench.store.schedules.firings(1)
    assert [one.due for one in firings] == sorted({one.due for one in firings}, reverse=True)


def test_how_many_wait_and_what_for(bench: Bench) -> None:
    assign = bench.store.tasks.assign
    first = assign(NewTask("dev", "code", 1))[0].id
    assign(NewTask("dev", "code", 2), Waits(after=(Predecessor(first),)))
    held = assign(NewTask("ops", "code", 3), Waits(after=(Predecessor(first, HOLD),)))[0].id
    assign(NewTask("dev", "code", 4), Waits(start_at=bench.at + 60))
    assign(NewTask("dev", "code", 5), Waits(approval=ApprovalTerms()))
    waiting = {("dev", "tasks"): 1, ("ops", "tasks"): 1, ("dev", "time"): 1, ("dev", "approval"): 1}
    assert bench.store.workflows.waiting() == waiting
    bench.work(state=FAILED)
    assert bench.task(held).state == "waiting"  # until that one is done after all
    del waiting["dev", "tasks"]
    assert bench.store.workflows.waiting() == waiting


def test_a_paused_schedule_begins_nothing_and_makes_up_for_nothing(bench: Bench) -> None:
    schedules = bench.store.schedules
    number = schedules.add(EACH_HOUR).id
    assert schedules.pause(number, paused=True).paused
    assert schedules.pause(number, paused=True).paused
    bench.at += 3 * 3600
    assert clockwork.look(bench.store, bench.at) is None
    # Whoever saw that it is due before it was paused begins nothing either.
    assert schedules.fire(number, bench.at, bench.at, graph()) is None
    assert not schedules.firings(number)
    assert not schedules.pause(number, paused=False).paused
    clockwork.look(bench.store, bench.at)
    assert not schedules.firings(number)
    bench.at += 3600
    clockwork.look(bench.store, bench.at)
    assert len(schedules.firings(number)) == 1
    told = [kind for kind in bench.kinds() if kind.startswith("schedule.")]
    assert told == [f"schedule.{one}" for one in ("created", "paused", "resumed", "fired")]
    with pytest.raises(NotFound):
        schedules.pause(99, paused=True)


def test_a_configured_schedule_that_is_paused_stays_so(bench: Bench) -> None:
    schedules = bench.store.schedules
    wanted = replace(EACH_HOUR, configured=True)
    schedules.configure([wanted])
    schedules.pause(1, paused=True)
    schedules.configure([replace(wanted, cron="*/5 * * * *")])
    (found,) = schedules.all()
    assert (found.paused, found.new.cron) == (True, "*/5 * * * *")


def test_configured_schedules_come_change_and_go(bench: Bench) -> None:
    schedules = bench.store.schedules
    wanted = NewSchedule("nightly", "0 3 * * *", {"name": "n", "steps": STEPS}, configured=True)
    schedules.add(EACH_HOUR)
    schedules.configure([wanted])
    schedules.configure([wanted])
    (_, first) = schedules.all()
    changed = NewSchedule("nightly", "0 4 * * *", {"name": "n", "steps": STEPS}, configured=True)
    schedules.configure([changed])
    (_, second) = schedules.all()
    assert (first.id, first.new, second.new) == (second.id, wanted, changed)
    schedules.configure([])
    assert [one.new.name for one in schedules.all()] == ["hourly"]
    told = [kind for kind in bench.kinds() if kind.startswith("schedule.")]
    assert told == [f"schedule.{one}" for one in ("created", "created", "changed", "removed")]


def test_a_schedule_whose_role_is_gone_misses_that_time(bench: Bench) -> None:
    bench.store.schedules.add(EACH_HOUR)
    bench.store.roles.set([])
    clockwork.look(bench.store, BEGAN + 3600)
    assert [one.run for one in bench.store.schedules.firings(1)] == [None]
    bench.store.roles.set([RoleRow("dev", ("code",))])
    clockwork.look(bench.store, BEGAN + 7200)
    assert bench.store.schedules.firings(1)[0].run == 1
