"""Tasks that wait for each other, for each engine: a store against a model of a few lines.

Whatever is given, done, failed, cancelled, decided and tried again, in whatever order: each task is
in the state that the model has, nothing is begun before what it waits for, and nothing twice.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from engines import ENGINES
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from khive_supervisor.store.interface import Store
from khive_supervisor.tasks.lease import Moment
from khive_supervisor.tasks.model import (
    CANCELLED,
    DONE,
    ENDED,
    FAILED,
    LEASED,
    QUEUED,
    WAITING,
    Claim,
    Claimant,
    NewTask,
    Outcome,
    RoleRow,
)
from khive_supervisor.workflows.model import (
    CANCEL,
    HOLD,
    POLICIES,
    ApprovalTerms,
    Predecessor,
    Waits,
)

NOW = Moment("boot", 100.0)


@dataclass
class Known:
    """A task of the model; `answer` is "none" (nobody need agree), "open", "yes" or "no"."""

    after: list[tuple[int, str]]
    answer: str
    state: str = WAITING
    asked: bool = False
    skipped: bool = False


@dataclass
class Model:
    tasks: dict[int, Known] = field(default_factory=dict)

    def failed(self, number: int) -> bool:
        return self.tasks[number].state in (FAILED, CANCELLED)

    def look(self, number: int, *, again: bool = False) -> None:
        task = self.tasks[number]
        if task.state != WAITING:
            return
        failed = [policy for one, policy in task.after if self.failed(one)]
        if CANCEL in failed or task.answer == "no":
            if not again:
                task.state, task.skipped = CANCELLED, True
                self.ended(number)
        elif HOLD not in failed and all(self.tasks[one].state in ENDED for one, _ in task.after):
            task.asked = True
            if task.answer != "open":
                task.state = QUEUED

    def ended(self, number: int) -> None:
        self.tasks[number].asked = False
        for one, task in sorted(self.tasks.items()):
            if any(before == number for before, _ in task.after):
                self.look(one)

    def retry(self, number: int) -> None:
        again, pending = [], [number]
        while pending:
            one = pending.pop(0)
            if one in again:
                continue
            again.append(one)
            pending += [
                later
                for later, task in sorted(self.tasks.items())
                if task.skipped and task.state == CANCELLED and one in dict(task.after)
            ]
        for one in again:
            task = self.tasks[one]
            task.state, task.skipped, task.asked = WAITING, False, False
            task.answer = "open" if task.answer == "no" or task.answer == "open" else task.answer
        for one in again:
            self.look(one, again=True)


class Graphs(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.directory = tempfile.TemporaryDirectory()
        open_store = next(iter(ENGINES.values()))
        self.store: Store = open_store(str(Path(self.directory.name) / "k.db"), clock=lambda: 5.0)
        self.store.roles.set([RoleRow("r", ("t",))])
        self.model = Model()
        self.held: dict[int, Claim] = {}

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.store.close()
            self.directory.cleanup()

    @rule(data=st.data(), approved=st.booleans())
    def assign(self, data: st.DataObject, approved: bool) -> None:
        known = list(self.model.tasks)
        before = (
            data.draw(st.lists(st.sampled_from(known), unique=True, max_size=3)) if known else []
        )
        after = [(one, data.draw(st.sampled_from(POLICIES))) for one in before]
        terms = ApprovalTerms() if approved else None
        waits = Waits(tuple(Predecessor(*one) for one in after), None, terms)
        task, created = self.store.tasks.assign(NewTask("r", "t"), waits)
        assert created
        self.model.tasks[task.id] = Known(after, "open" if approved else "none")
        self.model.look(task.id)

    @rule(state=st.sampled_from((DONE, FAILED)), finish=st.booleans())
    def work(self, state: str, finish: bool) -> None:
        claim = self.store.tasks.claim(Claimant("r", "w"), NOW)
        queued = [one for one, task in sorted(self.model.tasks.items()) if task.state == QUEUED]
        assert (claim.id if claim else None) == (queued[0] if queued else None)
        if claim is None:
            return
        self.model.tasks[claim.id].state = LEASED
        self.held[claim.id] = claim
        if finish:
            self._finish(claim.id, state)

    def _finish(self, number: int, state: str) -> None:
        claim = self.held.pop(number)
        outcome = Outcome(state, final=True)
        assert self.store.tasks.finish(claim.id, claim.token, outcome, NOW).accepted
        assert not self.store.tasks.finish(claim.id, claim.token, outcome, NOW).accepted
        self.model.tasks[number].state = state
        self.model.ended(number)

    @precondition(lambda self: self.held)
    @rule(data=st.data(), state=st.sampled_from((DONE, FAILED)))
    def finish(self, data: st.DataObject, state: str) -> None:
        self._finish(data.draw(st.sampled_from(sorted(self.held))), state)

    @precondition(lambda self: any(t.state in (WAITING, QUEUED) for t in self.model.tasks.values()))
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        free = [n for n, t in self.model.tasks.items() if t.state in (WAITING, QUEUED)]
        number = data.draw(st.sampled_from(free))
        self.store.tasks.cancel(number)
        self.model.tasks[number].state = CANCELLED
        self.model.ended(number)

    @precondition(
        lambda self: any(t.state in (FAILED, CANCELLED) for t in self.model.tasks.values())
    )
    @rule(data=st.data())
    def retry(self, data: st.DataObject) -> None:
        ended = [n for n, t in self.model.tasks.items() if t.state in (FAILED, CANCELLED)]
        number = data.draw(st.sampled_from(ended))
        self.store.tasks.retry(number)
        self.model.retry(number)

    @precondition(lambda self: self.store.workflows.approvals())
    @rule(data=st.data(), approved=st.booleans())
    def decide(self, data: st.DataObject, approved: bool) -> None:
        asked = data.draw(st.sampled_from(self.store.workflows.approvals()))
        self.store.workflows.decide(asked.id, approved=approved, by="user/ada")
        self.model.tasks[asked.task].answer = "yes" if approved else "no"
        self.model.look(asked.task)

    @invariant()
    def agree(self) -> None:
        if hasattr(self, "store"):
            found = {task.id: task.state for task in self.store.tasks.page(limit=500)}
            assert found == {one: task.state for one, task in self.model.tasks.items()}
            asked = {one.task for one in self.store.workflows.approvals()}
            open_ones = {
                one
                for one, task in self.model.tasks.items()
                if task.state == WAITING and task.asked and task.answer == "open"
            }
            assert asked == open_ones


Graphs.TestCase.settings = settings(max_examples=60, stateful_step_count=30)
TestGraphs = Graphs.TestCase
